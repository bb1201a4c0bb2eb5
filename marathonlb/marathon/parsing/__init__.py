"""Marathon's JSON as values: apps, pods, ports and readiness checks."""
