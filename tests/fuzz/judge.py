"""
The judgement of one case: what the plain apps have alone, they have beside the hostile app as well.

The files are read by `tests.fuzz.reader`, which knows nothing of who wrote them; what the product says of itself
(problems, explanations) is compared with that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.question import UrlQuestion
from marathonlb.routing.offers import Offers
from marathonlb.routing.sni import frontend_name
from tests.fuzz.clusters import LB, POLICIES, Cluster
from tests.fuzz.reader import Section, UnreadableError, Written, balanced, read
from tests.fuzz.routes import NOBODY, Outcome, Request, Routes

TEMPLATES = load_templates("/nonexistent", {})

PARSE_SECONDS = 0.25
"""CPU seconds that one app may take to be parsed; the product's own bound is 0.05, on a machine that is not busy."""

CASE_SECONDS = 3.0
"""CPU seconds that the whole configuration may take."""

ADDRESSES = ("127.0.0.1", LB, "192.0.2.2", "::1")
"""Addresses of the load balancer's machine to which clients connect."""

OWN_PORTS = (80, 443, 9090, 9091)


@frozen
class Made:
    """What a cluster comes to, as the product says and as the files do."""

    rendered: Rendered
    offers: Offers
    written: Written
    routes: Routes
    seconds: float


def judge(case: Cluster) -> list[str]:
    """The faults of a case; none is well."""
    try:
        alone = make(case, ())
        begun = time.process_time()
        both = make(case, (case.hostile,))
        seconds = time.process_time() - begun
        refused = both.written.refused
        if refused is None:
            faults = [*_faults(case, alone, both)]
        else:  # loudly: the service is quarantined, and nothing of it runs
            owner = _owner(both.rendered, refused)
            faults = (
                [] if owner == case.hostile.id else [f"HAProxy refuses line {refused}, which is of {owner}"]
            )
    except UnreadableError as error:
        return [f"HAProxy would not read it: {error}"]
    except Exception as error:  # noqa: BLE001 any exception is a fault of the product's
        return [f"{type(error).__name__}: {str(error)[:300]}"]
    if seconds > CASE_SECONDS:
        faults.append(f"the configuration took {seconds:.1f} s of CPU")
    return faults


def _owner(rendered: Rendered, line: int) -> str | None:
    found = rendered.config.locate(line)
    return None if found is None else found[1].owner.app_id


def make(case: Cluster, more: Iterable[App]) -> Made:
    """The plain apps, with others beside them."""
    offers = Offers(case.settings, PER_APP_NAMES, lambda host: host, POLICIES[case.policy])
    apps = {app.id: app for app in (*case.plain, *more)}
    plain = {app.id for app in case.plain}
    offers.update(apps, plain)
    begun = time.process_time()
    offers.update(apps, apps.keys() - plain)
    seconds = time.process_time() - begun
    for problem in offers.problems():
        str(problem)
    rendered = Renderer(case.settings, TEMPLATES).render(offers.services())
    config = rendered.config
    written = read(config.text("/etc/haproxy"), config.map_texts())
    return Made(rendered, offers, written, Routes(written), seconds)


def _faults(case: Cluster, alone: Made, both: Made) -> Iterator[str]:
    if both.seconds > PARSE_SECONDS:
        yield f"the app took {both.seconds:.2f} s of CPU to be parsed"
    yield from _proxies(both.written)
    plain = {service.key: service for service in alone.rendered.services}
    now = {service.key: service for service in both.rendered.services}
    for key, service in plain.items():
        after = now.get(key)
        if after is None:
            yield f"{key} is lost"
        elif evolve(after, since="") != evolve(service, since=""):
            yield f"{key} is another service now"
    problems = {(p.app_id, p.port_index, p.label) for p in alone.rendered.problems}
    for problem in both.rendered.problems:
        known = (problem.app_id, problem.port_index, problem.label) in problems
        if problem.app_id in {app.id for app in case.plain} and problem.fatal and not known:
            yield f"a problem of a plain app: {problem}"
    yield from _routes(case, alone, both)
    yield from _handshakes(case, alone, both)
    yield from _explained(case, both)


