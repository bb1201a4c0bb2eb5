"""The configuration that HAProxy runs while one of the past is pinned: the old text with today's tasks."""

from __future__ import annotations

from msgspec import Struct

from marathonlb.config.text.diff import differences, phrase, split
from marathonlb.config.text.model import Config, Section
from marathonlb.haproxy.rollback.pin import Pin, Pins
from marathonlb.haproxy.rollback.restored import Alive, RestoredConfig


class Override(Struct, frozen=True):
    """
    The configuration that HAProxy is to run in place of today's.

    :param config: the pinned configuration with today's tasks.
    :param pending: the changes that wait for the release of the pin, in one phrase; empty if none wait.
    """

    pin: Pin
    config: Config
    pending: str


class PinOverride:
    """
    Puts a pinned configuration in the place of today's.

    :param directory: where haproxy.cfg and the map files lie.
    """

    def __init__(self, pins: Pins, directory: str) -> None:
        self.pins = pins
        self._directory = directory
        self._pinned: tuple[Pin, RestoredConfig] | None = None
        self._last: tuple[Config, Config, str] | None = None

    def over(self, today: Config, alive: Alive) -> Override | None:
        """
        Return the configuration that replaces today's; None if nothing is pinned.

        :param alive: returns whether a server is still a task, for a backend that is not in `today`.
        """
        pin = self.pins.current()
        if pin is None:
            self._pinned = self._last = None
            return None
        config = self.instead(pin, today, alive)
        if self._last is None or self._last[0] is not today:
            self._last = today, config, self._pending(today, config)
        return Override(pin, config, self._last[2])

    def instead(self, pin: Pin, today: Config, alive: Alive) -> Config:
        """Return a configuration of the past with today's tasks; see `over`."""
        if self._pinned is None or self._pinned[0] is not pin:
            self._pinned = pin, RestoredConfig(pin.published, self._directory)
        return self._pinned[1].with_tasks_of(today, alive)

    def _pending(self, today: Config, config: Config) -> str:
        """
        Return in one phrase how the two differ.

        If the same sections differ as the last time, the phrase of the last time is returned.
        """
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


def _changed(before: Config, after: Config) -> dict[tuple[str, str], tuple[Section, Section]] | None:
    """Return the sections that differ, by kind and name; None if only a comparison of all sections can tell."""
    places = () if before is after else after.places_that_differ(before)
    if places is None:
        return None
    pairs = ((before.sections[place], after.sections[place]) for place in places)
    return {(new.kind, new.name): (old, new) for old, new in pairs}


def _flat(config: Config) -> Config:
    """Return the configuration with its head split into sections, since the head of the past may have others."""
    head, *rest = config.sections or (None,)
    if head is None or head.kind != "head":
        return config
    return Config((*split(head.text, {}).sections, *rest), config.maps)
