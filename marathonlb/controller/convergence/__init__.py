"""One convergence: from hints to a HAProxy that runs the configuration for Marathon's state."""
