"""Processing: rows are read from their sources, and tables are made of them."""
