"""
Interfaces of the applier, and of what it uses: the check and the reload of a configuration.

Each has a real implementation in this wing and a fake in the tests; both pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from marathonlb.config.text.model import Config
from marathonlb.haproxy.outcome import Outcome
from marathonlb.haproxy.reload_reason import ReloadReason


class ReloadResult(Struct, frozen=True, kw_only=True):
    """
    The result of a reload that did not fail.

    :param running: False where no HAProxy runs with the file, so that there was none to reload.
    :param output: the output of HAProxy or of the reload command.
    """

    running: bool = True
    output: str = ""


class IApplier(Interface):
    """Makes HAProxy run a configuration."""

    running: Config | None = Attribute(
        "The configuration that HAProxy confirmed; None where it is not known yet."
    )

    def recover() -> Deferred[None]:
        """Complete or discard what a crash interrupted. Fails with `marathonlb.errors.PublishFailed`."""

    def apply(
        wanted: Config,
        *,
        may_reload: bool = True,
        may_gather: bool = False,
        as_of: float | None = None,
        once: bool = False,
    ) -> Deferred[Outcome]:
        """
        Make HAProxy run a configuration, by the smallest step that does.

        :param may_reload: whether a reload is allowed now. Where it is not and one is needed, the outcome is
            `Postponed`; the caller asks again later.
        :param may_gather: whether a reload may wait for others that only adds ports to what is served already; then
            the outcome is `Postponed`, too.
        :param as_of: when the state was asked for from which `wanted` was made, in seconds on the clock; servers that
            `drain` named after that stay drained. None undoes what `wanted` does not confirm.
        :param once: see `IReloader.reload`.

        Fails with `InvalidConfiguration` or `CheckFailed` (nothing was touched), `PublishFailed`, `ReloadFailed` or
        `HAProxyUnavailable`; HAProxy serves on. After a failure the same configuration is tried again when asked for
        again.
        """

    def drain(servers: Iterable[tuple[str, str]]) -> Deferred[None]:
        """
        Drain servers at once; the next `apply` confirms or undoes it.

        :param servers: each a backend and the name of a server in it; those that HAProxy does not run are left out.

        Never fails: where the runtime API does not answer, the next `apply` does what is needed.
        """

    def flush() -> Deferred[None]:
        """Write the runtime changes that the files do not have yet. Fails with `PublishFailed`."""

    def check(config: Config, *, control: bool = False) -> Deferred[str]:
        """Check a configuration without applying it; see `IChecker.check`."""

    def distrust(reason: ReloadReason) -> None:
        """Reload at the next `apply` though nothing differs, for this reason."""

    def served() -> frozenset[str]:
        """
        Return the names of the running backends that have servers, or after a start those of the file on disk.

        Raises `PublishFailed` where the file cannot be read.
        """

    def sections() -> frozenset[tuple[str, str]]:
        """Return all running sections, each as its keyword and its name; see `served`."""

    def pids() -> Deferred[tuple[int, ...]]:
        """Return the process ids of HAProxy's workers, old ones that still drain included."""

    def serving() -> Deferred[bool]:
        """Return whether HAProxy serves on where nothing is applied; see `IReloader.serving`."""


class IChecker(Interface):
    """Checks whether HAProxy accepts a configuration."""

    def check(
        path: str, config: Config, *, control: bool = False, running: str | None = None
    ) -> Deferred[str]:
        """
        Check a file.

        :param path: the staged file; map files lie beside it.
        :param config: the configuration that it was written from, which tells the writer of a line.
        :param control: whether HAProxy has accepted this before. Where even that takes too long, the machine is slow,
            and the next checks get more time.
        :param running: the text that HAProxy runs, where a reload is to replace it; None where that is not known.
        :return: HAProxy's warnings where it accepts; empty mostly.

        Fails with `InvalidConfiguration`, with `CheckFailed` where HAProxy comes to no verdict, with
        `HAProxyUnavailable` where it cannot be started, or with `ReloadFailed` where its reload would fail.
        """


class IReloader(Interface):
    """Makes HAProxy read its files again."""

    def reload(config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """
        Make HAProxy run the files on disk, and confirm that it does; start a managed HAProxy that does not run.

        :param config: the configuration that the files were written from, which tells the writer of a line.
        :param once: give up after one attempt, however many the operator has asked for.

        Fails with `ReloadFailed` or `HAProxyUnavailable`.
        """

    def serving() -> Deferred[bool]:
        """
        Return whether HAProxy runs what it has confirmed, so that nothing needs to be done for it.

        False only where a managed HAProxy does not run.
        """

    def pids() -> Deferred[tuple[int, ...]]:
        """Return the process ids of HAProxy's workers, old ones that still drain included; empty where none runs."""
