"""The pin for the planner: the tasks of the pinned configuration that still run, and the problem that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from marathonlb.config.text.model import Config
from marathonlb.haproxy.rollback.override import Override, PinOverride
from marathonlb.haproxy.rollback.pin import Pin, Pins
from marathonlb.haproxy.rollback.restored import Alive
from marathonlb.marathon.model import App
from marathonlb.problem_kinds.running import PINNED
from marathonlb.routing.names import backend_name, plain_backend
from marathonlb.routing.problems import PIN, Problem
from marathonlb.routing.services.servers import Resolve, address_of


class Hold:
    """
    Holds HAProxy at a pinned configuration, with the tasks that run today.

    :param directory: where haproxy.cfg and the map files lie.
    :param resolve: returns the address of an agent's host; None if it has none.
    """

    def __init__(self, pins: Pins, directory: str, resolve: Resolve) -> None:
        self.pins = pins
        self._override = PinOverride(pins, directory)
        self._resolve = resolve

    def over(self, today: Config, apps: Mapping[str, App]) -> Override | None:
        """
        Return the configuration that replaces today's; None if nothing is pinned.

        :param apps: everything that runs, by id.
        """
        return self._override.over(today, running_tasks(apps, self._resolve))

    def instead(self, pin: Pin, today: Config, apps: Mapping[str, App] | None) -> Config:
        """
        Return a configuration of the past with today's tasks.

        :param apps: everything that runs; None if that is not known, which leaves backends that are not in `today`
            as they were.
        """
        alive = _not_known if apps is None else running_tasks(apps, self._resolve)
        return self._override.instead(pin, today, alive)


def pin_problem(override: Override) -> Problem:
    """Return the problem that is shown for as long as a pin holds."""
    since = datetime.fromtimestamp(override.pin.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
    held = "only changes of tasks reach HAProxy until --rollback 0 releases it"
    reason = f"configuration {override.pin.name} is pinned since {since}: {held}"
    return Problem("", None, PIN, "", reason, fatal=False, kind=PINNED)


def running_tasks(apps: Mapping[str, App], resolve: Resolve) -> Alive:
    """
    Return a function that returns whether a task of the app of a backend runs at an address and port.

    The backend's app counts, not the address alone, which may be another app's by now. Nothing is computed before the
    function is called.
    """
    owners: dict[str, list[App]] = {}
    places: dict[str, set[tuple[str | None, int]]] = {}

    def alive(backend: str, address: str, port: int) -> bool:
        if not owners:
            for app in apps.values():
                owners.setdefault(_stem(backend_name(app.id, 0)), []).append(app)
        if backend not in places:
            places[backend] = {
                place for app in owners.get(_stem(backend), ()) for place in _places(app, resolve)
            }
        return (address, port) in places[backend]

    return alive


def _not_known(backend: str, address: str, port: int) -> bool:
    return True


def _places(app: App, resolve: Resolve) -> set[tuple[str | None, int]]:
    addresses = (address_of(app, task, index) for task in app.tasks for index in range(len(app.ports)))
    return {(resolve(place[0]), place[1]) for place in addresses if place is not None}


def _stem(backend: str) -> str:
    """Return a backend's name without its service port: the part made from its app's id."""
    return plain_backend(backend).rpartition("_")[0]
