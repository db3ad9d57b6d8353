"""Bytes to values and back. No files, sockets, clocks, logs or threads: whoever calls brings the bytes."""
