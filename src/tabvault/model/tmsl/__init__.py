"""TMSL: models and commands as JSON."""
