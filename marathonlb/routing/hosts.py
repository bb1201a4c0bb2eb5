"""
Virtual hosts and wildcards: which wildcard covers which host.

A wildcard ``*.example.com`` covers every name below ``example.com`` at any depth, as HAProxy's ``-m end`` and
``map_end`` match it. That is not the rule of certificates (RFC 6125), whose wildcard covers only one label.

A host has as many wildcards above it as it has dots, so they are looked up by name: comparing every wildcard with
every host takes minutes if one app has thousands of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator


def is_wildcard(host: str) -> bool:
    """Return True for a wildcard such as ``*.example.com``."""
    return host.startswith("*.")


def covers(pattern: str, host: str) -> bool:
    """
    Return True if a virtual host matches a name: it is that name, or a wildcard above it.

    :param pattern: a virtual host, exact or a wildcard.
    :param host: a name, or a wildcard; a wildcard is covered by itself and by those above it.
    """
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def wildcards_above(host: str) -> Iterator[str]:
    """Yield every wildcard that covers a host, the longest first; for a wildcard those above it, not itself."""
    labels = host.removeprefix("*.").split(".")
    return (f"*.{'.'.join(labels[place:])}" for place in range(1, len(labels)))


def has_wildcard_above(host: str, wildcards: Collection[str]) -> bool:
    """Return True if one of these wildcards covers a host; a wildcard does not count as above itself."""
    return bool(wildcards) and any(wildcard in wildcards for wildcard in wildcards_above(host))


def hosts_below(hosts: Iterable[str], wildcards: Collection[str]) -> dict[str, list[str]]:
    """Return for each wildcard the hosts and wildcards below it, in their order; one that covers none is left out."""
    below: dict[str, list[str]] = {}
    if wildcards:
        for host in hosts:
            for wildcard in wildcards_above(host):
                if wildcard in wildcards:
                    below.setdefault(wildcard, []).append(host)
    return below
