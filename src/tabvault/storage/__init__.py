"""Keys and bytes: the backup containers, and the data folder with its versioned databases. Knows no model."""
