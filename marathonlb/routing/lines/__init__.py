"""The lines of HAProxy's configuration that labels may hold, checked word by word. Pure."""
