"""Marathon's HTTP API: the client, its connections, and its credentials."""
