"""The base: what every wing may import."""
