"""Liveness and readiness of the controller."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

import msgspec
from attrs import frozen

from marathonlb.haproxy.outcome import Written
from marathonlb.web.context import ClusterContext, WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Refusal, data


class ReadinessKind(Enum):
    """Kinds of facts about the readiness."""

    MARATHON_SILENT = auto()
    """A cluster has not answered with all of its apps yet."""
    MARATHON_STALE = auto()
    """The last full answer of a cluster is older than ``--max-staleness``."""
    NOTHING_CONFIRMED = auto()
    """HAProxy has not confirmed any configuration yet."""
    CONFIGURATION_FROM_DISK = auto()
    """HAProxy runs the configuration that was on disk when the controller started."""
    UNCONFIRMED = auto()
    """HAProxy has not confirmed the present configuration."""
    TEMPLATE_CLOSED = auto()
    """A template of the operator's is refused, and the services that use it are closed."""
    NO_HAPROXY = auto()
    """The files are written and no HAProxy runs with them."""
    BLOCKED = auto()
    """The configuration could not be applied several times in a row."""
    NOT_RUNNING = auto()
    """HAProxy does not run, or its master does not answer."""
    PINNED = auto()
    """An operator pinned a configuration."""
    TEMPLATE_REPLACED = auto()
    """A template of the operator's is refused, and another text is used in its place."""


@frozen
class ReadinessFact:
    """
    One fact about the readiness.

    :param name: the cluster, the configuration's name or the path of the file that it is about; empty if there is
        none.
    :param detail: the cause, for people; empty if it is unknown.
    :param seconds: the age of the cluster's last answer, or the time since the first failed attempt.
    :param attempts: failed attempts in a row.
    :param limit: seconds of ``--max-staleness``.
    """

    kind: ReadinessKind
    name: str = ""
    detail: str = ""
    seconds: float = 0.0
    attempts: int = 0
    limit: float = 0.0

    def __str__(self) -> str:
        cause = f": {self.detail}" if self.detail else ""
        match self.kind:
            case ReadinessKind.MARATHON_SILENT:
                cluster = f" of the cluster {self.name}" if self.name else ""
                return f"no Marathon{cluster} has answered with all apps yet{cause}"
            case ReadinessKind.MARATHON_STALE:
                cluster = f"the cluster {self.name}" if self.name else "Marathon"
                return (
                    f"the last answer of {cluster} is {self.seconds:.0f} s old, more than "
                    f"--max-staleness={self.limit:g}{cause}"
                )
            case ReadinessKind.BLOCKED:
                many = "once" if self.attempts == 1 else f"{self.attempts} times in {self.seconds:.0f} s"
                return f"the configuration could not be applied, {many}{cause}"
            case ReadinessKind.NO_HAPROXY:
                return f"no HAProxy runs with {self.name}"
            case ReadinessKind.PINNED:
                return f"configuration {self.name} is pinned; changes wait for its release"
            case _:
                return _SENTENCES[self.kind] + cause


_SENTENCES = {
    ReadinessKind.NOTHING_CONFIRMED: "HAProxy has not confirmed a configuration yet",
    ReadinessKind.CONFIGURATION_FROM_DISK: (
        "HAProxy runs the configuration that was on disk when the controller started, and nothing newer yet"
    ),
    ReadinessKind.UNCONFIRMED: "HAProxy has not confirmed that it runs the configuration",
    ReadinessKind.TEMPLATE_CLOSED: "a template of the operator's cannot be used",
    ReadinessKind.TEMPLATE_REPLACED: "a template of the operator's cannot be used",
    ReadinessKind.NOT_RUNNING: "HAProxy does not run, or its master does not answer",
}


