"""Tasks: their addresses, processes and health checks."""
