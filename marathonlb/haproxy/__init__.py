"""Makes it so: checks, publishes and reloads, and confirms what HAProxy runs."""
