"""Explain and what-if: answers from the present state, without changing anything."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from marathonlb.config.text.model import Config
from marathonlb.config.text.unified_diff import ConfigDifference, difference
from marathonlb.errors import InvalidConfiguration, MarathonLBError
from marathonlb.haproxy.reload_reason import sentence
from marathonlb.marathon.model import App, qualified
from marathonlb.marathon.parsing.apps import parse_app
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.model import Explanation
from marathonlb.routing.explain.question import EXPECTED, question_of
from marathonlb.web.api.problems import ProblemView, view
from marathonlb.web.context import WebContext
from marathonlb.web.page import Answer, ClientRequest, Page, Parameter, Refusal, data
from marathonlb.web.router import is_json


class ExplainPage(Page):
    """The rule that matches a URL, the services of an app or the service on a port, or why there is none."""

    summary = "The rule that matches a URL, the services of an app, or the service on a port"
    shape = Explanation
    parameters = (Parameter("q", "query", EXPECTED, required=True),)
    statuses = ((400, "not a valid question"), (503, "Marathon has not answered yet"))

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the explanation."""
        try:
            question = question_of(request.query.get("q", ""))
        except ValueError:
            raise Refusal(400, f"q= must be {EXPECTED}") from None
        return data(explain(question, self._context.state()))


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effect of a new definition of an app.

    :param app_id: id of the app.
    :param exists: true if an app with this id runs now.
    :param services: names of its backends.
    :param servers: number of servers of its services, from the tasks that run now; those of a new app are unknown.
    :param difference: of the configuration.
    :param reload: why HAProxy would have to be reloaded; empty if it would not.
    :param new_problems: problems that would appear, those of other apps and collisions included.
    :param gone_problems: problems that would disappear.
    :param refused: HAProxy's messages if it would refuse the configuration; empty if it would not.
    :param unchecked: why HAProxy was not asked; empty if it was.
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
    """The effect of a new definition of an app; nothing is changed."""

    method = "POST"
    changes = True
    summary = "The effect of a new definition of an app; nothing is changed"
    shape = WhatIf
    takes = "an app definition, as for Marathon's /v2/apps"
    parameters = (
        Parameter("check", "query", "no: do not let HAProxy check the configuration"),
        Parameter("cluster", "query", "the name of the cluster that is to run the app, if there are several"),
    )
    statuses = (
        (400, "not a definition of an app"),
        (403, "the client is not in --admin-allow, or a page of another site asks"),
        (413, "the body is too big"),
        (415, "the body is not application/json"),
        (503, "Marathon has not answered yet"),
    )

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: ClientRequest) -> Answer:
        """Return a `WhatIf`."""
        if not is_json(request.headers):
            raise Refusal(415, "the content type has to be application/json")
        check = request.query.get("check", "yes").lower() not in ("no", "false", "0", "off")
        cluster = request.query.get("cluster", "")
        return data(await what_if(self._context, request.body, check=check, cluster=cluster))


async def what_if(context: WebContext, definition: bytes, *, check: bool = True, cluster: str = "") -> WhatIf:
    """
    Return the effect of a new definition of an app.

    :param definition: JSON, as for Marathon's ``/v2/apps``.
    :param check: let HAProxy check the configuration.
    :param cluster: the name of the cluster that is to run the app.
    :raises Refusal: it is not a definition of an app, or Marathon has not answered yet.
    """
    running, apps = context.wanted(), context.gatherer.cluster.apps
    app = _app(definition, context, cluster)
    held = apps.get(app.id)
    try:
        supposed = await context.planner.supposing({**apps, app.id: app}, {app.id}, context.now())
    except MarathonLBError as error:
        raise Refusal(400, str(error)) from None
    refused, unchecked = await _check(context, supposed.rendered.config) if check else ((), "check=no")
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
    """Return the app with the tasks that it has now. A new app is the youngest in every collision."""
    names = [each.name for each in context.clusters]
    if cluster not in names:
        raise Refusal(400, f"cluster= must be one of {', '.join(map(repr, names))}")
    try:
        msgspec.json.decode(definition, type=dict)
        parsed = parse_app(b'{"app":%s}' % definition)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not a definition of an app: {error}") from None
    if parsed.unreadable or not parsed.apps:
        raise Refusal(
            400, f"not a definition of an app: {parsed.unreadable[0].reason if parsed.unreadable else ''}"
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
    """Return HAProxy's complaints, and why it could not be asked."""
    try:
        await context.applier.check(config)
    except InvalidConfiguration as error:
        messages = (f"line {c.line}: {c.message}" if c.line else c.message for c in error.complaints)
        return tuple(messages) or (str(error),), ""
    except MarathonLBError as error:
        return (), str(error)
    return (), ""
