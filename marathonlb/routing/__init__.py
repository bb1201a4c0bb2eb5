"""The services that are offered, and the rules that route requests to them. Everything here is pure."""
