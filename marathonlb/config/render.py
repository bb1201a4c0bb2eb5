"""
Renders services as HAProxy's configuration.

Rendering is cached per service: a change of one app renders one app. The same services give the same bytes, in whatever
order they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from os.path import isdir

from attrs import evolve

from marathonlb.config.assembly import Assembly
from marathonlb.config.rendered import Rendered, ServiceKey
from marathonlb.config.rule_templates import names_servers
from marathonlb.config.sections import Sections, ServiceText
from marathonlb.config.templates.chunks import template_problem
from marathonlb.config.templates.loader import Templates
from marathonlb.config.text import line_check, named_defaults
from marathonlb.config.text.model import Section
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

PLAIN = tuple(
    tuple(
        Service(f"/{name}", 0, port, f"{name}_{port}", "http", health_check=check)
        for name, port in (("A", 1), ("B", 2))
    )
    for check in (None, HealthCheck(path="/"))
)
"""
Pairs of services as apps without labels have them: without a health check, and with Marathon's default one.

No app has these ids. If the backends of a pair differ, a template writes something of the app's own into each.
"""

SESSIONS_SINCE = (3, 2)
"""The first version of HAProxy that resumes a TLS session only in frontends with the same client certificates."""


class Renderer:
    """
    Renders configurations one after another, with a cache of the sections of unchanged services.

    :param templates: the templates as they were read.
    :param is_directory: returns whether a path is a directory; its answers are cached, so that texts stay the same.
    """

    def __init__(
        self, settings: Settings, templates: Templates, is_directory: Callable[[str], bool] = isdir
    ) -> None:
        self._is_directory = lru_cache(maxsize=100)(is_directory)
        self.settings = settings
        self.templates = templates
        self._cache: dict[ServiceKey, tuple[Service, Sections | Problem]] = {}
        self._distinct_names = False
        self._writes_defaults = False
        self._resumes_safely = False

    def copy(self) -> Renderer:
        """Return an independent copy, to render what would follow from a change."""
        other = Renderer(self.settings, self.templates, self._is_directory)
        other._cache = dict(self._cache)
        other._distinct_names, other._writes_defaults = self._distinct_names, self._writes_defaults
        other._resumes_safely = self._resumes_safely
        return other

    def write_defaults(self, wanted: bool = True) -> bool:
        """
        Write the named ``defaults`` from which HAProxy creates backends at runtime, or leave them out.

        :return: True if this is a change.
        """
        before, self._writes_defaults = self._writes_defaults, wanted
        return before is not wanted

    def trust_sessions(self) -> bool:
        """
        Keep TLS session resumption: this HAProxy resumes a session only under the same client certificates.

        :return: True if this is a change.
        """
        before, self._resumes_safely = self._resumes_safely, True
        return not before

    def serve_certificates(self, paths: tuple[str, ...]) -> None:
        """Use other certificates in the shared https frontend; without certificates that frontend is left out."""
        if paths != self.settings.ssl_certs:
            self.settings = evolve(self.settings, ssl_certs=paths)
            self._cache.clear()

    def use(self, templates: Templates) -> None:
        """Use other templates from now on."""
        self.templates = templates
        self._cache.clear()

    def tell_apart(self) -> bool:
        """
        Give each frontend a name other than its backend's, because this HAProxy refuses equal names.

        :return: True if this is a change.
        """
        if self._distinct_names:
            return False
        self._distinct_names = True
        self._cache.clear()
        return True

    def render(self, services: Iterable[Service]) -> Rendered:
        """
        Return the configuration for these services.

        A service with a wrong template is left out, whether a label or the operator wrote it. A shared section with a
        closed template is left out.

        :raises TemplateError: a template that all services need is wrong.
        """
        offered = list(services)
        refused: dict[ServiceKey, Problem] = {}
        while True:
            rendered, more = self._render(offered, refused)
            if not more:
                return rendered
            refused |= more

    def _render(
        self, services: Iterable[Service], refused: Mapping[ServiceKey, Problem]
    ) -> tuple[Rendered, Mapping[ServiceKey, Problem]]:
        """Return the configuration without the refused services, and further services that have to be refused."""
        assembly = Assembly(self.settings, self.templates, self._resumes_safely, self._is_directory)
        settled = assembly.settle(services)
        assembly.take((service, refused.get(service.key) or self._tried(service)) for service in settled)
        self._forget_all_but(assembly.services)
        assembly.route()
        return assembly.rendered(tuple(self._named_defaults(assembly))), assembly.refused

    def _forget_all_but(self, services: Iterable[Service]) -> None:
        """Drop the cached sections of other services."""
        keys = {service.key for service in services}
        for key in [key for key in self._cache if key not in keys]:
            del self._cache[key]

    def render_servers(self, rendered: Rendered, moved: Iterable[tuple[Service, Service]]) -> Rendered | None:
        """
        Return the configuration after a change of tasks alone; its cost depends on the change only.

        :param rendered: the last configuration of this renderer.
        :param moved: services before and after the change, equal but for their servers and dates.
        :return: None if more may follow from the change, so that everything has to be rendered.
        """
        try:
            return self._with_servers(rendered, moved)
        except TemplateError:
            return None

    def _with_servers(self, rendered: Rendered, moved: Iterable[tuple[Service, Service]]) -> Rendered | None:
        changed: dict[int, tuple[Service, Section]] = {}
        for old, new in moved:
            if old.since != new.since and new.key in rendered.contested:
                return None
            place = rendered.places.get(new.key)
            if place is None:
                if not self._stays_out(rendered, new):
                    return None
                continue
            before = rendered.services[place]
            if before.servers != old.servers or not self._has_same_app(before, new):
                return None
            service = evolve(before, servers=new.servers, since=new.since)
            backend = self._changed_backend(before, service)
            if backend is None:
                return None
            changed[place] = service, backend
        return rendered.with_backends(changed)

    def _changed_backend(self, before: Service, service: Service) -> Section | None:
        """Return the backend of a service with other servers; None if they may change more than the backend."""
        if names_servers(service, self.templates):
            return None
        old, new = self._tried(before), self._tried(service)
        if isinstance(old, Problem) or isinstance(new, Problem) or new.others != old.others:
            return None
        return new.backend

    def _stays_out(self, rendered: Rendered, new: Service) -> bool:
        """Return whether a service that was left out stays so with other servers, with the same problem."""
        before, problem = rendered.left_out.get(new.key, (None, None))
        if before is None:  # it never came to the renderer, or another service has its backend's name
            return True
        now = self._tried(evolve(before, servers=new.servers, since=new.since))
        return now == problem if isinstance(now, Problem) else problem is None and now.backend is None

    def _named_defaults(self, assembly: Assembly) -> Iterable[Section]:
        """Return the named ``defaults`` for backends like those of the services, and for those of plain apps."""
        if not self._writes_defaults:
            return ()
        served = zip(assembly.services, assembly.sections, strict=True)
        bodies = (own.body for service, own in served if service.mode == "http")
        return named_defaults.sections((assembly.head,), self._plain_bodies(), bodies)

    def _plain_bodies(self) -> Iterator[str]:
        """Yield the bodies of the backends of apps without labels."""
        for pair in PLAIN:
            with suppress(TemplateError):
                first, second = (
                    ServiceText(plain, self.settings, self.templates, self._distinct_names).sections().body
                    for plain in pair
                )
                if first == second:
                    yield first

    def _tried(self, service: Service) -> Sections | Problem:
        """Return the sections of a service, or the problem with one of its templates."""
        try:
            return self._sections(service)
        except TemplateError as error:
            return template_problem(service, error)

    def _has_same_app(self, before: Service, service: Service) -> bool:
        """Return whether two otherwise equal services have equal apps, as far as templates read the app."""
        return not self.templates.read_app or before.app == service.app

    def _sections(self, service: Service) -> Sections | Problem:
        """Return the sections of a service from the cache, or render them."""
        cached = self._cache.get(service.key)
        same = cached is not None and (cached[0] is service or cached[0] == service)
        if cached is not None and same and self._has_same_app(cached[0], service):
            return cached[1]
        text = ServiceText(service, self.settings, self.templates, self._distinct_names).sections()
        result = line_check.too_long(service, text.written) or text
        self._cache[service.key] = service, result
        return result
