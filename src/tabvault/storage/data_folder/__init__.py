"""Databases on disk: a folder per database, a folder per version in it, and one process that owns them all."""
