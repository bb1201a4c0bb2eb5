"""What runs: Marathon's API and events, and the cluster as values."""
