"""Power Query M as it stands in partitions and shared expressions: recognised, never executed."""
