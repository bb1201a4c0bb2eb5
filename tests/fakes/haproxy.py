"""Fakes of the parts that use HAProxy; they pass the contract tests of the real ones (`tests.haproxy.contracts`)."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from zope.interface import implementer

from marathonlb.config.text.diff import differences
from marathonlb.config.text.model import Config
from marathonlb.errors import CheckFailed, Complaint, InvalidConfiguration, ReloadFailed
from marathonlb.haproxy.interfaces import IApplier, IChecker, IReloader, ReloadResult
from marathonlb.haproxy.outcome import Outcome, Postponed, Reloaded, Stepped, Unchanged, Written
from marathonlb.haproxy.reload_reason import (
    FIRST_START,
    UNCONFIRMED,
    Reasons,
    ReloadReason,
    from_differences,
)

NONSENSE = "nonsense here"
"""A line that every HAProxy and the fakes reject."""


def complaints(config: Config, refused: str = NONSENSE) -> tuple[Complaint, ...]:
    """Return HAProxy's complaints about the lines that contain these words."""
    found = []
    for number, line in enumerate(config.template.split("\n"), 1):
        if refused in line:
            place = config.locate(number)
            owner = place[1].owner if place else None
            found.append(Complaint(message=f"unknown keyword {line.strip()!r}", line=number, owner=owner))
    return tuple(found)


def _holds(config: Config, each: list[set[str]]) -> bool:
    """Return whether a text contains all words of one of these sets."""
    text = config.template
    return any(all(word in text for word in words) for words in each)


@implementer(IChecker)
class FakeChecker:
    """
    Rejects every line that contains one of some words.

    :ivar refused: those words.
    :ivar checked: the paths of the checked files, and their text at that time.
    :ivar warnings: the output for accepted files.
    """

    def __init__(self, *refused: str) -> None:
        self.refused = {NONSENSE, *refused}
        self.checked: list[tuple[str, str]] = []
        self.warnings = ""

    def check(
        self, path: str, config: Config, *, control: bool = False, running: str | None = None
    ) -> Deferred[str]:
        with open(path, encoding="utf-8") as file:
            self.checked.append((path, file.read()))
        found = tuple(c for words in sorted(self.refused) for c in complaints(config, words))
        return fail(InvalidConfiguration(complaints=found)) if found else succeed(self.warnings)


