"""
What `marathonlb.haproxy.applier` wants of the world, and what the reconciler wants of it.

Each interface has a real implementation here and a fake in the tests; both pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from marathonlb.config.text.model import Config
from marathonlb.haproxy.outcome import Outcome
from marathonlb.haproxy.reload_reason import ReloadReason


@frozen(kw_only=True)
class ReloadResult:
    """
    The result of a reload that did not fail.

    :param running: False where no HAProxy runs with the file, so that there was none to reload.
    :param output: the output of HAProxy or of the reload command.
    """

    running: bool = True
    output: str = ""


class IApplier(Interface):
    """The one that makes HAProxy run what is wanted."""

    running: Config | None = Attribute(
        "What HAProxy confirmed that it runs; None where nothing is known yet."
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
        Take the smallest step that makes HAProxy run this.

        :param may_reload: whether now is a time for a reload. Where not and one is needed, the outcome is `Postponed`;
            it is to be asked again later.
        :param may_gather: whether a reload may wait for others which only adds ports to what steps let serve already;
            then the outcome is `Postponed`, too.
        :param as_of: when that was asked from which `wanted` was made, in seconds on the clock; servers that `drain`
            named after that stay drained. None undoes what `wanted` does not confirm.
        :param once: see `IReloader.reload`.

        Fails with `InvalidConfiguration` or `CheckFailed` (nothing was touched), `PublishFailed`, `ReloadFailed` or
        `HAProxyUnavailable`; what was served goes on being served. After a failure the same configuration is tried
        anew when asked again.
        """

    def drain(servers: Iterable[tuple[str, str]]) -> Deferred[None]:
        """
        Let servers take no new requests, at once; the next `apply` confirms or undoes it.

        :param servers: each a backend and the name of a server in it; those that HAProxy does not run are left out.

        Never fails: where HAProxy cannot be asked, the next `apply` does what is needed.
        """

    def flush() -> Deferred[None]:
        """Write what HAProxy was led to by steps and its file does not say yet. Fails with `PublishFailed`."""

    def check(config: Config, *, control: bool = False) -> Deferred[str]:
        """Whether HAProxy accepts a configuration; see `IChecker.check`. Nothing is applied."""

    def distrust(reason: ReloadReason) -> None:
        """Reload at the next `apply` though nothing differs, for this reason."""

    def served() -> frozenset[str]:
        """
        The names of the backends with servers that HAProxy runs, or after a start those of the file on disk.

        Raises `PublishFailed` where the file cannot be read.
        """

    def sections() -> frozenset[tuple[str, str]]:
        """All sections of what HAProxy runs, each as its keyword and its name; see `served`."""

    def pids() -> Deferred[tuple[int, ...]]:
        """The process ids of HAProxy's workers, old ones that still drain included."""

    def serving() -> Deferred[bool]:
        """Whether HAProxy runs on with what it has where nothing is applied; see `IReloader.serving`."""


class IChecker(Interface):
    """One that knows whether HAProxy would accept a file."""

    def check(path: str, config: Config, *, control: bool = False) -> Deferred[str]:
        """
        Whether HAProxy accepts this file.

        :param path: the staged file; map files lie beside it.
        :param config: what it was written from, to tell who wrote a line.
        :param control: whether HAProxy has accepted this before. Where even that takes too long, the machine is slow:
            the next checks are given more time.
        :return: HAProxy's words where it accepts, empty mostly.

        Fails with `InvalidConfiguration`, with `CheckFailed` where HAProxy comes to no verdict, or with
        `HAProxyUnavailable` where it cannot be asked.
        """


class IReloader(Interface):
    """One that can make HAProxy read its file again."""

    def reload(config: Config, *, once: bool = False) -> Deferred[ReloadResult]:
        """
        Make HAProxy run what lies on disk, and make sure that it does; start it where it is ours and does not run.

        :param config: what the file was written from, to tell who wrote a line that HAProxy complains about.
        :param once: give up after one attempt, however many the operator has asked for.

        Fails with `ReloadFailed` or `HAProxyUnavailable`.
        """

    def serving() -> Deferred[bool]:
        """
        Whether nothing needs to be done for HAProxy to run what lies on disk, once it has confirmed that.

        False only where HAProxy is ours to start and does not run.
        """

    def pids() -> Deferred[tuple[int, ...]]:
        """The process ids of HAProxy's workers, old ones that still drain included; empty where none runs."""
