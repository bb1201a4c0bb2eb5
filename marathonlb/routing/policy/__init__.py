"""The policy of a cluster with many teams: what the apps of each prefix may claim. Pure."""