@frozen
class ControllerReadiness:
    """
    The readiness as facts.

    :param reasons: why the controller is not ready; none if it is.
    :param remarks: what an operator should know although the controller may be ready.
    """

    reasons: tuple[ReadinessFact, ...] = ()
    remarks: tuple[ReadinessFact, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether the controller is ready."""
        return not self.reasons

    def answer(self) -> Health:
        """Return the facts as sentences."""
        return Health(ok=self.ok, reasons=_sentences(self.reasons), remarks=_sentences(self.remarks))


class Health(msgspec.Struct, frozen=True):
    """
    An answer about health.

    :param reasons: why not, each in one sentence; none if all is well.
    :param remarks: what an operator should know although all may be well.
    """

    ok: bool
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def _sentences(facts: tuple[ReadinessFact, ...]) -> tuple[str, ...]:
    return tuple(map(str, facts))


async def readiness(context: WebContext) -> ControllerReadiness:
    """Return whether Marathon's answers are recent and HAProxy runs the configuration that follows from them."""
    reasons = [*_marathon(context), *_haproxy(context)]
    if context.settings.manage_haproxy and not await context.workers():
        reasons.append(ReadinessFact(ReadinessKind.NOT_RUNNING))
    return ControllerReadiness(tuple(reasons), tuple(_remarks(context)))


def _marathon(context: WebContext) -> Iterator[ReadinessFact]:
    for cluster in context.clusters:
        staleness, limit = context.staleness(cluster), context.settings.max_staleness
        if staleness is None:
            yield ReadinessFact(ReadinessKind.MARATHON_SILENT, cluster.name, _cause(context, cluster))
        elif staleness > limit:
            cause = _cause(context, cluster)
            yield ReadinessFact(ReadinessKind.MARATHON_STALE, cluster.name, cause, staleness, limit=limit)


def _cause(context: WebContext, cluster: ClusterContext) -> str:
    """Return why a cluster does not answer; empty if that is not known."""
    return cluster.gatherer.problem or context.reconciler.status.failure or cluster.source.problem


def _haproxy(context: WebContext) -> Iterator[ReadinessFact]:
    if context.reconciler.planned is None:
        yield _first_start(context)
        return
    status = context.reconciler.status
    if not context.applier.confirmed:
        yield ReadinessFact(ReadinessKind.UNCONFIRMED)
    for problem in context.planner.texts.overrides.closed:
        yield ReadinessFact(ReadinessKind.TEMPLATE_CLOSED, detail=str(problem))
    if isinstance(status.last_outcome, Written):
        yield ReadinessFact(ReadinessKind.NO_HAPROXY, context.settings.haproxy_config)
    blocked = status.blocked
    if blocked is not None and blocked.red:
        seconds = context.now() - blocked.since
        yield ReadinessFact(ReadinessKind.BLOCKED, "", blocked.reason, seconds, blocked.attempts)


def _first_start(context: WebContext) -> ReadinessFact:
    """Return what HAProxy runs before it has confirmed the first configuration of this controller."""
    try:
        context.published()
    except Refusal:
        return ReadinessFact(ReadinessKind.NOTHING_CONFIRMED, detail=context.reconciler.status.failure)
    return ReadinessFact(ReadinessKind.CONFIGURATION_FROM_DISK)


def _remarks(context: WebContext) -> Iterator[ReadinessFact]:
    pin = context.hold.pins.current()
    if pin is not None:
        yield ReadinessFact(ReadinessKind.PINNED, pin.name)
    for problem in context.planner.texts.overrides.replaced:
        yield ReadinessFact(ReadinessKind.TEMPLATE_REPLACED, detail=str(problem))


class Live(Page):
    """The liveness: 200 as long as the controller answers."""

    summary = "Is the controller alive?"
    shape = Health

    async def answer(self, request: ClientRequest) -> Answer:
        """Return that it is alive: otherwise there would be no answer."""
        return data(Health(ok=True))


class Ready(Page):
    """The readiness: 200 or 503, with the reasons."""

    summary = "Are Marathon's answers recent, and does HAProxy run the configuration that follows from them?"
    shape = Health
    statuses = ((503, "not ready, with the reasons"),)

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the readiness."""
        ready = await readiness(self._context)
        return data(ready.answer(), 200 if ready.ok else 503)
