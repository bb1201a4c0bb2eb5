"""
Counters that outlast a reload: those of ``HAPROXY_{n}_RATE_LIMIT``, and those of wrong passwords. Pure.

HAProxy's old worker hands the tables of a ``peers`` section over to the new one, which it meets on a socket of the
state directory. It has to reach it with the rights that it has by then, and would try as long as it may live
(``hard-stop-after``). What our HAPROXY_HEAD says is known; somebody else's may name a ``user`` or a ``chroot``, and
counters begin anew there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from marathonlb.config.frontends import auth_in_frontends
from marathonlb.config.requests import network_lines
from marathonlb.config.templates.loader import Templates
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.routing.lines.passwords import LONGEST
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

NAME = "marathon_lb"
"""Of the section."""

WRONG_PASSWORDS = "marathon_lb_auth"
"""The table of wrong passwords; no app's backend has this name, which ends in no port."""

MOST_WRONG, SECONDS = 20, 10
"""Wrong passwords from one address for one service in so many seconds, after which no password is looked at."""


def peers(templates: Templates) -> str:
    """What stands behind a ``stick-table`` that is to be handed over; empty where that cannot be."""
    return f" peers {NAME}" if templates.get("HEAD").is_default else ""


def sections(templates: Templates, settings: Settings, services: Iterable[Service]) -> Iterator[Section]:
    """The table of wrong passwords where one is asked for, and ``peers`` where there is any table of ours."""
    http = [service for service in services if service.mode == "http"]
    asks = any(service.auth and not auth_in_frontends(service, templates) for service in http)
    if peers(templates) and (asks or any(service.rate_limit for service in http)):
        account = settings.account
        owner = f" uid {account.uid} gid {account.gid}" if account is not None else ""
        bind = f"unix@{settings.state_dir}/peers.sock mode 600{owner}"
        text = f'\npeers {NAME}\n  bind {bind}\n  server "$HAPROXY_LOCALPEER"\n'
        yield Section("peers", NAME, (Chunk(text, Owner()),))
    if asks:
        text = f"""
backend {WRONG_PASSWORDS}
  stick-table type string len 80 size 100k expire {2 * SECONDS}s store gpc0_rate({SECONDS}s){peers(templates)}
"""
        yield Section("backend", WRONG_PASSWORDS, (Chunk(text, Owner()),))


def guarded(backend: str, own: str, realm: str, trusted: Sequence[str] = ()) -> str:
    """
    The rules of a backend that asks for its password, of those who do not come by its own ways.

    Wrong passwords are counted by address and backend, and past `MOST_WRONG` no hash is computed: of IPv6 by the
    network of 64 bits, which one client has to itself. A hash is computed once a request, and not of words that are too
    long. Whatever cannot be found out of a request, it has not brought the password.

    :param own: the names of the frontends that ask for none.
    :param realm: in double quotes.
    :param trusted: networks of proxies that say whose request it is: else one client could shut out all of theirs.
    """
    key = f"var(txn.marathon_lb_from),concat(/{sha256(backend.encode()).hexdigest()[:32]})"
    asked = f"!{{ fe_name -m str {own} }}"
    given = "{ var(txn.marathon_lb_auth) -m str given }"
    rules = (
        "set-var(txn.marathon_lb_auth) str(none)",
        f"set-var(txn.marathon_lb_auth) str(given) if {asked} {{ req.hdr(authorization) -m beg -i basic }}",
        f"set-var(txn.marathon_lb_from) src,ipmask(32,64) if {given}",
        *(
            f"set-var(txn.marathon_lb_from) req.hdr_ip(x-forwarded-for,-1),ipmask(32,64) if {given} {{ src {each} }}"
            for each in network_lines(trusted)
        ),
        f"deny deny_status 429 if {given} {{ {key},table_gpc0_rate({WRONG_PASSWORDS}) ge {MOST_WRONG} }}",
        f"set-var(txn.marathon_lb_auth) str(right) if {given}"
        f" !{{ req.fhdr(authorization),length gt {LONGEST} }} {{ http_auth(user_{backend}) }}",
        f"track-sc1 {key} table {WRONG_PASSWORDS} if {given}",
        f"sc-inc-gpc0(1) if {given} {{ {key},in_table({WRONG_PASSWORDS}) }}",
        f"auth realm {realm} if {asked} !{{ var(txn.marathon_lb_auth) -m str right }}",
    )
    return "".join(f"  http-request {rule}\n" for rule in rules)
