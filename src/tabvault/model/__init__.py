"""What a tabular database consists of, read from its metadata; no data values here."""
