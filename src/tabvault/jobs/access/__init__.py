"""Who asks, and what he may do: users, API keys, bearer tokens, the firewall, and the permissions of model roles."""
