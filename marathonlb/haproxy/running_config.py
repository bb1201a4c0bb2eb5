"""
What HAProxy runs: the one owner of this knowledge, and the only place where it changes. Pure.

::

               adopted                    reloaded (confirmed)
    unknown ────────────→ found on disk ────────────────────────→ known ←──┐
       ↑                        │   observed, stepped                 │    │ stepped
       └────────────────────────┴──────────── lost ───────────────────┴────┘

A controller that begins, and one whose HAProxy's worker was restarted, knows only the files. The marker in the state
directory says whether HAProxy confirmed them; what the runtime API has changed since is read back from the worker. What
is known changes only by what HAProxy has confirmed: by a reload, or by an update that was read back.

The states are classes: of the text in `marathonlb.haproxy.running_text`, of the worker in
`marathonlb.haproxy.dynamic.worker`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import evolve
from msgspec import Struct

from marathonlb.config.text.diff import MAP
from marathonlb.config.text.model import Config, MapEntry, Section
from marathonlb.haproxy.dynamic.update import (
    ServerName,
    Trouble,
    UpdatePlan,
    UpdateResult,
    WorkerIdentity,
    WorkerObservation,
)
from marathonlb.haproxy.dynamic.worker import IWorker, UnknownWorker
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.reload_reason import (
    FIRST_START,
    NOT_RUNNING,
    UNCONFIRMED,
    UNKNOWN_STATE,
    Reasons,
    ReloadReason,
    from_differences,
)
from marathonlb.haproxy.rollback.restored import only_tasks_differ
from marathonlb.haproxy.running_text import IRunningText, NoFiles, RenderedText, TextOnDisk

READ_BACK = 200
"""Maximum number of backends that are read back after a reload; the file of all of them was confirmed."""


class AfterReload(Struct, frozen=True):
    """
    What has to be done to a worker that has just read its configuration.

    :param drained: the servers to drain again, each with the time at which it was drained early.
    :param changed: the backends that differed before, to be read back.
    """

    config: Config
    drained: Mapping[ServerName, float]
    changed: tuple[str, ...]


class RunningConfig:
    """
    What HAProxy runs, as far as it is known.

    :param directory: where haproxy.cfg and the map files lie.
    :ivar confirmed: whether HAProxy has confirmed the files, so that a worker that starts from them runs the same.
    :ivar worker: the worker that takes new connections, known or unknown.
    """

    def __init__(self, directory: str) -> None:
        self.confirmed = False
        self.worker: IWorker = UnknownWorker()
        self._directory = directory
        self._running_text: IRunningText | None = None
        self._is_file_behind = False
        self._requested: Reasons = ()

    @property
    def config(self) -> Config | None:
        """The configuration that HAProxy confirmed, as it was rendered; None where it is known from disk at most."""
        return (
            self._running_text.text
            if self._running_text is not None and self._running_text.is_rendered
            else None
        )

    @property
    def text(self) -> Config | None:
        """The text that HAProxy runs, perhaps as read from disk; None where it has to be found out."""
        return None if self._running_text is None else self._running_text.text

    @property
    def is_adopted(self) -> bool:
        """True if the text was read from disk by this controller."""
        return self._running_text is not None and not self._running_text.is_rendered

    @property
    def to_observe(self) -> Config | None:
        """The confirmed text whose worker is unknown, so that it can be asked what it holds beside that; else None."""
        return self.text if self._doubt is None and self.worker.pid is None else None

    @property
    def _doubt(self) -> ReloadReason | None:
        """The reason why HAProxy may run something else than the text; None where it confirmed that."""
        if self.config is not None and not self.confirmed:
            return UNCONFIRMED
        return None if self._running_text is None else self._running_text.doubt

    @property
    def to_write(self) -> Config | None:
        """The configuration that the files have to follow; None where they say what runs, or a reload is under way."""
        return self.config if self._is_file_behind and self.confirmed else None

    def request_reload(self, reason: ReloadReason) -> None:
        """Note that a reload was asked for."""
        self._requested = (reason,)

    # what is to be done

    def plan_for(self, wanted: Config, *, is_serving: bool, as_of: float | None) -> UpdatePlan:
        """
        Plan the way from what runs to what is wanted.

        :param is_serving: whether a HAProxy runs.
        :param as_of: see `marathonlb.haproxy.dynamic.plan.plan_update`.
        """
        assert self._running_text is not None, "the files are adopted before anything is planned"
        comparison = self._running_text.compare(wanted, self.worker)
        found = comparison.differences
        archive_reasons: Reasons = (FIRST_START,) if self._doubt is FIRST_START else ()
        if not all(map(only_tasks_differ, found)):
            archive_reasons = from_differences(found)
        doubt = self._doubt or (None if is_serving else NOT_RUNNING)
        if doubt is None:
            plan = self.worker.plan(wanted, comparison, self._requested, as_of)
        else:
            plan = self.worker.forgotten().plan(wanted, comparison, (doubt,), as_of)
        return evolve(plan, archive_reasons=archive_reasons, requested=self._requested)

    def foresee(self, wanted: Config) -> Reasons:
        """Return why HAProxy would have to be reloaded to run this; none where the runtime API is enough."""
        if self._running_text is None or not self._running_text.is_rendered:
            return (UNKNOWN_STATE,)
        return self.worker.foresee(wanted, self._running_text.compare(wanted, self.worker))

    # what has changed

    def adopted(self, files: Published | None, *, confirmed: bool) -> None:
        """
        Take the files for what HAProxy runs.

        :param files: None where there are none.
        :param confirmed: whether the marker says that HAProxy runs them.
        """
        self.lost()
        doubt = None if confirmed else UNCONFIRMED
        self._running_text = NoFiles() if files is None else TextOnDisk.of(files, self._directory, doubt)

    def observed(self, observation: WorkerObservation) -> list[str]:
        """
        Take what a worker holds for what runs.

        :return: the backends and maps in which that is something else than was believed.
        """
        assert self._running_text is not None, "the files are adopted before a worker is asked"
        running = self._running_text.text
        self.worker = worker = self.worker.read(running, observation.identity)
        deviating = worker.observed(running, observation)
        if observation.maps:
            self._running_text = self._running_text.replaced(
                Config(running.sections, {**running.maps, **observation.maps})
            )
        return [*deviating, *observation.maps, *sorted(observation.backends.published)]

    def begun(self, plan: UpdatePlan) -> None:
        """Note that an update is about to be carried out."""
        self.worker.begun(plan)

    def stepped(self, plan: UpdatePlan, result: UpdateResult) -> Reasons:
        """
        Take note of the result of an update; `to_write` says whether the files have to follow.

        :return: the reasons of a reload that does what is left.
        """
        if result.trouble is Trouble.OTHER_WORKER:
            self.lost()
            return result.reasons
        comparison = plan.comparison
        self.worker.updated(plan, result)
        if plan.looks:
            return comparison.explained(result.reasons)
        if not result.reasons:
            self._arrive(plan.config)
            self._is_file_behind = self._is_file_behind or not comparison.identical
            if comparison.adopted or len(comparison.running.sections) != len(plan.config.sections):
                self.worker.index(plan.config)
            return ()
        self._advance(plan, result)
        return result.reasons if plan.reasons else comparison.explained(result.reasons)

    def _arrive(self, config: Config) -> None:
        self._running_text, self.confirmed = RenderedText(config), True

    def _advance(self, plan: UpdatePlan, result: UpdateResult) -> None:
        """Take note of what is done, where a reload has to do the rest."""
        assert self._running_text is not None, "an update changes what runs"
        comparison = plan.comparison
        running, found = comparison.running, comparison.differences
        done = {("backend", name) for name in (*result.backends, *result.created)}
        done |= {(MAP, name) for name in result.maps if name not in plan.partial_maps}
        sections: dict[int, Section] = {}
        new: list[str] = []
        for difference in found:
            if difference.new is not None and (difference.kind, difference.name) in done:
                place = self.worker.place(difference.name, running)
                if place is None:
                    new.append(difference.name)
                else:
                    sections[place] = difference.new
        if sections:
            running = running.replace(sections)
        if new or result.maps:
            running = _with_new(running, comparison.wanted, new, result.maps)
        if new:
            self.worker.index(running)
        if running is not comparison.running:
            self._running_text, self._is_file_behind = self._running_text.replaced(running), True
        left = tuple(d for d in found if (d.kind, d.name) not in done)
        self._running_text = self._running_text.postponed(plan.config, left)

    def written(self, config: Config) -> None:
        """Note that the files are those of this configuration."""
        if config is self.text:
            self._is_file_behind = False

    def publishing(self) -> None:
        """Note that the files are about to change for a reload; until it is confirmed they are not what runs."""
        self.confirmed = False
        if self.is_adopted:
            self._running_text = None

    def put_back(self) -> None:
        """Note that HAProxy refused the new files, and that those which it runs are back in place."""
        self.confirmed = self.config is not None

    def reloaded(self, plan: UpdatePlan, as_of: float | None) -> AfterReload:
        """
        Take a configuration for what runs: HAProxy has confirmed its reload.

        :return: what its worker needs; see `met`.
        """
        after = AfterReload(
            plan.config,
            self.worker.drained_since(as_of),
            tuple(
                difference.name
                for difference in plan.comparison.differences
                if difference.kind == "backend" and difference.new is not None
            )[:READ_BACK],
        )
        self._arrive(plan.config)
        self._is_file_behind = False
        self.worker = self.worker.forgotten()
        if self._requested is plan.requested:
            self._requested = ()
        return after

    def met(self, identity: WorkerIdentity, after: AfterReload) -> tuple[ServerName, ...]:
        """
        Note the worker that has read the configuration of a reload; what differed before is read back next.

        :return: the servers that have to be drained at once.
        """
        self.worker = self.worker.read(after.config, identity)
        targets = [self.worker.drain(after.config, [server], when) for server, when in after.drained.items()]
        self.worker.doubt(after.changed)
        return tuple(server for group in targets for server in group)

    def drain(self, servers: Iterable[ServerName], now: float) -> tuple[ServerName, ...]:
        """
        Note servers as drained early; see `WorkerState.drain`.

        :return: the servers that have to be drained at once.
        """
        if self.config is None:
            return ()
        return tuple(self.worker.drain(self.config, servers, now))

    def lost(self) -> None:
        """Note that it has to be found out what runs."""
        self._running_text, self._is_file_behind = None, False
        self.worker = self.worker.forgotten()


def _with_new(
    running: Config, wanted: Config, new: Collection[str], maps: Mapping[str, tuple[MapEntry, ...]]
) -> Config:
    """
    Return the running configuration with backends added from the wanted one, and with other maps.

    :param new: the names of the backends to add.
    :param maps: the entries of the maps that changed, by file name.
    """
    sections = tuple(_merged_sections(running, wanted, new)) if new else running.sections
    return Config(sections, {**running.maps, **maps})


def _merged_sections(running: Config, wanted: Config, new: Collection[str]) -> Iterable[Section]:
    """Yield the running sections with each new one before the section that it precedes in `wanted`."""
    before: dict[tuple[str, str], list[Section]] = {}
    waiting: list[Section] = []
    there = {(section.kind, section.name) for section in running.sections}
    for section in wanted.sections:
        key = section.kind, section.name
        if section.kind == "backend" and section.name in new:
            waiting.append(section)
        elif waiting and key in there:
            before[key], waiting = waiting, []
    for section in running.sections:
        yield from before.pop((section.kind, section.name), ())
        yield section
    yield from waiting
