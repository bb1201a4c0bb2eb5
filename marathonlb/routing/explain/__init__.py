"""Explain: which rule catches a request, and what becomes of an app or a port. Pure."""
