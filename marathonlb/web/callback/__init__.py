"""The HTTP callback that Marathon posts its events to."""
