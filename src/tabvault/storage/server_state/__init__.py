"""What a server remembers of itself, in ``<data>/server/``: users, keys, rules, jobs, and who did what."""
