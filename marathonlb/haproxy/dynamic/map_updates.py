"""Steps for maps: said, and compared by the number of their entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marathonlb.config.text.model import Config, MapEntry, Owner
from marathonlb.haproxy.dynamic import maps
from marathonlb.haproxy.dynamic.servers import Steps
from marathonlb.haproxy.reload_reason import ReasonKind, Reasons, ReloadReason, from_refusal
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal


class MapSteering:
    """
    Changes the maps of a worker.

    :param directory: where the map files lie.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    async def others(self, talk: IRuntimeConnection, config: Config) -> dict[str, tuple[MapEntry, ...]]:
        """The maps in use that hold something else than a configuration's, with what they hold."""
        if not config.maps:
            return {}
        (answer,) = await talk.execute(["show map"])
        used = maps.parse_maps(answer)
        found = {}
        for name, entries in config.maps.items():
            if self._path(name) in used:
                held = await self._held(talk, name)
                if not maps.same_entries(name, held, maps.pairs(entries)):
                    found[name] = tuple(MapEntry(key, value, Owner()) for key, value in held)
        return found

    async def _held(self, talk: IRuntimeConnection, name: str) -> maps.Pairs:
        (answer,) = await talk.execute([f"show map {self._path(name)}"])
        return maps.parse_entries(answer)

    async def change(
        self, talk: IRuntimeConnection, wanted: Mapping[str, Sequence[MapEntry]], running: Config
    ) -> tuple[Steps, Reasons]:
        """
        Make maps hold these entries. One that HAProxy does not use needs nothing.

        :return: the steps, and the reasons of a reload where one of them went wrong.
        """
        (answer,) = await talk.execute(["show map"])
        used = maps.parse_maps(answer)
        names = [name for name in wanted if self._path(name) in used]
        whole = Steps()
        for name in names:
            held = maps.pairs(running.maps[name])
            if used[self._path(name)] != len(held):
                held = list(await self._held(talk, name))
            steps = maps.plan_map(name, self._path(name), held, maps.pairs(wanted[name]))
            refused = await self._say(talk, steps)
            if refused is not None:
                return whole, (from_refusal(refused, name),)
            whole += steps
        return whole, await self._compare(talk, names, wanted) if whole else ()

    async def _compare(
        self, talk: IRuntimeConnection, names: Sequence[str], wanted: Mapping[str, Sequence[MapEntry]]
    ) -> Reasons:
        (answer,) = await talk.execute(["show map"])
        counts = maps.parse_maps(answer)
        for name in names:
            count = counts.get(self._path(name), 0)
            if count != len(wanted[name]):
                detail = f"holds {count} entries in place of {len(wanted[name])}"
                return (ReloadReason(ReasonKind.READ_BACK_DIFFERS, name, detail, "map"),)
        return ()

    async def _say(self, talk: IRuntimeConnection, steps: Steps) -> CommandRefusal | None:
        """Say them in order; a transaction's version is known only when HAProxy has named it."""
        for step in (*steps.gains, *steps.losses):
            commands = list(step.commands)
            if commands[0].startswith("prepare map "):
                (answer,) = await talk.execute(commands[:1])
                version = maps.version_of(answer)
                if version is None:
                    return refusal(commands[0], answer) or CommandRefusal(commands[0], answer)
                commands = [command.replace(maps.NEW_VERSION, version, 1) for command in commands[1:]]
            for command, answer in zip(commands, await talk.execute(commands), strict=True):
                refused = refusal(command, answer)
                if refused is not None:
                    return refused
        return None
