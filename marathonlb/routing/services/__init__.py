"""From one app to its services: their ports, servers, health checks and files. Pure."""
