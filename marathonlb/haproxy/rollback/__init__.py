"""Rollback: the archive of configurations, and the pin that holds HAProxy to one of them."""