def _proxies(written: Written) -> Iterator[str]:
    """Names that two proxies or userlists share, and words that were read from the environment."""
    for kind in ("frontend", "backend", "listen", "userlist"):
        for name, sections in written.named(kind).items():
            if len(sections) > 1:
                yield f"{len(sections)} sections {kind} {name[:100]}"
    for section in written.sections:
        if not balanced(section.lines) and not _ours(section):
            yield f"{section.kind} {section.name[:100]} reads the environment"


def _ours(section: Section) -> bool:
    """Whether a section of our own reads it: the peers by which a reload hands counters over."""
    return section.kind == "peers"


def requests(app: App) -> Iterator[tuple[str, int, Request]]:
    """Requests that are a plain app's own: by its hosts and paths, its port, its id."""
    vhost = app.labels.get("HAPROXY_0_VHOST", "")
    paths = [each for each in app.labels.get("HAPROXY_0_PATH", "/").split() if each != "-i"]
    for host in vhost.split(",") if vhost else []:
        name = host.replace("*", "deep.sub")
        for said in (name, name.upper(), f"{name}:8080"):
            for path in paths:
                yield LB, 80, Request(said, path)
                yield LB, 443, Request(said, path, sni=name)
    for address in ADDRESSES:
        yield address, app.ports[0].service_port, Request("any.test")
    yield LB, 9091, Request("any.test", app_id=app.id)


def _routes(case: Cluster, alone: Made, both: Made) -> Iterator[str]:
    for app in case.plain:
        for address, port, request in requests(app):
            before = alone.routes.connect(address, port, request)
            after = both.routes.connect(address, port, request)
            if _served(before) and before != after:
                where = f"{request.host}{request.path}" if port in (80, 443) else request.app_id or "its port"
                yield f"{app.id} lost {where} at {address}:{port}: {before.backend} → {after.backend[:100]}"
    for port in OWN_PORTS:
        if sorted(alone.routes.listeners(port)) != sorted(both.routes.listeners(port)):
            yield f"others listen on {port}: {both.routes.listeners(port)}"
    for name, sections in alone.written.named("userlist").items():
        if both.written.named("userlist").get(name) != sections:
            yield f"the userlist {name} is another one"


def _handshakes(case: Cluster, alone: Made, both: Made) -> Iterator[str]:
    """Certificates and bind options of the plain apps' hosts that are others than before."""
    hosts = {host for app in case.plain for host in app.labels.get("HAPROXY_0_VHOST", "").split(",")}
    for host in sorted(hosts):
        name = f"{frontend_name(case.settings, host)}_in"
        before, after = (
            [line for each in made.written.named("frontend").get(name, ()) for line in each.of("bind")]
            for made in (alone, both)
        )
        if before != after:
            yield f"the TLS of {host} is another one: {before} → {after}"


def _served(outcome: Outcome) -> bool:
    return outcome != NOBODY and bool(outcome.lines)


def _explained(case: Cluster, both: Made) -> Iterator[str]:
    """What is explained about a host is what the files do."""
    apps = {app.id: app for app in (*case.plain, case.hostile)}
    state = State(
        apps=apps,
        settings=case.settings,
        services=both.rendered.services,
        rules=both.rendered.rules,
        problems=(*both.offers.problems(), *both.rendered.problems),
        template_names=PER_APP_NAMES,
        members=both.offers.members,
    )
    owners = {service.backend: service.app_id for service in both.rendered.services}
    own = [text for s in both.rendered.services if s.app_id == case.hostile.id for text in s.overrides]
    if own:
        return  # the text of its rules is its own, and only the product's are explained
    asked = {
        (request.host, request.path) for app in case.plain for _, port, request in requests(app) if port == 80
    }
    asked |= {
        (host.replace("*", "x"), path[:100])
        for service in both.rendered.services
        if service.app_id == case.hostile.id
        for host in service.hosts[:20]
        for path in (*service.paths[:20], "/")
    }
    for host, path in sorted(asked):
        if not host.isascii() or ":" in host or not host.islower():
            continue
        found = both.routes.connect(LB, 80, Request(host, path))
        told = explain(UrlQuestion("http", host, None, path), state)
        owner = owners.get(found.backend, "")
        said = told.services[0].app_id if told.services else ""
        if owner != said:
            where = f"{host}{path[:60]} leads to {owner[:60] or found.backend[:60]}"
            yield f"explained wrongly: {where}, and not to {said[:60] or told.verdict[:60]}"
