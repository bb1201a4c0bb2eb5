"""Certificates: reading, checking and copying them, and reloading those that change."""
