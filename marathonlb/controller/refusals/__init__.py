"""What HAProxy refuses is left out: the services, templates or certificates that cause it."""
