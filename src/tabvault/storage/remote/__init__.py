"""What the stores share that are reached over a network: patience, reading ahead, several transfers at a time."""
