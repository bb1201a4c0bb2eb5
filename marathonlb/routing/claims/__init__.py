"""Claims of several services to one thing: a port, a backend's name, a path of a host, a name in a TLS handshake."""
