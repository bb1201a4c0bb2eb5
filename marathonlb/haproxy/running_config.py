"""
What HAProxy runs: known from the last confirmation, or found out from its files and from itself.

A controller that begins, and one whose HAProxy's worker was started anew, knows the file and nothing else. The marker
in the state directory says whether HAProxy confirmed that file; what steps have changed since is read back.
"""

from __future__ import annotations

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.diff import Difference, Fate, differences, split, with_new
from marathonlb.config.text.model import Config, Section
from marathonlb.haproxy.config_store import Store
from marathonlb.haproxy.dynamic.plan import UpdateResult, is_done
from marathonlb.haproxy.dynamic.updater import OtherWorkerError, Steering
from marathonlb.haproxy.interfaces import IReloader, ReloadResult
from marathonlb.haproxy.reload_reason import (
    ADOPTED,
    FIRST_START,
    NOT_RUNNING,
    UNCONFIRMED,
    WHITE_SPACE_DIFFERS,
    Reasons,
    from_differences,
    sentence,
)
from marathonlb.timers import pause

MEETING = 5.0
"""Seconds that the new worker of a HAProxy which is not ours is waited for: its reload may be under way yet."""

READ_BACK = 200
"""So many backends at most are read back after a reload; of all of them the file was confirmed."""


@frozen
class Way:
    """
    From what runs to what is wanted.

    :param running: what runs, and `wanted` what should, in texts that can be compared.
    :param found: where they differ.
    :param reasons: of a reload, where what runs is not known well enough for steps; empty else.
    :param adopted: whether it was found out, not remembered.
    """

    running: Config
    wanted: Config
    found: tuple[Difference, ...] = ()
    reasons: Reasons = ()
    adopted: bool = False

    def because(self, reasons: Reasons) -> Reasons:
        """Return the reasons of the reload that does what steps could not."""
        return (ADOPTED, *reasons) if reasons and self.adopted else reasons


