"""HAProxy's runtime API: connections to its sockets, its replies, its statistics."""
