"""
Pinning a configuration of the past, and releasing it.

A pin is given straight to the applier: it is wanted most where Marathon cannot be asked, and a convergence begins with
asking it. What HAProxy refuses is not pinned.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from marathonlb.causes import Cause, CauseKind
from marathonlb.config.text.diff import split
from marathonlb.config.text.model import Config
from marathonlb.errors import InvalidConfiguration, PublishFailed, ReloadFailed
from marathonlb.haproxy.outcome import Unchanged, action_word, explanation
from marathonlb.haproxy.rollback.pin import Pin
from marathonlb.marathon.model import App
from marathonlb.timers import pause
from marathonlb.web.api.configurations import texts
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, Asked, Page, Refusal, data
from marathonlb.web.router import is_json

PATIENCE = 15.0
"""Seconds that an answer waits for what was held back."""

LOOK = 0.05


class Pinned(msgspec.Struct, frozen=True):
    """
    What is pinned.

    :param name: of the configuration, as in ``/api/configurations/{name}``.
    :param since: seconds since the epoch.
    """

    name: str
    since: float


class PinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of it.

    :param pinned: what is pinned now; null where nothing is.
    :param applied: whether HAProxy runs what follows from it; else the controller goes on trying.
    :param action: what was done: ``reload``, ``steps``, ``written`` or ``nothing``; ``waiting`` where it is not yet.
    :param reason: why, in one phrase.
    """

    pinned: Pinned | None
    applied: bool
    action: str
    reason: str


class _Wish(msgspec.Struct):
    name: str


def pinned(context: WebContext) -> Pinned | None:
    """What is pinned; None where nothing is."""
    pin = context.hold.pins.current()
    return None if pin is None else Pinned(pin.name, pin.since)


class PinPage(Page):
    """Pins a configuration."""

    method = "POST"
    changes = True
    summary = "Go back to a configuration that is kept, with today's tasks in it, and stay there until it is released"
    shape = PinAnswer
    takes = 'the name of a configuration: {"name": "7"}; running pins what runs now'
    statuses = (
        (400, "it names no configuration"),
        (403, "the client is outside --admin-allow, or a page of another site asks"),
        (404, "there is none of this name"),
        (409, "HAProxy refuses it, in its words; nothing has changed"),
        (413, "it is too big"),
        (415, "it is not application/json"),
        (503, "it cannot be written, or HAProxy does not answer"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """Answers when HAProxy runs it, or refuses."""
        require_json(asked)
        try:
            name = msgspec.json.decode(asked.body, type=_Wish).name
        except msgspec.MsgspecError as error:
            raise Refusal(400, f'{{"name": "7"}} is wanted: {error}') from None
        return data(await pin(self._context, name, asked.client))


class UnpinPage(Page):
    """Releases what is pinned."""

    method = "POST"
    changes = True
    summary = "Release what is pinned: HAProxy is led to what is wanted today"
    shape = PinAnswer
    takes = "nothing: {}"
    statuses = (
        (403, "the client is outside --admin-allow, or a page of another site asks"),
        (413, "it is too big"),
        (415, "it is not application/json"),
        (503, "it cannot be released: the state directory cannot be written"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """Answers when HAProxy runs what is wanted, or cannot be led there for now."""
        require_json(asked)
        return data(await unpin(self._context, asked.client))


def require_json(asked: Asked) -> None:
    """Raise `Refusal` where a request does not say that it brings JSON: what another site's page posts cannot."""
    if not is_json(asked.headers):
        raise Refusal(415, "it has to be application/json")


async def pin(context: WebContext, name: str, client: str) -> PinAnswer:
    """
    Go back to a configuration.

    :param client: who asks.
    :raises Refusal: there is none of this name, or HAProxy refuses it.
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
    Release what is pinned.

    :param client: who asks.
    """
    released = context.hold.pins.release()
    if released is None:
        return PinAnswer(pinned=None, applied=True, action="nothing", reason="nothing is pinned")
    context.recorder.asked(f"configuration {released.name} is released", client)
    context.reconciler.plan_again(Cause(CauseKind.RELEASED, released.name))
    status = context.reconciler.status
    generation, failures, deadline = status.generation, status.failures, context.now() + PATIENCE
    while status.converged < generation and status.failures <= failures and context.now() < deadline:
        await pause(context.clock, LOOK)
        status = context.reconciler.status
    if status.converged < generation:
        reason = status.failure or "Marathon has not answered yet"
        return PinAnswer(pinned=pinned(context), applied=False, action="waiting", reason=reason)
    outcome = status.last_outcome or Unchanged()
    return PinAnswer(
        pinned=pinned(context), applied=True, action=action_word(outcome), reason=explanation(outcome)
    )


def _today(context: WebContext) -> tuple[Config, Mapping[str, App] | None]:
    """What would be wanted now, and what runs; before Marathon's first answer what lies on disk is the best known."""
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