class Bearings:
    """
    Keeps what HAProxy runs.

    :ivar running: what it confirmed; None where that has to be found out.
    :ivar confirmed: whether a worker that is started from the file runs that.
    :ivar known: what it ran last, as far as was ever known.
    """

    _log = Logger()

    def __init__(self, store: Store, reloader: IReloader, steering: Steering | None) -> None:
        self.running: Config | None = None
        self.known: Config | None = None
        self.confirmed = False
        self._store = store
        self._reloader = reloader
        self._steering = steering
        self._touched: tuple[str, ...] = ()
        self._left: tuple[Config, tuple[Difference, ...]] | None = None

    def lose(self) -> None:
        """What runs has to be found out."""
        self.running = self._left = None
        if self._steering is not None:
            self._steering.forget()

    async def way(self, wanted: Config) -> Way:
        """From what runs to this. Raises `PublishFailed` where the files cannot be read."""
        serving = await self._reloader.serving()
        way = await (self._from_memory(wanted, serving) if self.running else self._from_disk(wanted, serving))
        self.known = way.running
        self._touched = tuple(d.name for d in way.found if d.kind == "backend" and d.new is not None)
        return way

    async def _from_memory(self, wanted: Config, serving: bool) -> Way:
        running = self.running
        assert running is not None
        found = self._differences(running, wanted)
        doubt = (UNCONFIRMED,) if not self.confirmed else () if serving else (NOT_RUNNING,)
        steering = self._steering
        if doubt or steering is None:
            return Way(running, wanted, found, from_differences(found) or doubt)
        if found and steering.worker is None:
            looked = await self._look(steering, running)
            if looked is None:
                return Way(running, wanted, found, from_differences(found))
            if looked is not running:
                running, found = looked, differences(looked, wanted)
        return Way(running, wanted, found)

    def _differences(self, running: Config, wanted: Config) -> tuple[Difference, ...]:
        """Where they differ; while a reload is postponed, what it is to do and what has changed since it was."""
        if self._left is None or self._steering is None:
            return differences(running, wanted)
        before, left = self._left
        places = () if wanted is before else wanted.places_that_differ(before)
        if places is None:
            return differences(running, wanted)
        found = {(difference.kind, difference.name): difference for difference in left}
        for place in places:
            new = wanted.sections[place]
            key = (new.kind, new.name)
            there = found.get(key)
            old = there.old if there is not None else None
            if there is None:
                at = self._steering.ledger.place(new.name, running) if new.kind == "backend" else None
                if at is None:
                    return differences(running, wanted)
                old = running.sections[at]
            if old is not None and old.text == new.text:
                found.pop(key, None)
            else:
                found[key] = Difference(*key, Fate.NEW if old is None else Fate.CHANGED, old, new)
        return tuple(found.values())

    async def _from_disk(self, wanted: Config, serving: bool) -> Way:
        disk, texts = self._store.read(wanted.maps), self._store.texts(wanted)
        if disk is None:
            return Way(Config(), wanted, (), (FIRST_START,))
        running, target = wanted, wanted
        found: tuple[Difference, ...] = ()
        differs: Reasons = ()
        if disk.digest() != texts.digest():
            running, target = split(disk.text, disk.maps), split(texts.text, texts.maps)
            found = differences(running, target)
            differs = (ADOPTED, *(from_differences(found) or (WHITE_SPACE_DIFFERS,)))
        if not self._store.trusts(disk):
            return Way(running, target, found, differs or (UNCONFIRMED,), adopted=True)
        if not serving:
            return Way(running, target, found, differs or (NOT_RUNNING,), adopted=True)
        looked = await self._look(self._steering, running) if self._steering is not None else None
        if looked is None:
            return Way(running, target, found, differs, adopted=True)
        if looked is not running:
            running, found = looked, differences(looked, target)
        return Way(running, target, found, adopted=True)

    async def _look(self, steering: Steering, running: Config) -> Config | None:
        """What a worker that has read this runs; its servers are in the ledger. None where nobody answers."""
        maps = await steering.adopt(running)
        if maps is None:
            return None
        return Config(running.sections, {**running.maps, **maps}) if maps else running

    def arrive(self, way: Way, stepped: UpdateResult, wanted: Config) -> bool:
        """
        Take note of what steps came to.

        :param wanted: what was asked for, as it was rendered.
        :return: whether the file has to follow.
        """
        if not stepped.reasons:
            same_text = not way.found and not (way.adopted and way.running is not wanted)
            self.running, self.confirmed, self._left = wanted, True, None
            moved = way.adopted or len(way.running.sections) != len(wanted.sections)
            if moved and self._steering is not None:
                self._steering.ledger.index(wanted)
            return not same_text
        if way.adopted:
            return False
        done = {("backend", name) for name in stepped.backends}
        done |= {("map", name) for name in stepped.maps if is_done(name, stepped.maps, wanted)}
        self._left = wanted, tuple(d for d in way.found if (d.kind, d.name) not in done)
        sections: dict[int, Section] = {}
        new: list[str] = []
        assert self._steering is not None
        ledger, running = self._steering.ledger, way.running
        for each in way.found:
            if each.new is not None and (each.kind, each.name) in done:
                place = ledger.place(each.name, running)
                if place is None:
                    new.append(each.name)
                else:
                    sections[place] = each.new
        if sections:
            running = running.replace(sections)
        if new or stepped.maps:
            running = with_new(running, way.wanted, new, stepped.maps)
        if new:
            ledger.index(running)
        self.running = running
        return running is not way.running

    async def met(
        self,
        wanted: Config,
        reloaded: ReloadResult,
        before: int | None,
        as_of: float | None,
        clock: IReactorTime,
    ) -> None:
        """
        HAProxy confirmed a reload: know the new worker, drain again what was drained out of turn, and read back what
        differed.

        :param before: the worker before.
        """
        self.running, self.confirmed, self._left = wanted, True, None
        steering = self._steering
        if steering is None:
            return
        if not reloaded.running:
            steering.forget()
            return
        drained = steering.ledger.drained_since(as_of)
        deadline = clock.seconds() + MEETING
        while not await steering.meet(wanted, before):
            if before is None or clock.seconds() >= deadline:
                return
            await pause(clock, 0.05)
        for target, when in drained.items():
            await steering.drain(wanted, [target], when)
        steering.ledger.unsure.update(self._touched[:READ_BACK])
        try:
            stepped = await steering.step((), wanted, wanted, as_of)
        except OtherWorkerError:
            self.lose()
            return
        if stepped.reasons:
            self._log.error(
                "After the reload HAProxy does not hold what its file says: {why}; the next change tries again",
                why=sentence(stepped.reasons),
            )
