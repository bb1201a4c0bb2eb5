"""marathon-lb keeps HAProxy in step with what Marathon runs."""

__version__ = "2.0.0.dev0"
