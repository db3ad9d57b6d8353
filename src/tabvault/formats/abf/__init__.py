"""The container: a stream storage of files with a header page, a virtual directory and a backup log."""
