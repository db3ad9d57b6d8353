"""The commands on a running server, through its REST interface: the same words, the same output, the same errors."""
