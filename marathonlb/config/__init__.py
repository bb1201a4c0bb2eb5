"""The text of HAProxy's configuration. Everything here is pure."""
