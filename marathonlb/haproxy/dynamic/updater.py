"""
Steering a HAProxy that runs: says steps to its worker, reads back what came of them, and believes nothing else.

A step that HAProxy refuses, one that it answers with silence, and a server that reads back as something else all end in
a reload with that as its reason. A worker that is not the one that confirmed the text that runs is told nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, MapEntry
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.dynamic import backend_updates
from marathonlb.haproxy.dynamic.capabilities import Abilities
from marathonlb.haproxy.dynamic.executor import Said, say
from marathonlb.haproxy.dynamic.map_updates import MapSteering
from marathonlb.haproxy.dynamic.plan import Sketch, UpdateResult
from marathonlb.haproxy.dynamic.server_state import deviations_of, parse_state, questions
from marathonlb.haproxy.dynamic.servers import Steps, held_by
from marathonlb.haproxy.dynamic.worker_state import Ledger, Target
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal
from marathonlb.timers import pause

MAX_STEPS = 10_000
"""Of more steps than these a reload is the smaller one."""

GRAVES_AT_ONCE = 200
"""So many servers of the graveyard are tried at a time."""

TRIES = 2
"""So often at most a backend that does not read back as it was told is put right before it takes a reload."""

ATTEMPTS = 2
"""So often at most a conversation is begun; one that was kept may be over, and that was not noticed yet."""

MOVING = (0.002, 0.02, 0.2)
"""Seconds that an address is given to change: HAProxy 3.0 and later say so a moment before."""

Connect = Callable[[Config], Awaitable[IRuntimeConnection]]
"""Opens a conversation with the worker of a HAProxy that runs a configuration; raises `HAProxyUnavailable`."""


class OtherWorkerError(Exception):
    """The worker is not the one that confirmed what is believed to run."""


@frozen
class _Wrong:
    """A backend does not read back as it was told, after these steps."""

    reason: ReloadReason
    steps: Steps


class Steering:
    """
    Leads one worker from text to text.

    :param directory: where the map files lie.
    :ivar worker: the process id of the worker that confirmed the text that runs; None where nobody knows.
    """

    _log = Logger()

    def __init__(self, connect: Connect, directory: str, clock: IReactorTime) -> None:
        self.worker: int | None = None
        self.ledger = Ledger()
        self.abilities = Abilities()
        self._connect = connect
        self._clock = clock
        self._maps = MapSteering(directory)

    @asynccontextmanager
    async def _talk(self, config: Config) -> AsyncIterator[IRuntimeConnection]:
        talk = await self._connect(config)
        try:
            yield talk
        finally:
            talk.close()

    # who runs

    def forget(self) -> None:
        """Nobody knows what the worker holds."""
        self.worker = None
        self.ledger = Ledger()

    async def meet(self, config: Config, before: int | None = None) -> bool:
        """
        A worker has read this configuration: remember who, and what it can do.

        :param before: the worker that it must not be any more.
        :return: False where it is still that one, or cannot be asked.
        """
        self.worker = None
        try:
            async with self._talk(config) as talk:
                worker = await talk.worker_pid(refresh=True)
                if worker == before:
                    return False
                version, helped = await talk.execute(["show version", "add server help"])
        except HAProxyUnavailable:
            return False
        if version != self.abilities.version:
            self.abilities = Abilities.of(version, helped)
        self.ledger.began(config)
        self.worker = worker
        return True

    async def same_worker(self, config: Config) -> bool | None:
        """Whether the worker is the one that confirmed what runs; None where that cannot be asked."""
        try:
            async with self._talk(config) as talk:
                return await talk.worker_pid(refresh=True) == self.worker
        except HAProxyUnavailable:
            return None

    async def state(self, config: Config) -> tuple[int | None, str]:
        """The worker and what it says of all its servers; None and nothing where it cannot be asked."""
        try:
            async with self._talk(config) as talk:
                worker = await talk.worker_pid(refresh=True)
                (answer,) = await talk.execute(["show servers state"])
                return worker, answer
        except HAProxyUnavailable:
            return None, ""

    async def adopt(self, config: Config) -> dict[str, tuple[MapEntry, ...]] | None:
        """
        Find out where a worker that runs already holds something else than this configuration.

        :return: the maps that hold something else, with what they hold; None where it cannot be asked.
        """
        if not await self.meet(config):
            return None
        try:
            async with self._talk(config) as talk:
                (answer,) = await talk.execute(["show servers state"])
                seen = parse_state(answer)
                backends = [s.name for s in config.sections if s.kind == "backend"]
                wrong = [n for n in backends if not self.ledger.saw(n, config, seen.get(n, {}))]
                maps = await self._maps.others(talk, config)
                if self.abilities.limits.makes_backends:
                    await backend_updates.look(talk, config, self.ledger.originals)
        except HAProxyUnavailable:
            self.worker = None
            return None
        strays = self.ledger.originals.strays
        if wrong or maps or strays:
            self._log.info(
                "HAProxy holds something else than its file in {count} places ({names}); it is put right",
                count=len(wrong) + len(maps) + len(strays),
                names=", ".join([*wrong[:3], *maps, *sorted(strays)[:3]]),
            )
        return maps

    # steps

    async def step(
        self,
        found: Sequence[Difference],
        running: Config,
        wanted: Config,
        as_of: float | None = None,
        *,
        whole: bool = False,
    ) -> UpdateResult:
        """
        Do what steps can do of the way from one configuration to another.

        :param found: where they differ.
        :param as_of: see `Ledger.sketch`.
        :param whole: whether nothing is to be done where steps cannot do everything.

        Raises `OtherWorkerError` where it has to be found out anew what runs; then nothing was said to that worker.
        """
        if not found and not self.ledger.pending:
            return UpdateResult()

        def sketch() -> Sketch:
            return self.ledger.sketch(found, running, wanted, self.abilities.limits, as_of)

        if not self.ledger.doubts:
            first = sketch()
            if whole and first.reasons:
                return UpdateResult(reasons=first.reasons)
            if not first:
                return self._silently(first)
        reasons: Reasons = ()
        for _ in range(ATTEMPTS):
            told: set[str] = set()
            try:
                return await self._converse(sketch, told, running, wanted, whole=whole)
            except HAProxyUnavailable as error:
                self.ledger.unsure |= told
                reasons = reasons or (ReloadReason(ReasonKind.RUNTIME_API_UNAVAILABLE, detail=str(error)),)
            except BaseException:
                self.ledger.unsure |= told
                raise
        return UpdateResult(reasons=reasons)

    async def _converse(
        self, sketch: Callable[[], Sketch], told: set[str], running: Config, wanted: Config, *, whole: bool
    ) -> UpdateResult:
        """
        One conversation. Raises `HAProxyUnavailable` and `OtherWorkerError`.

        :param told: takes the backends of which something was said.
        """
        async with self._talk(running) as talk:
            if await talk.worker_pid() != self.worker:
                raise OtherWorkerError
            if self.ledger.doubts:
                await self._look(talk, running)
            before, reasons = Steps(), tuple[ReloadReason, ...]()
            for _ in range(TRIES):
                plan = sketch()
                if whole and plan.reasons:
                    return UpdateResult(reasons=plan.reasons)
                told.update(plan.backends)
                self.ledger.begun(plan)
                done = await self._carry_out(talk, plan, running, wanted)
                if isinstance(done, UpdateResult):
                    return evolve(done, steps=before + done.steps)
                before, reasons = before + done.steps, (done.reason,)
            return UpdateResult(before, reasons=reasons)

    def _silently(self, sketch: Sketch) -> UpdateResult:
        """The texts differ where that means nothing at runtime, or where steps do not help."""
        for touched in sketch.backends.values():
            self.ledger.done(touched, ())
        return UpdateResult(backends=tuple(sketch.backends), reasons=sketch.reasons, may_wait=sketch.may_wait)

    async def _look(self, talk: IRuntimeConnection, running: Config) -> None:
        """Look at the backends of which nobody knows what they hold."""
        names = sorted(self.ledger.unsure)
        answers = await talk.execute(questions(names))
        for name, answer in zip(names, answers, strict=True):
            self.ledger.saw(name, running, parse_state(answer).get(name, {}))
        if self.ledger.originals.doubtful:
            await backend_updates.look(talk, running, self.ledger.originals)

    async def _carry_out(
        self, talk: IRuntimeConnection, sketch: Sketch, running: Config, wanted: Config
    ) -> UpdateResult | _Wrong:
        steps = sketch.steps
        if len(steps.gains) + len(steps.losses) > MAX_STEPS:
            detail = f"{len(steps.gains) + len(steps.losses)} servers change at once"
            return UpdateResult(reasons=(ReloadReason(ReasonKind.TOO_MANY_CHANGES, detail=detail),))
        readable = [name for name, each in sketch.backends.items() if each.readable]
        said = await say(talk, steps, self._clock, questions([*readable, *sketch.made]))
        if said.refused is not None:
            return UpdateResult(reasons=(self._refused(said.refused, sketch),))
        wrong = await self._read_back(talk, sketch, said)
        if wrong is not None:
            return UpdateResult(reasons=(wrong,)) if sketch.made else _Wrong(wrong, steps)
        for name, touched in sketch.backends.items():
            self.ledger.done(touched, said.buried.get(name, ()))
        self.ledger.made(sketch.made)
        maps, reasons = sketch.maps, sketch.reasons
        if maps:
            mapped, failed = await self._maps.change(talk, maps, running)
            steps, maps = steps + mapped, {} if failed else maps
            reasons = (*failed, *reasons)
        if sketch.withdrawn and not reasons:
            withdrawn, reasons = await backend_updates.withdraw(talk, sketch.withdrawn)
            steps += withdrawn
            self.ledger.forgot(sketch.withdrawn)
        may_wait = sketch.may_wait and reasons == sketch.reasons
        return UpdateResult(steps, (*sketch.backends, *sketch.made), maps, reasons, may_wait)

    def _refused(self, refused: CommandRefusal, sketch: Sketch) -> ReloadReason:
        """Remember it, and that nobody knows what was done before; the reason of the reload."""
        self.ledger.unsure |= sketch.backends.keys()
        touched = sketch.backends.get(refused.backend)
        about = touched.wanted if touched is not None else sketch.made.get(refused.backend)
        self.abilities = self.abilities.without(refused, about.rest if about is not None else "")
        return from_refusal(refused)

    async def _read_back(self, talk: IRuntimeConnection, sketch: Sketch, said: Said) -> ReloadReason | None:
        """
        Compare what HAProxy holds with what it was told, and note what it holds where that is something else.

        :return: the first thing that is wrong.
        """
        expected = {
            name: each.expected(said.buried.get(name, ()))
            for name, each in sketch.backends.items()
            if each.readable
        }
        expected.update({name: held_by(backend) for name, backend in sketch.made.items()})
        found = deviations_of(expected, said.answers)
        if found and any(step.kind == "moved" for step in sketch.steps.gains):
            for seconds in MOVING:
                await pause(self._clock, seconds)
                found = deviations_of(expected, await talk.execute(questions(expected)))
                if not found:
                    break
        if not found:
            closed = await backend_updates.unpublished(talk, list(sketch.made)) if sketch.made else []
            return backend_updates.not_published(closed[0]) if closed else None
        for name in sketch.backends.keys() & expected.keys():
            self.ledger.hold(sketch.backends[name].old, {**expected[name], **found.get(name, {})})
        name, wrong = next(iter(found.items()))
        server = f"{name}/{next(iter(wrong))}"
        return ReloadReason(ReasonKind.READ_BACK_DIFFERS, server, "does not read back as set", "server")

    # out of turn

    async def drain(self, running: Config, targets: Iterable[Target], now: float) -> None:
        """
        Let servers take no new requests, until `step` says what becomes of them.

        :param now: seconds on the clock that `step` is given `as_of` by.
        """
        new = self.ledger.drain(running, targets, now)
        if not new:
            return
        try:
            async with self._talk(running) as talk:
                if await talk.worker_pid() == self.worker:
                    await talk.execute(
                        [f"set server {backend}/{server} state drain" for backend, server in new]
                    )
        except HAProxyUnavailable:
            self.ledger.unsure |= {backend for backend, _ in new}

    async def dig(self, running: Config) -> None:
        """Delete the servers of the graveyard that nobody uses any more."""
        targets = self.ledger.graves[:GRAVES_AT_ONCE]
        leaving = list(self.ledger.originals.leaving)[:GRAVES_AT_ONCE]
        commands = [f"del server {backend}/{server}" for backend, server in targets]
        try:
            async with self._talk(running) as talk:
                if await talk.worker_pid() != self.worker:
                    return
                answers = await talk.execute(commands)
                buried = await backend_updates.bury(talk, leaving) if leaving else []
        except HAProxyUnavailable:
            self.ledger.unsure |= {backend for backend, _ in targets}
            return
        for name in buried:
            self.ledger.originals.leaving.pop(name, None)
        for target, command, answer in zip(targets, commands, answers, strict=True):
            self.ledger.dug(target, gone=refusal(command, answer) is None)
