"""
Counters that outlast a reload: those of ``HAPROXY_{n}_RATE_LIMIT``. Pure.

HAProxy's old worker hands the tables of a ``peers`` section over to the new one, which it meets on a socket of the
state directory. It has to reach it with the rights that it has by then, and would try as long as it may live
(``hard-stop-after``). What our HAPROXY_HEAD says is known; somebody else's may name a ``user`` or a ``chroot``, and
counters begin anew there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from marathonlb.config.sources import Templates
from marathonlb.config.text import Chunk, Owner, Section
from marathonlb.routing.services import Service
from marathonlb.settings import Settings

NAME = "marathon_lb"
"""Of the section."""


def peers(templates: Templates) -> str:
    """What stands behind a ``stick-table`` that is to be handed over; empty where that cannot be."""
    return f" peers {NAME}" if templates.get("HEAD").is_default else ""


def sections(templates: Templates, settings: Settings, services: Iterable[Service]) -> Iterator[Section]:
    """The ``peers`` section, where a service has such a table."""
    if peers(templates) and any(service.rate_limit and service.mode == "http" for service in services):
        text = f'\npeers {NAME}\n  peer "$HAPROXY_LOCALPEER" unix@{settings.state_dir}/peers.sock\n'
        yield Section("peers", NAME, (Chunk(text, Owner()),))
