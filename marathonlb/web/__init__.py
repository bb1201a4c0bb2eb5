"""The controller over HTTP: the API, the dashboard and the callback for Marathon's events."""
