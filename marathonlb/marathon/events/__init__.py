"""Marathon's events: by server-sent events, by callback, or by polling; each becomes a hint."""
