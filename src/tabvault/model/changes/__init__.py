"""Metadata of a new database, and changes to objects: created, altered, renamed and deleted, all or none."""
