"""Marathon: its API and events, and the running apps as values."""
