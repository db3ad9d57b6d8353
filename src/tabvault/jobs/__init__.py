"""What an administrator asks for: import, backup, restore, verify, inspect, export, drop."""
