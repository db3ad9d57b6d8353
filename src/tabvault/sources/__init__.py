"""Where the rows of partitions come from: databases and files outside."""
