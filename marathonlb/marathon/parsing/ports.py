"""
Parse the ports of an app and its networking mode from the seven places where Marathon's versions have them.

``container.portMappings`` (≥ 1.5) or ``container.docker.portMappings`` (before) in bridge and container networking,
``ipAddress.discovery.ports`` (0.14 to 1.4) if there are none, else ``portDefinitions`` (≥ 1.0), else ``ports``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from marathonlb.base import limits
from marathonlb.marathon.model import Networking, Port
from marathonlb.marathon.parsing.schema import AppHead, DiscoveryPort, Network, PortMapping


def networking_of(networks: Iterable[Network] | None) -> Networking | None:
    """
    Return the mode of ``networks`` (Marathon ≥ 1.5 and pods); None if there is none.

    Marathon allows no mixture of modes, and an entry without a mode is a container network.
    """
    modes = {network.mode or "container" for network in networks or ()}
    if "container" in modes:
        return Networking.CONTAINER
    if "container/bridge" in modes:
        return Networking.BRIDGE
    return Networking.HOST if modes else None


def networking_for(wire: AppHead) -> Networking:
    """
    Return the networking mode from ``docker.network``, ``networks`` and ``ipAddress``.

    No Marathon sends both ``docker.network`` (≤ 1.4) and ``networks`` (≥ 1.5). Definitions written by hand for a
    1.4 may hold both; that Marathon reads only the first, so it wins.
    """
    docker = wire.container and wire.container.docker
    network = ((docker and docker.network) or "").upper()
    if network == "BRIDGE":
        return Networking.BRIDGE
    if network == "USER":
        return Networking.CONTAINER
    mode = None if network == "HOST" else networking_of(wire.networks)
    return mode or (Networking.HOST if wire.ip_address is None else Networking.CONTAINER)


def ports_for(wire: AppHead) -> tuple[Port, ...]:
    """
    Return the ports in the order of their definition; the module's docstring says which definition counts.

    At most `limits.PORTS` + 1 ports are returned, so that the caller can see that there are too many.
    """
    return tuple(islice(_all_ports(wire), limits.PORTS + 1))


def _all_ports(wire: AppHead) -> Iterable[Port]:
    networking = networking_for(wire)
    container = wire.container
    docker = container and container.docker
    mappings = (container and container.port_mappings) or (docker and docker.port_mappings) or ()
    definitions = _definitions(wire)
    if networking is Networking.HOST and definitions:
        return definitions
    if mappings:
        return (_mapped(mapping, definitions, i, networking) for i, mapping in enumerate(mappings))
    if networking is Networking.CONTAINER and wire.ip_address and wire.ip_address.discovery:
        discovered = wire.ip_address.discovery.ports
        if discovered:
            return (_discovered(port, definitions, index) for index, port in enumerate(discovered))
    return definitions


def _definitions(wire: AppHead) -> tuple[Port, ...]:
    """Return the ports of ``portDefinitions`` (≥ 1.0), else of ``ports`` (up to 1.4), which mean the same."""
    if wire.port_definitions:
        return tuple(
            Port(service_port=p.port or 0, protocol=protocol_of(p.protocol), name=port_name(p.name))
            for p in wire.port_definitions[: limits.PORTS + 1]
        )
    return tuple([Port(service_port=port) for port in (wire.ports or ())[: limits.PORTS + 1]])


def _service_port(definitions: Sequence[Port], index: int) -> int:
    return definitions[index].service_port if index < len(definitions) else 0


def _mapped(mapping: PortMapping, definitions: Sequence[Port], index: int, networking: Networking) -> Port:
    inside = networking is Networking.CONTAINER
    return Port(
        service_port=mapping.service_port or _service_port(definitions, index),
        container_port=(mapping.container_port or None) if inside else None,
        on_host=not inside or mapping.host_port is not None,
        protocol=protocol_of(mapping.protocol),
        name=port_name(mapping.name),
    )


def _discovered(port: DiscoveryPort, definitions: Sequence[Port], index: int) -> Port:
    return Port(
        service_port=_service_port(definitions, index),
        container_port=port.number or None,
        on_host=False,
        protocol=protocol_of(port.protocol),
        name=port_name(port.name),
    )


def port_name(text: str | None) -> str | None:
    """Return the name of a port; None if it cannot be a word of a line of HAProxy's configuration."""
    return text if text and len(text) <= limits.WORD and text.isprintable() and " " not in text else None


def protocol_of(text: str | None) -> str:
    """Return ``tcp``, ``udp`` or ``udp,tcp`` in any spelling; everything but UDP (``http`` of a pod) is TCP."""
    if not text or text == "tcp":
        return "tcp"
    parts = {part.strip().lower() for part in text.split(",")} - {""}
    if "udp" not in parts:
        return "tcp"
    return "udp" if len(parts) == 1 else "udp,tcp"
