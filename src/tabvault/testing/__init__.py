"""For tests of ours and of others: fault wrappers, builders of small containers and large databases."""
