"""Explain, and what-if: questions that are answered from what is known, without doing anything."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from marathonlb.config.text.model import Config
from marathonlb.config.text.unified_diff import ConfigDifference, difference
from marathonlb.errors import InvalidConfiguration, MarathonLBError
from marathonlb.haproxy.reload_reason import sentence
from marathonlb.marathon.model import App, qualified
from marathonlb.marathon.parsing.apps import UnusableAnswer, parse_app
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.model import Explanation
from marathonlb.routing.explain.question import EXPECTED, question_of
from marathonlb.web.api.problems import ProblemView, view
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, Asked, Page, Parameter, Refusal, data
from marathonlb.web.router import is_json


class ExplainPage(Page):
    """Which rule catches a URL, what becomes of an app, who listens on a port, and why nothing does."""

    summary = "Which rule catches a URL, what becomes of an app, who listens on a port"
    shape = Explanation
    parameters = (Parameter("q", "query", EXPECTED, required=True),)
    statuses = ((400, "it is no question"), (503, "Marathon has not answered yet"))

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """The explanation."""
        try:
            question = question_of(asked.query.get("q", ""))
        except ValueError:
            raise Refusal(400, f"q= is {EXPECTED}") from None
        return data(explain(question, self._context.state()))


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """
    What would become of an app if it were defined like this.

    :param app_id: whose definition it is.
    :param exists: whether an app of this id runs now.
    :param servers: how many its services would have: those of the tasks that run now; a new app's are not known yet.
    :param difference: of the configuration.
    :param reload: why HAProxy would have to be reloaded; empty where it would not.
    :param new_problems: those that would come, whosever they are, collisions included.
    :param gone_problems: those that would be gone.
    :param refused: HAProxy's words where it would refuse the configuration; empty where it would not.
    :param unchecked: why HAProxy was not asked; empty where it was.
    """

    app_id: str
    exists: bool
    services: tuple[str, ...]
    servers: int
    difference: ConfigDifference
    reload: str
    new_problems: tuple[ProblemView, ...]
    gone_problems: tuple[ProblemView, ...]
    refused: tuple[str, ...]
    unchecked: str


class WhatIfPage(Page):
    """What would become of an app; nothing is done."""

    method = "POST"
    changes = True
    summary = "What would change if an app were defined like this; nothing is done"
    shape = WhatIf
    takes = "an app's definition, as Marathon takes it at /v2/apps"
    parameters = (
        Parameter("check", "query", "no: HAProxy is not asked whether it would accept it"),
        Parameter("cluster", "query", "the name of the cluster that is to run it, of several"),
    )
    statuses = (
        (400, "it is no definition of an app"),
        (403, "the client is outside --admin-allow, or a page of another site asks"),
        (413, "it is too big"),
        (415, "it is not application/json"),
        (503, "Marathon has not answered yet"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, asked: Asked) -> Answer:
        """See `WhatIf`."""
        if not is_json(asked.headers):
            raise Refusal(415, "it has to be application/json")
        check = asked.query.get("check", "yes").lower() not in ("no", "false", "0", "off")
        cluster = asked.query.get("cluster", "")
        return data(await what_if(self._context, asked.body, check=check, cluster=cluster))


async def what_if(context: WebContext, definition: bytes, *, check: bool = True, cluster: str = "") -> WhatIf:
    """
    What would change if an app were defined like this.

    :param definition: JSON, as Marathon takes it.
    :param check: whether HAProxy is asked.
    :param cluster: the name of the cluster that is to run it.
    :raises Refusal: it is no definition, or nothing is known yet.
    """
    running, apps = context.wanted(), context.gatherer.cluster.apps
    app = _app(definition, context, cluster)
    held = apps.get(app.id)
    try:
        supposed = await context.planner.supposing({**apps, app.id: app}, {app.id}, context.now())
    except MarathonLBError as error:
        raise Refusal(400, str(error)) from None
    refused, unchecked = (
        await _check(context, supposed.rendered.config) if check else ((), "it was not wanted")
    )
    before, after = set(running.problems), set(supposed.problems)
    since = context.recorder.since
    config, now = supposed.rendered.config, running.rendered.config
    return WhatIf(
        app_id=app.id,
        exists=held is not None,
        services=tuple(s.backend for s in supposed.services if s.app_id == app.id),
        servers=sum(len(s.servers) for s in supposed.services if s.app_id == app.id),
        difference=difference(
            now.text(context.directory), config.text(context.directory), now.map_texts(), config.map_texts()
        ),
        reload=sentence(context.applier.foresee(config)),
        new_problems=tuple(view(p, None) for p in supposed.problems if p not in before),
        gone_problems=tuple(view(p, since.get(p)) for p in running.problems if p not in after),
        refused=refused,
        unchecked=unchecked,
    )


def _app(definition: bytes, context: WebContext, cluster: str) -> App:
    """The app, with the tasks that it has now. It would be the youngest in every collision but with itself."""
    names = [each.name for each in context.clusters]
    if cluster not in names:
        raise Refusal(400, f"cluster= is one of {', '.join(map(repr, names))}")
    try:
        parsed = parse_app(b'{"app":%s}' % definition)
    except UnusableAnswer as error:
        raise Refusal(400, str(error).replace("the answer", "what was posted")) from None
    if parsed.unreadable or not parsed.apps:
        raise Refusal(
            400, f"no definition of an app: {parsed.unreadable[0].reason if parsed.unreadable else ''}"
        )
    app = parsed.apps[0]
    app_id = qualified(cluster, app.id)
    held = context.gatherer.cluster.apps.get(app_id)
    now = datetime.fromtimestamp(context.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.structs.replace(
        app,
        id=app_id,
        tasks=held.tasks if held else (),
        version=now,
        config_changed_at=held.config_changed_at if held else now,
    )


async def _check(context: WebContext, config: Config) -> tuple[tuple[str, ...], str]:
    """HAProxy's complaints, and why it could not be asked."""
    try:
        await context.applier.check(config)
    except InvalidConfiguration as error:
        words = (f"line {c.line}: {c.message}" if c.line else c.message for c in error.complaints)
        return tuple(words) or (str(error),), ""
    except MarathonLBError as error:
        return (), str(error)
    return (), ""
