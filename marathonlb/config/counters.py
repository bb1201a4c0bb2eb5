"""
Counters that survive a reload: those of ``HAPROXY_{n}_RATE_LIMIT`` and those of wrong passwords. Pure.

HAProxy's old worker passes the tables of a ``peers`` section to the new one through a socket in the state directory. It
has to reach the socket with its reduced rights, and would retry until it ends (``hard-stop-after``). With our
HAPROXY_HEAD it can. Another HAPROXY_HEAD may have a ``user`` or a ``chroot``, so there the counters start from zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from marathonlb.config.requests import network_lines
from marathonlb.config.rule_templates import auth_in_frontends
from marathonlb.config.templates.loader import Templates
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.routing.lines.passwords import LONGEST
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

NAME = "marathon_lb"
"""The name of the ``peers`` section."""

WRONG_PASSWORDS = "marathon_lb_auth"
"""The table of wrong passwords; no app's backend has this name, because theirs end in a port."""

MOST_WRONG, SECONDS = 20, 10
"""Maximum wrong passwords per address and service in this number of seconds; then no password is checked."""


def peers(templates: Templates) -> str:
    """Return the words with which a ``stick-table`` is passed on at a reload; empty if that is not possible."""
    return f" peers {NAME}" if templates.get("HEAD").is_default else ""


def sections(templates: Templates, settings: Settings, services: Iterable[Service]) -> Iterator[Section]:
    """Yield the table of wrong passwords if a backend asks for passwords, and ``peers`` if there is a table."""
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
    Return the rules of a backend that asks for its password, except for requests from its own frontends.

    Wrong passwords are counted per client address and backend; beyond `MOST_WRONG` no hash is computed. For IPv6 the
    network of 64 bits counts, which belongs to one client. A hash is computed once per request, and not for credentials
    that are too long. If any check of a request cannot be made, its password counts as not given.

    :param own: the names of the frontends without a password, separated by blanks.
    :param realm: the realm, in double quotes.
    :param trusted: networks of proxies whose ``X-Forwarded-For`` is believed; otherwise one client of a proxy could
        lock out all others.
    """
    key = f"var(txn.marathon_lb_from),concat(/{sha256(backend.encode()).hexdigest()[:32]})"
    asked = f"!{{ fe_name -m str {own} }}"
    given = "{ var(txn.marathon_lb_auth) -m str given }"
    rules = (
        "set-var(txn.marathon_lb_auth) str(none)",
        f"set-var(txn.marathon_lb_auth) str(given) if {asked} {{ req.hdr(authorization) -m beg -i basic }}",
        f"set-var(txn.marathon_lb_from) src,ipmask(32,64) if {given}",
        *(
            f"set-var(txn.marathon_lb_from) req.hdr_ip(x-forwarded-for,-1),ipmask(32,64) if {given} {{ src {line} }}"
            for line in network_lines(trusted)
        ),
        f"deny deny_status 429 if {given} {{ {key},table_gpc0_rate({WRONG_PASSWORDS}) ge {MOST_WRONG} }}",
        f"set-var(txn.marathon_lb_auth) str(right) if {given}"
        f" !{{ req.fhdr(authorization),length gt {LONGEST} }} {{ http_auth(user_{backend}) }}",
        f"track-sc1 {key} table {WRONG_PASSWORDS} if {given}",
        f"sc-inc-gpc0(1) if {given} {{ {key},in_table({WRONG_PASSWORDS}) }}",
        f"auth realm {realm} if {asked} !{{ var(txn.marathon_lb_auth) -m str right }}",
    )
    return "".join(f"  http-request {rule}\n" for rule in rules)
