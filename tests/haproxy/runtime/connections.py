"""What every worker answers; the fake one and the real ones are put to it alike."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from marathonlb.config.text.model import DIRECTORY, Chunk, Config, MapEntry, Owner, Section
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.dynamic.maps import parse_entries, parse_maps, version_of
from marathonlb.haproxy.dynamic.server_state import is_unpublished, parse_state
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, READY
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal
from tests.coroutines import coroutine

OWNER = Owner()
MADE = "defaults made\n  mode http\n  timeout client 5s\n  timeout connect 2s\n  timeout server 5s\n"


def backend(name: str, *lines: str) -> Section:
    """A backend of bare lines."""
    return Section(
        "backend", name, (Chunk(f"backend {name}\n" + "".join(f"  {line}\n" for line in lines), OWNER),)
    )


def two_backends(head: str, port: int) -> Config:
    """A configuration with a map, backends whose servers can and cannot be changed, and what others are made from."""
    front = f"frontend main\n  bind 127.0.0.1:{port}\n  use_backend %[path,map({DIRECTORY}/some.map)]\n"
    return Config(
        (
            Section("head", "", (Chunk(head, OWNER),)),
            Section("frontend", "main", (Chunk(front, OWNER),)),
            backend(
                "b",
                "balance roundrobin",
                "server a 127.0.0.2:20001 id 11 check inter 60s",
                "server z 127.0.0.2:2 id 12",
            ),
            backend("fixed", "balance source", "server a 127.0.0.2:20003"),
            Section("defaults", "made", (Chunk(MADE, OWNER),)),
        ),
        {"some.map": (MapEntry("/one", "b", OWNER),)},
    )


class RuntimeConnectionContract:
    """
    `IRuntimeConnection`. A test case gives `connection`, a connection to a worker that has read `two_backends`, and the
    `directory` of its maps.
    """

    connection: Any
    directory: str

    async def ask(self, *commands: str) -> list[str]:
        answers: list[str] = await self.connection.execute(commands)
        return answers

    async def refusals(self: Any, *commands: str) -> list[bool]:
        answers = await self.connection.execute(commands)
        return [
            refusal(command, answer) is not None for command, answer in zip(commands, answers, strict=True)
        ]

    async def seen(self: Any, server: str) -> tuple[str, int, int, str]:
        (answer,) = await self.ask("show servers state b")
        it = parse_state(answer)["b"][server]
        return it.address, it.port, it.weight, it.admin

    @coroutine
    async def test_interface(self: Any) -> None:
        """It provides the interface, and says who it is."""
        self.assertTrue(verifyObject(IRuntimeConnection, self.connection))
        self.assertGreater(await self.connection.worker_pid(), 1)
        self.assertEqual(await self.ask(), [])
        self.assertRegex((await self.ask("show version"))[0], r"^\d+\.\d+")

    @coroutine
    async def test_add(self: Any) -> None:
        """An added server waits in maintenance until it is enabled."""
        self.assertEqual(await self.refusals("add server b/c 127.0.0.2:20004 id 13 weight 50"), [False])
        self.assertEqual(await self.seen("c"), ("127.0.0.2", 20004, 50, MAINTENANCE))
        self.assertEqual(await self.refusals("enable server b/c"), [False])
        self.assertEqual(await self.seen("c"), ("127.0.0.2", 20004, 50, READY))

    @coroutine
    async def test_refused(self: Any) -> None:
        """What cannot be added is refused in words, and nothing is added."""
        refused = await self.refusals(
            "add server b/a 127.0.0.2:1",
            "add server nowhere/a 127.0.0.2:1",
            "add server fixed/b 127.0.0.2:1",
            "enable health b/z",
            "enable server b/nobody",
            "set server b/nobody state drain",
            "no such command",
        )
        self.assertEqual(refused, [True] * 7)
        (answer,) = await self.ask("show servers state")
        self.assertEqual(
            {name: set(found) for name, found in parse_state(answer).items()},
            {"b": {"a", "z"}, "fixed": {"a"}},
        )

    @coroutine
    async def test_id_taken(self: Any) -> None:
        """An id that another server has is refused, and the refusal says that this is why."""
        command = "add server b/c 127.0.0.2:20004 id 11"
        (answer,) = await self.ask(command)
        refused = refusal(command, answer)
        self.assertTrue(refused is not None and refused.id_taken, answer)

    @coroutine
    async def test_state_and_weight(self: Any) -> None:
        """Admin state and weight change in place."""
        self.assertEqual(
            await self.refusals("set server b/a weight 7", "set server b/a state drain"), [False] * 2
        )
        self.assertEqual(await self.seen("a"), ("127.0.0.2", 20001, 7, DRAIN))
        self.assertEqual(await self.refusals("set server b/a state maint"), [False])
        self.assertEqual((await self.seen("a"))[3], MAINTENANCE)
        self.assertEqual(await self.refusals("set server b/a state drain"), [False])
        self.assertEqual((await self.seen("a"))[3], DRAIN)
        self.assertEqual(await self.refusals("set server b/a state ready"), [False])
        self.assertEqual(await self.seen("a"), ("127.0.0.2", 20001, 7, READY))

    @coroutine
    async def test_move(self: Any) -> None:
        """Address and port change in place, a moment after it was said (HAProxy 3.0 and later)."""
        self.assertEqual(await self.refusals("set server b/a addr 127.0.0.3 port 20100"), [False])
        for _ in range(100):
            if (await self.seen("a"))[:2] == ("127.0.0.3", 20100):
                return
        self.fail("it did not move")

    @coroutine
    async def test_delete(self: Any) -> None:
        """A server of the file is deleted in maintenance alone; one that is gone is gone."""
        self.assertEqual(await self.refusals("del server b/a"), [True])
        self.assertEqual(
            await self.refusals("set server b/a state maint", "del server b/a", "del server b/a"), [False] * 3
        )
        (answer,) = await self.ask("show servers state b")
        self.assertEqual(set(parse_state(answer)["b"]), {"z"})

    @coroutine
    async def test_maps(self: Any) -> None:
        """Entries of maps are added, set and deleted, and counted."""
        path = f"{self.directory}/some.map"
        self.assertEqual(parse_maps((await self.ask("show map"))[0]), {path: 1})
        commands = (f"add map {path} /two b", f"set map {path} /one fixed", f"del map {path} /two")
        self.assertEqual(await self.refusals(*commands), [False] * 3)
        self.assertEqual(await self.refusals(f"del map {path} /two", f"set map {path} /two b"), [True] * 2)
        self.assertEqual(await self.refusals(f"add map {self.directory}/other.map a b"), [True])
        self.assertEqual(parse_entries((await self.ask(f"show map {path}"))[0]), [("/one", "fixed")])

    @coroutine
    async def test_map_transaction(self: Any) -> None:
        """A new version of a map is put in force at once, in the order it was said."""
        path = f"{self.directory}/some.map"
        (prepared,) = await self.ask(f"prepare map {path}")
        version = version_of(prepared)
        payload = "".join(f"/{number} b\n" for number in (3, 1, 2))
        self.assertEqual(await self.refusals(f"add map {version} {path} <<\n{payload}"), [False])
        self.assertEqual(parse_entries((await self.ask(f"show map {path}"))[0]), [("/one", "b")])
        self.assertEqual(await self.refusals(f"commit map {version} {path}"), [False])
        held = parse_entries((await self.ask(f"show map {path}"))[0])
        self.assertEqual(held, [("/3", "b"), ("/1", "b"), ("/2", "b")])
        self.assertEqual(parse_maps((await self.ask("show map"))[0]), {path: 3})

    # whole backends, from HAProxy 3.4 on

    async def makes(self: Any) -> bool:
        (version,) = await self.ask("show version")
        return RuntimeCapabilities.of(version).limits.creates_backends

    @coroutine
    async def test_make(self: Any) -> None:
        """A backend is made from defaults that were read, given servers, and published; older versions refuse."""
        commands = ("experimental-mode on", "add backend new from made", "publish backend new")
        if not await self.makes():
            self.assertEqual((await self.refusals(*commands))[1:], [True] * 2)
            return
        self.assertEqual(await self.refusals(*commands[:2]), [False] * 2)
        self.assertEqual(await self.unpublished("new", "b"), [True, False])
        self.assertEqual(
            await self.refusals("add server new/a 127.0.0.2:1 id 7", "enable server new/a"), [False] * 2
        )
        self.assertEqual(await self.refusals(commands[2]), [False])
        self.assertEqual(await self.unpublished("new", "b"), [False, False])
        state, listed = await self.ask("show servers state new", "show backend")
        self.assertEqual(parse_state(state)["new"]["a"].admin, READY)
        self.assertEqual(listed.splitlines(), ["# name", "b", "fixed", "new"])

    async def unpublished(self: Any, *names: str) -> list[bool]:
        return [
            is_unpublished(answer) for answer in await self.ask(*(f"show stat {name} 2 -1" for name in names))
        ]

    @coroutine
    async def test_make_refused(self: Any) -> None:
        """A backend that is there, or comes from nowhere, is refused, and so is one that nobody has."""
        commands = (
            "add backend b from made",
            "add backend new from nowhere",
            "publish backend nobody",
            "unpublish backend nobody",
        )
        self.assertEqual((await self.refusals("experimental-mode on", *commands))[1:], [True] * 4)
        if await self.makes():
            words = [
                CommandRefusal(c, a).lasting for c, a in zip(commands, await self.ask(*commands), strict=True)
            ]
            self.assertEqual(words, [False] * 4)

    @coroutine
    async def test_withdraw(self: Any) -> None:
        """A backend, of the file as well, is deleted once it is unpublished and empty; older versions refuse."""
        if not await self.makes():
            self.assertEqual(await self.refusals("unpublish backend b", "del backend b"), [True] * 2)
            return
        self.assertEqual(await self.refusals("experimental-mode on", "del backend fixed"), [False, True])
        self.assertEqual(await self.refusals("unpublish backend fixed", "del backend fixed"), [False, True])
        self.assertEqual(await self.unpublished("fixed"), [True])
        commands = (
            "set server fixed/a state maint",
            "del server fixed/a",
            "del backend fixed",
            "del backend fixed",
        )
        self.assertEqual(await self.refusals(*commands), [False] * 4)
        (listed,) = await self.ask("show backend")
        self.assertEqual(listed.splitlines(), ["# name", "b"])
