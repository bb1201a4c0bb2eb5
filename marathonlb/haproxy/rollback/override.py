"""What is wanted while a configuration is pinned: that one with today's tasks. And what waits for its release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import frozen

from marathonlb.config.text.diff import differences, phrase, split
from marathonlb.config.text.model import Config, Section
from marathonlb.haproxy.rollback.pin import Pin, Pins
from marathonlb.haproxy.rollback.restored import Alive, Pinned
from marathonlb.marathon.model import App
from marathonlb.routing.names import backend_name, plain_backend
from marathonlb.routing.problems import PIN, Problem
from marathonlb.routing.services.servers import Resolve, address_of


@frozen
class Held:
    """
    What HAProxy is to run in place of what would be wanted.

    :param config: the pinned configuration with today's tasks.
    :param back: what differs from what would be wanted, in one phrase; empty where nothing does.
    """

    pin: Pin
    config: Config
    back: str

    @property
    def problem(self) -> Problem:
        """What everybody is told while it holds."""
        since = datetime.fromtimestamp(self.pin.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
        held = "no change but of tasks reaches HAProxy until --rollback 0 releases it"
        reason = f"configuration {self.pin.name} is pinned since {since}: {held}"
        return Problem("", None, PIN, "", reason, fatal=False)


class Hold:
    """
    Puts a pinned configuration in the place of what is wanted.

    :param directory: where haproxy.cfg and the map files lie.
    :param resolve: gives the address of an agent's host, None where it has none.
    """

    def __init__(self, pins: Pins, directory: str, resolve: Resolve) -> None:
        self.pins = pins
        self._directory = directory
        self._resolve = resolve
        self._pinned: tuple[Pin, Pinned] | None = None
        self._last: tuple[Config, Config, str] | None = None

    def over(self, today: Config, apps: Mapping[str, App]) -> Held | None:
        """
        What holds in place of today's configuration; None where nothing is pinned.

        :param apps: everything that runs, by id.
        """
        pin = self.pins.current()
        if pin is None:
            self._pinned = self._last = None
            return None
        config = self.instead(pin, today, apps)
        if self._last is None or self._last[0] is not today:
            self._last = today, config, self._what_waits(today, config)
        return Held(pin, config, self._last[2])

    def _what_waits(self, today: Config, config: Config) -> str:
        """What differs between the two, in one phrase; where the same sections do as the last time, that is known."""
        if today is config:
            return ""
        if self._last is not None:
            before = _changed(self._last[0], today)
            ours = _changed(self._last[1], config)
            if (
                before is not None
                and ours is not None
                and all(
                    (old.text == ours[key][0].text) == (new.text == ours[key][1].text)
                    for key, (old, new) in before.items()
                    if key in ours
                )
            ):
                return self._last[2]
        return phrase(differences(_flat(config), _flat(today)))

    def instead(self, pin: Pin, today: Config, apps: Mapping[str, App] | None) -> Config:
        """
        A configuration of the past with today's tasks.

        :param apps: everything that runs; None where that is not known, which leaves backends that are not in `today`
            as they were.
        """
        if self._pinned is None or self._pinned[0] is not pin:
            self._pinned = pin, Pinned(pin.published, self._directory)
        alive = _nobody_knows if apps is None else self._alive(apps)
        return self._pinned[1].with_tasks_of(today, alive)

    def _alive(self, apps: Mapping[str, App]) -> Alive:
        owners: dict[str, list[App]] = {}
        places: dict[str, set[tuple[str | None, int]]] = {}

        def alive(backend: str, address: str, port: int) -> bool:
            if not owners:
                for app in apps.values():
                    owners.setdefault(_stem(backend_name(app.id, 0)), []).append(app)
            if backend not in places:
                places[backend] = {
                    place for app in owners.get(_stem(backend), ()) for place in self._places(app)
                }
            return (address, port) in places[backend]

        return alive

    def _places(self, app: App) -> set[tuple[str | None, int]]:
        found = (address_of(app, task, index) for task in app.tasks for index in range(len(app.ports)))
        return {(self._resolve(place[0]), place[1]) for place in found if place is not None}


def _nobody_knows(backend: str, address: str, port: int) -> bool:
    return True


def _stem(backend: str) -> str:
    """A backend's name without its service port: what its app's id makes of it."""
    return plain_backend(backend).rpartition("_")[0]


def _changed(before: Config, after: Config) -> dict[tuple[str, str], tuple[Section, Section]] | None:
    """The sections that are others, by kind and name; None where that takes a comparison of all."""
    places = () if before is after else after.places_that_differ(before)
    if places is None:
        return None
    pairs = ((before.sections[place], after.sections[place]) for place in places)
    return {(new.kind, new.name): (old, new) for old, new in pairs}


def _flat(config: Config) -> Config:
    """The same with the head in its sections, since a head of the past may have others."""
    head, *rest = config.sections or (None,)
    if head is None or head.kind != "head":
        return config
    return Config((*split(head.text, {}).sections, *rest), config.maps)
