"""
Configurations without passwords, for clients that are not admins (`marathonlb.base.redaction`). Pure.
"""

from __future__ import annotations

from marathonlb.base.redaction import masked
from marathonlb.haproxy.files.publish import Published


def shown(published: Published, *, admin: bool) -> Published:
    """Return a configuration for a client; only admins see its passwords."""
    return published if admin else Published(masked(published.text), published.maps)
