"""
Which wildcards are about which hosts.

A host has as many wildcards above it as it has dots, so that they are looked up by their names: what compares every
wildcard with every host takes minutes where one app has thousands of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from marathonlb.routing.precedence import suffixes


def is_wildcard(host: str) -> bool:
    """Whether this is a wildcard: ``*.example.com``."""
    return host.startswith("*.")


def above(host: str) -> Iterator[str]:
    """The wildcards that are about a host, or about all that a wildcard is about and more; the longest first."""
    return (f"*{suffix}" for suffix in suffixes(host))


def covered(host: str, wildcards: Collection[str]) -> bool:
    """Whether one of these wildcards is about a host, or about all that a wildcard is about and more."""
    return bool(wildcards) and any(wildcard in wildcards for wildcard in above(host))


def below(hosts: Iterable[str], wildcards: Collection[str]) -> dict[str, list[str]]:
    """By wildcard, the hosts and the wildcards that it is about, in their order; what it is not about is not there."""
    found: dict[str, list[str]] = {}
    if wildcards:
        for host in hosts:
            for wildcard in above(host):
                if wildcard in wildcards:
                    found.setdefault(wildcard, []).append(host)
    return found
