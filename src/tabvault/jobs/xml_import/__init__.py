"""Making a model of level 1200 of one whose metadata are XML files; the entry is :mod:`.conversion`."""
