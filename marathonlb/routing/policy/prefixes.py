"""
The policy: what the apps of a cluster of many teams may claim, by the prefix of their ids.

Without a policy everything is allowed. A violation is a problem like any other: that service is not served, and its
owner reads which section of the policy forbids it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from attrs import evolve, field, frozen

from marathonlb.marathon.model import App, cluster_of, id_in_cluster, qualified
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.sharing import (
    POLICY_ADDRESS,
    POLICY_GROUP,
    POLICY_HOST,
    POLICY_NETWORK,
    POLICY_PORT,
    POLICY_TEXT,
)
from marathonlb.routing.hosts import covers
from marathonlb.routing.lines.allowed import MOST_EFFORT, effort, refusal
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import covered
from marathonlb.routing.services.model import AppServices, Service

FORBIDDEN = "the policy forbids it"
"""The first words of the reason of every such problem, for people."""

TEXT_LABELS = frozenset({"BIND_OPTIONS", "FRONTEND_EXTRA", "BACKEND_EXTRA", "SERVER_EXTRA"})
"""Labels besides the templates whose value is text of HAProxy's configuration."""

Network = IPv4Network | IPv6Network

_LABEL = re.compile(r"HAPROXY_([0-9]{1,9})_(.+)", re.ASCII | re.DOTALL)
_EVERYWHERE: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@frozen(kw_only=True)
class Grant:
    """
    The rights of the apps below one prefix. None allows everything; an empty tuple allows nothing.

    :param section: the section of the policy, as problems name it.
    :param templates: patterns of labels that hold text for HAProxy's configuration (``BACKEND_*``).
    :param harmless_lines: True to allow such a label also if each of its lines concerns only the service.
    :param hosts: host names; ``*.example.com`` covers every deeper name and the wildcards among them.
    :param ports: ranges of service ports, both ends included.
    :param addresses: networks or names that a service port may be bound to.
    :param networks: networks of clients that a service may let in.
    :param certificates: patterns of the paths of the files that labels may name.
    :param deployment_groups: patterns of the groups that an app may join, which gives it a share of their requests.
    """

    section: str = "defaults"
    templates: tuple[str, ...] | None = None
    harmless_lines: bool = False
    hosts: tuple[str, ...] | None = None
    ports: tuple[tuple[int, int], ...] | None = None
    addresses: tuple[Network | str, ...] | None = None
    networks: tuple[Network, ...] | None = None
    deployment_groups: tuple[str, ...] | None = None
    certificates: tuple[str, ...] | None = None


@frozen
class Policy:
    """
    The grants of a cluster.

    :param defaults: holds for apps that no prefix covers, and for what the grant of a prefix leaves open.
    :param grants: by prefix of the app ids, which begins with ``/``, or with a cluster's name and ``:/``; the longest
        prefix wins.
    """

    defaults: Grant = field(factory=Grant)
    grants: Mapping[str, Grant] = field(factory=dict)

    def grant(self, app_id: str) -> Grant:
        """
        Return the grant of one app.

        A prefix holds for every cluster; with a cluster's name before it, it holds only for that cluster. If both
        exist for the same part of the id, the one with the cluster's name wins.
        """
        cluster = qualified(cluster_of(app_id), "")
        path = id_in_cluster(app_id)
        while True:
            for prefix in (f"{cluster}{path or '/'}", path or "/"):
                if prefix in self.grants:
                    return self.grants[prefix]
            if not path:
                return self.defaults
            path = path.rpartition("/")[0]

    def file_violation(self, app_id: str, path: str) -> str:
        """Return why an app's labels may not name a file, by its normal path; empty if they may."""
        grant = self.grant(app_id)
        if grant.certificates is None or covered(path, grant.certificates):
            return ""
        return f"{FORBIDDEN}: {_only(grant, 'certificates', grant.certificates)}"

    def applied(self, app: App, offered: AppServices) -> AppServices:
        """Return what an app offers without the services that violate the policy, and a problem for each violation."""
        if not self.grants and self.defaults == Grant():
            return offered
        grant = self.grant(app.id)
        problems: list[Problem] = []
        kept: list[Service] = []
        for service in offered.services:
            found = [*_violations(grant, app, service), *_group_violations(grant, offered)]
            problems += [
                Problem(app.id, service.port_index, label, value, f"{FORBIDDEN}: {reason}", kind=kind)
                for kind, label, value, reason in found
            ]
            if not found:
                kept.append(service)
        if not problems:
            return offered
        return evolve(offered, services=tuple(kept), problems=(*offered.problems, *problems))


OPEN = Policy()
"""The policy without a file: everything is allowed."""


Violation = tuple[ProblemKind, str, str, str]
"""The kind of problem, a label, its value, and why the label may not hold it."""


def _violations(grant: Grant, app: App, service: Service) -> Iterator[Violation]:
    """Yield every violation of a service."""
    prefix = f"HAPROXY_{service.port_index}"
    yield from _text_violations(grant, service)
    if grant.hosts is not None:
        for host in (*service.hosts, *service.passthrough):
            if not host_allowed(host, grant.hosts):
                yield POLICY_HOST, f"{prefix}_VHOST", host, _only(grant, "hosts", grant.hosts)
    yield from _port_violations(grant, app, service)
    if grant.networks is not None:
        refused = [text for text in service.networks if not network_allowed(ip_network(text), grant.networks)]
        reason = _only(grant, "networks", map(str, grant.networks))
        if not service.networks and not all(
            network_allowed(network, grant.networks) for network in _EVERYWHERE
        ):
            yield (
                POLICY_NETWORK,
                f"{prefix}_BACKEND_NETWORK_ALLOWED_ACL",
                "",
                f"without it every client is let in; {reason}",
            )
        elif refused:
            yield POLICY_NETWORK, f"{prefix}_BACKEND_NETWORK_ALLOWED_ACL", " ".join(refused), reason


