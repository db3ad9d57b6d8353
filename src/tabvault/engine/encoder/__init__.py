"""From rows to the stored form of tables: columns, and the system tables that are derived of them."""