@implementer(IReloader)
class FakeReloader:
    """
    Reloads at once, fails, or waits, as the test sets it.

    :ivar reloaded: the configurations of all reloads.
    :ivar failures: errors for the next reloads, in order.
    :ivar up: True if HAProxy runs.
    :ivar found: True if a reload finds a running HAProxy.
    """

    def __init__(self) -> None:
        self.reloaded: list[Config] = []
        self.failures: list[Exception] = []
        self.up = False
        self.found = True
        self.held: Deferred[None] | None = None

    def reload(self, config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        return Deferred.fromCoroutine(self._reload(config))

    async def _reload(self, config: Config) -> ReloadResult:
        self.reloaded.append(config)
        if self.held is not None:
            await self.held
        if self.failures:
            raise self.failures.pop(0)
        self.up = True
        return ReloadResult(running=self.found)

    def serving(self) -> Deferred[bool]:
        return succeed(self.up)

    def pids(self) -> Deferred[tuple[int, ...]]:
        return succeed((100 + len(self.reloaded),) if self.up else ())


@implementer(IApplier)
class FakeApplier:
    """
    Applies in memory: plans like the real one, rejects like `FakeChecker`, and fails as the test sets it.

    :ivar wanted: all configurations that it was called with.
    :ivar applied: those that were applied.
    :ivar recovered: number of calls of `recover`.
    :ivar checked: number of checks without application.
    :ivar outcome: the class of the outcome of a change.
    :ivar silent: True if a rejection does not name the line.
    :ivar hangs: sets of words; the check of a text that contains all words of a set does not end.
    :ivar breaks: the same for reloads, which fail with `broken`.
    :ivar gathers: True if changes may wait for other reloads.
    :ivar drained: the drained servers.
    :ivar flushed: number of calls of `flush`.
    """

    def __init__(self, *refused: str) -> None:
        self.gathers = False
        self.drained: list[tuple[str, str]] = []
        self.draining: Deferred[None] | None = None
        self.flushed = 0
        self.running: Config | None = None
        self.wanted: list[Config] = []
        self.applied: list[Config] = []
        self.recovered = 0
        self.refused = {NONSENSE, *refused}
        self._failures: list[Exception] = []
        self._lock = DeferredLock()
        self._held: Deferred[None] | None = None
        self._doubtful = False
        self._distrusted: Reasons = ()
        self.checked = 0
        self.silent = False
        self.hangs: list[set[str]] = []
        self.breaks: list[set[str]] = []
        self.broken = ReloadFailed(reason="HAProxy answered Success=0")
        self.outcome: type[Reloaded | Stepped | Written] = Reloaded

    def fail_next(self, *errors: Exception) -> None:
        """Fail the next applications that change something with these errors, one each."""
        self._failures += errors

    def hold(self) -> None:
        """Delay applications until `release`, like a HAProxy that is loading."""
        self._held = Deferred()

    def release(self) -> None:
        """Complete the delayed applications."""
        held, self._held = self._held, None
        if held is not None:
            held.callback(None)

    def recover(self) -> Deferred[None]:
        self.recovered += 1
        return succeed(None)

    def apply(
        self,
        wanted: Config,
        *,
        may_reload: bool = True,
        may_gather: bool = False,
        as_of: float | None = None,
        once: bool = False,
    ) -> Deferred[Outcome]:
        may_reload = may_reload and not (may_gather and self.gathers)
        return self._lock.run(lambda: Deferred.fromCoroutine(self._apply(wanted, may_reload)))

    def drain(self, servers: Iterable[tuple[str, str]]) -> Deferred[None]:
        self.drained += servers
        return succeed(None) if self.draining is None else self.draining

    def flush(self) -> Deferred[None]:
        self.flushed += 1
        return succeed(None)

    def pids(self) -> Deferred[tuple[int, ...]]:
        return succeed((100 + len(self.applied),) if self.applied else ())

    def serving(self) -> Deferred[bool]:
        return succeed(bool(self.applied))

    def check(self, config: Config, *, control: bool = False) -> Deferred[str]:
        self.checked += 1
        if _holds(config, self.hangs):
            return fail(CheckFailed(reason="it hangs", how="haproxy -c did not end within 5 s"))
        found = tuple(c for words in sorted(self.refused) for c in complaints(config, words))
        return fail(InvalidConfiguration(complaints=found)) if found else succeed("")

    def distrust(self, reason: ReloadReason) -> None:
        self._distrusted = (reason,)

    def served(self) -> frozenset[str]:
        backends = (section for section in self.running or () if section.kind == "backend")
        return frozenset(section.name for section in backends if "\n  server " in section.text)

    def sections(self) -> frozenset[tuple[str, str]]:
        return frozenset((section.kind, section.name) for section in self.running or ())

    async def _apply(self, wanted: Config, may_reload: bool) -> Outcome:
        self.wanted.append(wanted)
        reasons = self._reasons(wanted)
        if not reasons:
            return Unchanged()
        if not may_reload:
            return Postponed(reasons=reasons)
        self._distrusted = ()
        if self._held is not None:
            await self._held
        found = tuple(c for words in sorted(self.refused) for c in complaints(wanted, words))
        if _holds(wanted, self.hangs):
            raise CheckFailed(reason="it hangs", how="haproxy -c did not end within 5 s")
        if found:
            raise InvalidConfiguration(
                complaints=() if self.silent else found, output="it does not say where"
            )
        if _holds(wanted, self.breaks):
            self._doubtful = True
            raise self.broken
        if self._failures:
            self._doubtful = True
            raise self._failures.pop(0)
        self.running, self._doubtful = wanted, False
        self.applied.append(wanted)
        seconds = {"check": 0.1, "publish": 0.01, "reload": 0.2}
        if self.outcome is Stepped:
            return Stepped(seconds=seconds)
        made = Written if self.outcome is Written else Reloaded
        return made(reasons=reasons, seconds=seconds)

    def _reasons(self, wanted: Config) -> Reasons:
        """Return why the real one would reload."""
        found = (
            (FIRST_START,) if self.running is None else from_differences(differences(self.running, wanted))
        )
        return found or self._distrusted or ((UNCONFIRMED,) if self._doubtful else ())
