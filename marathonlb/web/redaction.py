"""
A configuration as anybody may see it: without passwords (`marathonlb.redaction`). Pure.
"""

from __future__ import annotations

from marathonlb.haproxy.files.publish import Published
from marathonlb.redaction import masked


def shown(published: Published, *, admin: bool) -> Published:
    """A configuration for a client; admins see all of it."""
    return published if admin else Published(masked(published.text), published.maps)
