"""One convergence: from hints to a HAProxy that runs what follows from Marathon's state."""
