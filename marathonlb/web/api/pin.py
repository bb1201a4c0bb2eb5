"""
Pin an archived configuration, and release it.

A pin goes directly to the applier: it is needed most while Marathon does not answer, and a convergence begins with
asking Marathon. A configuration that HAProxy refuses is not pinned.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Config
from marathonlb.errors import InvalidConfiguration, PublishFailed, ReloadFailed
from marathonlb.haproxy.outcome import Unchanged, action_word, explanation
from marathonlb.haproxy.rollback.pin import Pin
from marathonlb.marathon.model import App
from marathonlb.timers import pause
from marathonlb.web.api.configurations import texts
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Refusal, data
from marathonlb.web.router import is_json

PATIENCE = 15.0
"""Maximum number of seconds that an answer waits for the changes that were held back."""

POLL_INTERVAL = 0.05
"""Seconds between two looks at the status meanwhile."""


class Pinned(msgspec.Struct, frozen=True):
    """
    The pinned configuration.

    :param name: of the configuration, as in ``/api/configurations/{name}``.
    :param since: seconds since the epoch.
    """

    name: str
    since: float


class PinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The result of a pin or a release.

    :param pinned: the pinned configuration; null if none is.
    :param applied: true if HAProxy runs the result; otherwise the controller keeps trying.
    :param action: ``reload``, ``steps`` (runtime API), ``written`` or ``nothing``; ``waiting`` while not applied.
    :param reason: the reason, in one phrase.
    """

    pinned: Pinned | None
    applied: bool
    action: str
    reason: str


class _PinRequest(msgspec.Struct):
    name: str


def pinned(context: WebContext) -> Pinned | None:
    """Return the pinned configuration; None if none is."""
    pin = context.hold.pins.current()
    return None if pin is None else Pinned(pin.name, pin.since)


class PinPage(Page):
    """Pin a configuration."""

    method = "POST"
    changes = True
    summary = "Go back to an archived configuration, with today's tasks, until the pin is released"
    shape = PinAnswer
    takes = 'the name of a configuration: {"name": "7"}, or "running" for the running one'
    statuses = (
        (400, "the body names no configuration"),
        (403, "the client is not in --admin-allow, or a page of another site asks"),
        (404, "no such configuration"),
        (409, "HAProxy refuses it; nothing was changed"),
        (413, "the body is too big"),
        (415, "the body is not application/json"),
        (503, "the pin cannot be written, or HAProxy does not answer"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Answer when HAProxy runs or refuses the configuration."""
        require_json(request)
        try:
            name = msgspec.json.decode(request.body, type=_PinRequest).name
        except msgspec.MsgspecError as error:
            raise Refusal(400, f'expected {{"name": "7"}}: {error}') from None
        return data(await pin(self._context, name, request.client))


class UnpinPage(Page):
    """Release the pin."""

    method = "POST"
    changes = True
    summary = "Release the pin: HAProxy gets the current configuration"
    shape = PinAnswer
    takes = "an empty object: {}"
    statuses = (
        (403, "the client is not in --admin-allow, or a page of another site asks"),
        (413, "the body is too big"),
        (415, "the body is not application/json"),
        (503, "the pin cannot be released: the state directory cannot be written"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Answer when HAProxy runs the current configuration, or when it cannot for now."""
        require_json(request)
        return data(await unpin(self._context, request.client))


def require_json(request: ClientRequest) -> None:
    """Raise `Refusal` if a request does not claim to bring JSON, which a form on another site's page cannot."""
    if not is_json(request.headers):
        raise Refusal(415, "the content type has to be application/json")


async def pin(context: WebContext, name: str, client: str) -> PinAnswer:
    """
    Go back to a configuration.

    :param client: the client's address, for the log.
    :raises Refusal: there is no such configuration, or HAProxy refuses it.
    """
    pins, before = context.hold.pins, context.hold.pins.current()
    wanted = Pin(name, context.now(), texts(context, name, admin=True))
    today, apps = _today(context)
    pins.put(wanted)
    try:
        outcome = await context.applier.apply(context.hold.instead(wanted, today, apps))
        await context.applier.flush()
    except (InvalidConfiguration, ReloadFailed) as error:
        _undo(context, before)
        raise Refusal(409, f"configuration {name} is not pinned: {error}") from None
    except BaseException:
        _undo(context, before)
        raise
    context.recorder.imposed(f"configuration {name} is pinned", outcome, client)
    context.reconciler.plan_again(Cause(CauseKind.PINNED, name))
    return PinAnswer(
        pinned=pinned(context), applied=True, action=action_word(outcome), reason=explanation(outcome)
    )


async def unpin(context: WebContext, client: str) -> PinAnswer:
    """
    Release the pin.

    :param client: the client's address, for the log.
    """
    released = context.hold.pins.release()
    if released is None:
        return PinAnswer(pinned=None, applied=True, action="nothing", reason="nothing is pinned")
    context.recorder.asked(f"configuration {released.name} is released", client)
    context.reconciler.plan_again(Cause(CauseKind.RELEASED, released.name))
    status = context.reconciler.status
    generation, failures, deadline = status.generation, status.failures, context.now() + PATIENCE
    while status.converged < generation and status.failures <= failures and context.now() < deadline:
        await pause(context.clock, POLL_INTERVAL)
        status = context.reconciler.status
    if status.converged < generation:
        reason = status.failure or "Marathon has not answered yet"
        return PinAnswer(pinned=pinned(context), applied=False, action="waiting", reason=reason)
    outcome = status.last_outcome or Unchanged()
    return PinAnswer(
        pinned=pinned(context), applied=True, action=action_word(outcome), reason=explanation(outcome)
    )


def _today(context: WebContext) -> tuple[Config, Mapping[str, App] | None]:
    """Return the planned configuration and its apps; before Marathon's first answer the files on disk, without apps."""
    if context.reconciler.planned is not None:
        return context.reconciler.planned.rendered.config, context.gatherer.cluster.apps
    try:
        published = context.applier.texts()
    except PublishFailed as error:
        raise Refusal(503, str(error)) from None
    return (Config() if published is None else split(published.text, published.maps)), None


def _undo(context: WebContext, before: Pin | None) -> None:
    if before is None:
        context.hold.pins.release()
    else:
        context.hold.pins.put(before)
    context.reconciler.plan_again(Cause(CauseKind.PIN_FAILED))
