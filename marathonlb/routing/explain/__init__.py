"""Explain the routing: the rule that catches a request, and how an app or a port is served. Pure."""
