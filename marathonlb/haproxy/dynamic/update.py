"""
Runtime updates as values: the comparison, the plan and the result. Pure.

`marathonlb.haproxy.dynamic.plan` makes a plan, `marathonlb.haproxy.dynamic.updater` carries it out and returns what
HAProxy answered, and the owner of the state (`marathonlb.haproxy.running_config`) takes note of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, auto

from attrs import field, frozen
from msgspec import Struct

from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config
from marathonlb.config.text.server_lines import Backend
from marathonlb.haproxy.dynamic.backends import ReportedBackends
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.maps import Maps
from marathonlb.haproxy.dynamic.server_state import ReportedServer
from marathonlb.haproxy.dynamic.servers import BackendChange, HeldServer, Steps
from marathonlb.haproxy.reload_reason import ADOPTED, WHITE_SPACE_DIFFERS, Reasons, from_differences
from marathonlb.haproxy.runtime.replies import CommandRefusal

ServerName = tuple[str, str]
"""A backend and the name of a server in it."""

HeldServers = Mapping[str, HeldServer | None]
"""The servers that HAProxy holds of one backend, by name; None for one that it lacks."""


class Comparison(Struct, frozen=True):
    """
    What HAProxy runs beside what is wanted, in texts that can be compared.

    :param identical: whether the files for the two are the same, byte by byte.
    :param adopted: whether what runs was found on disk by this controller, and was not made by it.
    """

    running: Config
    wanted: Config
    differences: tuple[Difference, ...] = ()
    identical: bool = False
    adopted: bool = False

    @property
    def reasons(self) -> Reasons:
        """The reasons of a reload that does everything; none where nothing differs."""
        reasons = from_differences(self.differences)
        if not self.adopted:
            return reasons
        return () if self.identical else self.explained(reasons or (WHITE_SPACE_DIFFERS,))

    def explained(self, reasons: Reasons) -> Reasons:
        """Return the reasons of a reload, which say first that a HAProxy was taken over where one was."""
        return (ADOPTED, *reasons) if reasons and self.adopted else reasons


@frozen
class UpdatePlan:
    """
    What the runtime API is to change, and why a reload has to do the rest.

    :param config: the configuration that is wanted, as it was rendered.
    :param comparison: where it differs from what runs.
    :param steps: for servers, and for backends that are created.
    :param backends: the backends whose servers change, by name.
    :param created: the backends that are created, by name.
    :param maps: the entries that maps are to have; where a reload follows, before it.
    :param partial_maps: the maps that get only a part of what is wanted, or nothing; the reload does the rest.
    :param withdrawn: the backends that go once no map names them.
    :param unsure: the backends that have to be read back before anything can be planned; then nothing else is.
    :param look_for_backends: whether that is to be found out of all backends: one was being created.
    :param reasons: of the reload that has to do the rest; empty where none is needed.
    :param may_wait: whether that reload does nothing but add more ways to what is served already.
    :param archive_reasons: why the configuration is worth keeping in the archive; empty where only tasks changed.
    :param requested: the reloads that were asked for when this was planned.
    """

    config: Config
    comparison: Comparison
    steps: Steps = field(factory=Steps)
    backends: Mapping[str, BackendChange] = field(factory=dict)
    created: Mapping[str, Backend] = field(factory=dict)
    maps: Maps = field(factory=dict)
    partial_maps: frozenset[str] = frozenset()
    withdrawn: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    look_for_backends: bool = False
    reasons: Reasons = ()
    may_wait: bool = False
    archive_reasons: Reasons = ()
    requested: Reasons = ()

    @property
    def looks(self) -> bool:
        """True if it only reads back."""
        return bool(self.unsure or self.look_for_backends)

    def __bool__(self) -> bool:
        return bool(self.steps or self.maps or self.withdrawn or self.looks)

    def rest_of(self, backend: str) -> str:
        """Return the wanted text of a backend without its servers; empty where the plan does not touch it."""
        change = self.backends.get(backend)
        wanted = self.created.get(backend) if change is None else change.wanted
        return "" if wanted is None else wanted.rest


class Trouble(Enum):
    """Why an update stopped though it may succeed when it is planned again."""

    UNAVAILABLE = auto()
    """The runtime API stopped answering; a kept connection may have been closed."""
    OTHER_WORKER = auto()
    """Another worker answers than the one that confirmed what runs."""
    MISMATCH = auto()
    """A backend does not read back as it was set."""


@frozen
class UpdateResult:
    """
    What HAProxy answered to an update.

    :param steps: what was done.
    :param backends: the backends that are as planned, each with its servers that were in use and not deleted.
    :param created: the backends that are created.
    :param maps: what maps hold now.
    :param withdrawn: the backends that take no requests any more.
    :param held: what other backends hold than they should.
    :param reported: what backends that were read back hold, by backend and server.
    :param reported_backends: the backends that are in no file; None where that was not asked.
    :param refusal: the command that was refused.
    :param reasons: of a reload that has to do the rest; empty where nothing is left.
    :param may_wait: see `UpdatePlan`.
    :param trouble: why planning again may help.
    """

    steps: Steps = field(factory=Steps)
    backends: Mapping[str, Collection[str]] = field(factory=dict)
    created: tuple[str, ...] = ()
    maps: Maps = field(factory=dict)
    withdrawn: tuple[str, ...] = ()
    held: Mapping[str, HeldServers] = field(factory=dict)
    reported: Mapping[str, Mapping[str, ReportedServer]] = field(factory=dict)
    reported_backends: ReportedBackends | None = None
    refusal: CommandRefusal | None = None
    reasons: Reasons = ()
    may_wait: bool = False
    trouble: Trouble | None = None


class WorkerIdentity(Struct, frozen=True):
    """A worker and what its version can do."""

    pid: int
    capabilities: RuntimeCapabilities


class WorkerObservation(Struct, frozen=True):
    """
    What a worker holds.

    :param servers: by backend and server.
    :param maps: the maps in use that hold something else than the configuration says, with what they hold.
    :param backends: those that are in no file.
    """

    identity: WorkerIdentity
    servers: Mapping[str, Mapping[str, ReportedServer]]
    maps: Maps
    backends: ReportedBackends


class Deletions(Struct, frozen=True):
    """
    What became of servers and backends that were to be deleted.

    :param servers: each with whether it is deleted.
    :param backends: those that are deleted.
    """

    servers: Mapping[ServerName, bool]
    backends: tuple[str, ...]
