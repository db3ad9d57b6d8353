"""Answers: columns decoded into Arrow, SQL over them, and the schema rowsets (DMVs)."""
