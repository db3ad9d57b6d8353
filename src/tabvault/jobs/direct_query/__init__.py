"""Questions to tables in DirectQuery mode: what the source does of them, and what is done here."""
