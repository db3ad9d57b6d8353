"""TMDL: models as folders of indented text."""
