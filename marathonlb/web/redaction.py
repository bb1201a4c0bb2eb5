"""
Configurations without passwords, for clients that are not admins (`marathonlb.redaction`). Pure.
"""

from __future__ import annotations

from marathonlb.haproxy.files.publish import Published
from marathonlb.redaction import masked


def shown(published: Published, *, admin: bool) -> Published:
    """Return a configuration for a client; only admins see its passwords."""
    return published if admin else Published(masked(published.text), published.maps)
