"""HAProxy's error messages: which line, whose it is, and what to do about it. Pure."""
