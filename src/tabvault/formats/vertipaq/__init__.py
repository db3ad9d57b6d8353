"""The column files of a tabular database: segments, their statistics, dictionaries, hash indexes."""
