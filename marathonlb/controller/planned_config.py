"""A planned configuration: the rendered text, its problems, and the pin that replaces it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from marathonlb.config.rendered import Rendered
from marathonlb.config.text.model import Config
from marathonlb.haproxy.rollback.override import Override
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.model import Service


@frozen
class PlannedConfig:
    """
    A configuration for HAProxy, with what is known about it.

    :param problems: the problems, by app and port, quarantine included.
    :param servers: number of servers in all services.
    :param held: the pinned configuration that replaces it; None if nothing is pinned.
    """

    rendered: Rendered
    problems: tuple[Problem, ...]
    servers: int
    held: Override | None = None

    @property
    def config(self) -> Config:
        """The configuration that HAProxy should run."""
        return self.rendered.config if self.held is None else self.held.config

    @property
    def services(self) -> Sequence[Service]:
        """The services in it."""
        return self.rendered.services