def _text_violations(grant: Grant, service: Service) -> Iterator[Violation]:
    """Yield the labels whose text for HAProxy's configuration is not allowed."""
    spent = 0
    for name, text in _text_labels(service) if grant.templates is not None else ():
        label, patterns = f"HAPROXY_{service.port_index}_{name}", grant.templates or ()
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if not grant.harmless_lines:
            yield POLICY_TEXT, label, "", _only(grant, "templates", patterns)
            continue
        reason = refusal(name, text)
        spent += 0 if reason else effort(name, text)
        if not reason and spent > MOST_EFFORT:
            reason = "the lines of the service together take HAProxy too long for each request"
        if reason:
            yield POLICY_TEXT, label, "", f"{grant.section} allows harmless lines alone: {reason}"


def _group_violations(grant: Grant, offered: AppServices) -> Iterator[Violation]:
    group: str = offered.labels.get("DEPLOYMENT_GROUP") or ""
    allowed = grant.deployment_groups
    if group and allowed is not None and not any(fnmatchcase(group, pattern) for pattern in allowed):
        yield POLICY_GROUP, "HAPROXY_DEPLOYMENT_GROUP", group, _only(grant, "deployment_groups", allowed)


def _port_violations(grant: Grant, app: App, service: Service) -> Iterator[Violation]:
    prefix, port, address = f"HAPROXY_{service.port_index}", service.service_port, service.bind_addr
    ranges = grant.ports
    if ranges is not None and _claims_port(app, service) and not any(a <= port <= z for a, z in ranges):
        shown = [str(low) if low == high else f"{low}-{high}" for low, high in ranges]
        yield POLICY_PORT, f"{prefix}_PORT", str(port), _only(grant, "ports", shown)
    if grant.addresses is not None and not address_allowed(address, grant.addresses):
        yield (
            POLICY_ADDRESS,
            f"{prefix}_BIND_ADDR",
            address,
            _only(grant, "addresses", map(str, grant.addresses)),
        )


def _only(grant: Grant, key: str, allowed: Iterable[str]) -> str:
    listed = ", ".join(allowed)
    return (
        f"{grant.section} allows the {key} {listed} alone" if listed else f"{grant.section} allows no {key}"
    )


def _text_labels(service: Service) -> list[tuple[str, str]]:
    """Return the names and values of a port's labels that hold text of HAProxy's configuration."""
    options = {"BIND_OPTIONS": service.bind_options} if service.bind_options else {}
    return sorted({**service.overrides, **options}.items())


def _claims_port(app: App, service: Service) -> bool:
    """Return True if the app or Marathon chose the service port; a port assigned here is no claim of the app's."""
    named = app.ports[service.port_index].service_port if service.port_index < len(app.ports) else 0
    if named == service.service_port:
        return True
    return any(
        (found := _LABEL.fullmatch(label)) and int(found[1]) == service.port_index and found[2] == "PORT"
        for label in app.labels
    )


def host_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Return True if a pattern covers a virtual host, which may be a wildcard itself."""
    return any(covers(pattern, host) for pattern in allowed)


def address_allowed(address: str, allowed: Iterable[Network | str]) -> bool:
    """
    Return True if a port may be bound to an address.

    ``*``, ``0.0.0.0`` and ``::`` are every address, which only ``0.0.0.0/0`` and ``::/0`` allow; to the kernel ``::``
    includes every address of IPv4.
    """
    bare = address.strip("[]")
    if bare in ("*", "::"):
        return set(_EVERYWHERE) <= set(allowed)
    try:
        ip = ip_address(bare)
    except ValueError:
        return bare in allowed
    ip = getattr(ip, "ipv4_mapped", None) or ip
    networks = [entry for entry in allowed if not isinstance(entry, str) and entry.version == ip.version]
    return any(not network.prefixlen if ip.is_unspecified else ip in network for network in networks)


def network_allowed(network: Network, allowed: Iterable[Network]) -> bool:
    """
    Return True if the clients of a network may be let in: it lies within one of those allowed.

    To HAProxy an IPv6 network that holds addresses of ``::ffff:0:0/96`` holds the IPv4 clients that these stand for, so
    ``::/0`` claims all of IPv4 as well.
    """
    entries = [_as_ipv4(entry) or entry for entry in allowed]
    mapped = _as_ipv4(network)
    claimed: list[Network] = [mapped] if mapped is not None else [network]
    if mapped is None and isinstance(network, IPv6Network) and _MAPPED.subnet_of(network):
        claimed.append(_EVERYWHERE[0])
    return all(
        any(entry.version == one.version and one.subnet_of(entry) for entry in entries)  # type: ignore[arg-type]
        for one in claimed
    )


_MAPPED = IPv6Network("::ffff:0:0/96")


def _as_ipv4(network: Network) -> IPv4Network | None:
    """Return the IPv4 network that an IPv6 network of mapped addresses stands for; None for any other."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return None
    address = int(network.network_address) & 0xFFFFFFFF
    return IPv4Network((address, network.prefixlen - 96))
