"""Marathon's HTTP API: requests and responses, the event stream and HTTP callbacks."""
