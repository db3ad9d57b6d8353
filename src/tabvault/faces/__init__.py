"""Where people and programs meet the jobs: the command line and the Python interface."""
