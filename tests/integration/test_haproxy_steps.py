"""The rules that keep the way without reloads true, each against every HAProxy there is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from marathonlb.config.text.model import DIRECTORY, Chunk, Config, MapEntry, Owner, Section
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.applier import Applier
from marathonlb.haproxy.dynamic.server_state import ReportedServer, parse_state
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, READY
from marathonlb.haproxy.factory import make_applier
from marathonlb.haproxy.outcome import action_word, explanation
from marathonlb.haproxy.process import setsid_exec
from marathonlb.haproxy.runtime.connection import RuntimeConnection, RuntimeSocket
from tests.coroutines import coroutine
from tests.haproxy.runtime.connections import backend
from tests.integration.answering import Task, request
from tests.integration.haproxies import Load, Place, free_port, on_each
from tests.integration.worlds import certificate

OWNER = Owner()


class StepsMixin:
    """Steps in place of reloads. A test case names the binary."""

    binary = ""
    managed = True
    timeout = 360

    def setUp(self: Any) -> None:
        self.place = Place(self.binary, manage_haproxy=self.managed, **({} if self.managed else self.alone()))
        self.addCleanup(self.place.clean)
        self.port = self.place.port
        self.defaults: list[str] = []
        self.globals: list[str] = []
        self.level = "admin"
        version = subprocess.run([self.binary, "-v"], capture_output=True, text=True).stdout
        self.version = tuple(int(part) for part in re.search(r"version (\d+)\.(\d+)", version).groups())

    def alone(self: Any) -> dict[str, Any]:
        return {}

    def config(
        self: Any, *shop: str, maps: tuple[tuple[str, str], ...] = (("/", "shop"),), **others: tuple[str, ...]
    ) -> Config:
        """A configuration that routes by a map; these are the lines of its backends."""
        state = self.place.settings.state_dir
        head = [
            "global",
            "  maxconn 500",
            f"  server-state-file {state}/server-state",
            *([] if self.managed else [f"  stats socket {state}/stats.sock mode 600 level {self.level}"]),
            *(f"  {line}" for line in self.globals),
            "defaults",
            "  mode http",
            "  retries 3",
            "  option redispatch 1",
            "  timeout client 20s",
            "  timeout connect 2s",
            "  timeout server 20s",
            "  load-server-state-from-file global",
            *(f"  {line}" for line in self.defaults),
        ]
        front = f"frontend main\n  bind 127.0.0.1:{self.port}\n  use_backend %[path,map_beg({DIRECTORY}/wild.map)]\n"
        backends = {"shop": shop, **others}
        return Config(
            (
                Section("head", "", (Chunk("\n".join([*head, ""]), OWNER),)),
                Section("frontend", "main", (Chunk(front, OWNER),)),
                *(backend(name, *lines) for name, lines in backends.items()),
            ),
            {"wild.map": tuple(MapEntry(key, value, OWNER) for key, value in maps)},
        )

    def task(self: Any, name: str) -> Task:
        task = Task(name)
        self.addCleanup(task.end)
        return task

    async def controller(self: Any) -> Applier:
        applier = make_applier(self.place.settings, reactor)
        await applier.recover()
        applier.service.startService()
        self.addCleanup(lambda: applier.service.stopService() if applier.service.running else None)
        return applier

    async def begun(self: Any, *shop: str, **more: Any) -> Applier:
        """A controller whose HAProxy runs a configuration."""
        applier = await self.controller()
        outcome = await applier.apply(self.config(*shop, **more))
        assert action_word(outcome) == "reload", outcome
        return applier

    async def steps(self: Any, applier: Applier, wanted: Config, **how: Any) -> str:
        """Apply what has to be possible without a reload; what was done."""
        before = await self.worker()
        outcome = await applier.apply(wanted, **how)
        self.assertEqual(action_word(outcome), "steps", outcome)
        self.assertEqual(await self.worker(), before)
        return explanation(outcome)

    async def talk(self: Any) -> RuntimeConnection:
        name = "master.sock" if self.managed else "stats.sock"
        path = f"{self.place.settings.state_dir}/{name}"
        return await RuntimeSocket.at(reactor, path, master=self.managed).connect()

    async def worker(self: Any) -> int:
        """The worker's process id."""
        with contextlib.closing(await self.talk()) as talk:
            return await talk.worker_pid()

    async def say(self: Any, *commands: str) -> list[str]:
        """Say something to the worker behind the controller's back."""
        with contextlib.closing(await self.talk()) as talk:
            return await talk.execute(commands)

    async def seen(self: Any) -> dict[str, dict[str, ReportedServer]]:
        """Return the worker's servers."""
        return parse_state((await self.say("show servers state"))[0])

    def get(self: Any, path: str = "/", cookie: str = "") -> Deferred[tuple[str, str]]:
        return deferToThread(request, self.port, path, cookie)

    async def names(self: Any, count: int = 40) -> set[str]:
        """Return the names of the responding tasks, after old workers have stopped accepting requests."""
        children = Path(f"/proc/{self.master()}/task/{self.master()}/children")

        async def alone() -> bool:
            return len(children.read_text().split()) == 1

        await self.until(alone)
        return {(await self.get())[0] for _ in range(count)}

    async def until(self: Any, true: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            if await true():
                return
            await deferLater(reactor, 0.05, lambda: None)  # type: ignore[arg-type]
        self.fail(f"it did not come true within {seconds} s")

    # rule 1: only lines that mean the same at runtime

    @coroutine
    async def test_1_default_server(self: Any) -> None:
        """An added server would miss what a default-server gives it, so the change is a reload, and it has it."""
        for where in ("defaults", "backend"):
            a, b = self.task("a"), self.task("b")
            self.defaults = ["default-server weight 7"] if where == "defaults" else []
            own = ["default-server weight 7"] if where == "backend" else []
            applier = await self.controller()
            await applier.apply(self.config(*own, a.line()))
            outcome = await applier.apply(self.config(*own, a.line(), b.line()))
            self.assertEqual(action_word(outcome), "reload")
            self.assertIn("default-server", explanation(outcome))
            self.assertEqual((await self.seen())["shop"]["b"].weight, 7)
            await applier.service.stopService()

    @coroutine
    async def test_1_host_name(self: Any) -> None:
        """A host name would be accepted and never resolved, so the change is a reload, and it serves."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line())
        outcome = await applier.apply(self.config(a.line(), b.line().replace("127.0.0.1", "localhost")))
        self.assertEqual(action_word(outcome), "reload")
        self.assertIn("which is not a numeric address with a port", explanation(outcome))
        self.assertEqual(await self.names(), {"a", "b"})

    @coroutine
    async def test_1_unknown_argument(self: Any) -> None:
        """An argument that HAProxy takes at runtime and that means something else there is a reload that names it."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line())
        outcome = await applier.apply(self.config(a.line(), b.line("disabled")))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("reload", "server shop/b has the argument disabled"),
        )
        self.assertEqual(await self.names(), {"a"})

    @coroutine
    async def test_1_balance(self: Any) -> None:
        """An algorithm that hashes takes a reload for a server, and for an id; draining one goes without."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun("balance source", a.line("id 1"))
        outcome = await applier.apply(self.config("balance source", a.line("id 1"), b.line("id 2")))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", "backend shop: has balance source")
        )
        outcome = await applier.apply(self.config("balance source", a.line("id 1"), b.line("id 3")))
        self.assertEqual(action_word(outcome), "reload")
        self.assertIn("ids or order", explanation(outcome))
        await applier.drain([("shop", "a")])
        self.assertEqual(await self.names(), {"b"})
        wanted = self.config("balance source", a.line("id 1"), b.line("id 3"))
        self.assertEqual(await self.steps(applier, wanted), "1 server put back")

    @coroutine
    async def test_1_id_and_order(self: Any) -> None:
        """Elsewhere ids and order are no difference; the file follows, and the ids do not collide later."""
        a, b, c = self.task("a"), self.task("b"), self.task("c")
        applier = await self.begun(a.line("id 1"), b.line("id 2"))
        self.assertEqual(
            action_word(await applier.apply(self.config(b.line("id 3"), a.line("id 1")))), "nothing"
        )
        await self.steps(applier, self.config(b.line("id 3"), a.line("id 1"), c.line("id 2")))
        self.assertEqual(await self.names(), {"a", "b", "c"})
        await applier.flush()
        self.assertIn(f"b 127.0.0.1:{b.port} id 3\n", self.place.read())

    @coroutine
    async def test_1_in_place(self: Any) -> None:
        """Address and weight change in place; other arguments by delete and add, and a lone server by a reload."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line(), b.line("weight 3"))
        elsewhere = f"server a 127.0.0.1:{b.port} weight 9"
        self.assertEqual(
            await self.steps(applier, self.config(elsewhere, b.line())),
            "1 server moved to another address, 1 given another weight",
        )
        self.assertEqual(await self.names(), {"b"})
        await deferLater(reactor, 0.3, lambda: None)  # type: ignore[arg-type]
        self.assertEqual(
            await self.steps(applier, self.config(a.line("maxconn 5"), b.line())), "1 server replaced"
        )
        self.assertEqual(await self.names(), {"a", "b"})
        await self.steps(applier, self.config(a.line("maxconn 5")))
        outcome = await applier.apply(self.config(a.line("maxconn 6")))
        self.assertEqual(explanation(outcome), "server shop/a is the only one, and its arguments differ")

    @coroutine
    async def test_1_same_meaning(self: Any) -> None:
        """A server that a step adds is the one that a line of the file makes, its checks' transport included."""
        origin = self.origin()
        lines = {
            f"x{number}": f"server x 127.0.0.1:{origin[kind]} id 7 {words}"
            for number, (kind, words) in enumerate(SAME)
            if self.version >= (2, 7) or "cookie" not in words
        }
        option = ("option httpchk GET /", "cookie SERVED insert indirect nocache")
        maps = [(f"/{name}", name) for name in lines] + [(f"/s{name}", f"s{name}") for name in lines]
        still = {f"s{name}": (*option, line) for name, line in lines.items()}
        empty = dict.fromkeys(lines, option)
        applier = await self.begun(maps=tuple(maps), **still, **empty)
        added = {name: (*option, line) for name, line in lines.items()}
        await self.steps(applier, self.config(maps=tuple(maps), **still, **added))
        await deferLater(reactor, 0.5, lambda: None)  # type: ignore[arg-type]
        for name, line in lines.items():
            await self.until(lambda name=name, line=line: self.alike(f"s{name}", name, line))
            up = (await self.seen())[name]["x"].line.split()[5] == "2"
            self.assertEqual(up, "port 1" not in line, line)
            if up:
                bodies = [(await self.get(f"/{path}"))[0] for path in (f"s{name}", name)]
                self.assertEqual(*bodies, line)

    async def alike(self: Any, one: str, other: str, line: str) -> bool:
        """Return whether the servers of two backends have the same state in HAProxy."""
        seen = await self.seen()
        # up or down, admin state, weight, port, TLS, and where it is checked the status of the check
        at = (5, 6, 7, 18, 20, 10) if "check" in line else (5, 6, 7, 18, 20)
        told = [[seen[name]["x"].line.split()[n] for n in at] for name in (one, other)]
        return told[0] == told[1]

    def origin(self: Any) -> dict[str, int]:
        """A HAProxy with listeners of several kinds that stands for the tasks."""
        ports = {kind: free_port() for kind in ("plain", "h2", "proxy")}
        words = {"plain": "", "h2": " proto h2", "proxy": " accept-proxy"}
        binds = "".join(f"  bind 127.0.0.1:{ports[kind]}{more}\n" for kind, more in words.items())
        text = (
            "defaults\n  mode http\n  timeout client 9s\n  timeout connect 1s\n  timeout server 9s\nfrontend f\n"
            f"{binds}  http-request return status 200 content-type text/plain "
            'lf-string "%[dst_port] %[req.ver] %[src]"\n'
        )
        path = f"{self.place.directory}/origin.cfg"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        process = subprocess.Popen([self.binary, "-db", "-f", path], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return ports

    @coroutine
    async def test_1_two_servers_of_a_task(self: Any) -> None:
        """A server is a name in a backend: two may lead to one task, and one name stand in two backends."""
        a, b = self.task("a"), self.task("b")
        twice = a.line().replace("server a ", "server twice ")
        cart = (b.line().replace("server b ", "server a "),)
        maps = (("/", "shop"), ("/cart", "cart"))
        applier = await self.begun(a.line(), twice, cart=cart, maps=maps)
        heavy = (b.line("weight 2").replace("server b ", "server a "),)
        wanted = self.config(a.line("weight 3"), cart=heavy, maps=maps)
        self.assertEqual(await self.steps(applier, wanted), "2 servers given another weight, 1 removed")
        seen = await self.seen()
        told = {name: {s: it.weight for s, it in seen[name].items()} for name in ("shop", "cart")}
        self.assertEqual(told, {"shop": {"a": 3}, "cart": {"a": 2}})
        self.assertEqual(((await self.get())[0], (await self.get("/cart"))[0]), ("a", "b"))

    # rule 2: ask, do not assume

    @coroutine
    async def test_2_cookies(self: Any) -> None:
        """Where HAProxy takes no cookie at runtime it is a reload that says so; else the cookie binds to the server."""
        a, b = self.task("a"), self.task("b")
        cookie = "cookie SERVED insert indirect nocache"
        applier = await self.begun(cookie, a.line("cookie aaa"))
        outcome = await applier.apply(self.config(cookie, a.line("cookie aaa"), b.line("cookie bbb")))
        if self.version < (2, 7):
            self.assertEqual(action_word(outcome), "reload")
            self.assertIn("has the argument cookie, which HAProxy 2.6", explanation(outcome))
        else:
            self.assertEqual(action_word(outcome), "steps")
        for _ in range(6):
            self.assertEqual((await self.get(cookie="SERVED=bbb"))[0], "b")
        found = {(await self.get()) for _ in range(40)}
        self.assertEqual(found, {("a", "SERVED=aaa"), ("b", "SERVED=bbb")})

    @coroutine
    async def test_2_too_long(self: Any) -> None:
        """A server whose line has more than a command may have takes a reload, and fails nobody else's change."""
        for words in ("cookie " + "c" * 14_000, "weight 1 " * 29):
            first, second = self.task("a"), self.task("b")
            line = f"server a 127.0.0.1:{first.port} {words}"
            applier = await self.begun(line, "balance leastconn")
            more = f"server b 127.0.0.1:{second.port} {words}"
            outcome = await applier.apply(self.config(line, more, "balance leastconn"))
            self.assertEqual("reload", action_word(outcome))
            self.assertIn("server shop/b is too long for the runtime API", explanation(outcome))
            await applier.service.stopService()

    @coroutine
    async def test_2_refused(self: Any) -> None:
        """What HAProxy refuses is a reload in its words, and is not tried again with this backend."""
        a, b, c = self.task("a"), self.task("b"), self.task("c")
        known = certificate(Path(self.place.directory) / "known.pem", "a.example.com")
        tls = f"ssl verify none ca-file {known}"
        applier = await self.begun(a.line())
        outcome = await applier.apply(self.config(a.line(), b.line(tls)))
        self.assertEqual(action_word(outcome), "reload")
        self.assertIn("HAProxy refuses 'add server shop/b'", explanation(outcome))
        self.assertEqual(set((await self.seen())["shop"]), {"a", "b"})
        outcome = await applier.apply(self.config(a.line(), b.line(tls), c.line()))
        self.assertEqual(action_word(outcome), "reload")
        self.assertIn("backend shop: HAProxy refuses new servers", explanation(outcome))
        self.assertEqual(set((await self.seen())["shop"]), {"a", "b", "c"})

    # rule 3: silence is not success

    @coroutine
    async def test_3_large_map(self: Any) -> None:
        """A map larger than what HAProxy reads at once arrives whole, in its order, at once."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line(), cart=(b.line(),))
        entries = [(f"/{number:05}/{'x' * 40}", "shop") for number in range(3000)]
        maps = (*entries, ("/", "cart"))
        self.assertEqual(
            await self.steps(applier, self.config(a.line(), cart=(b.line(),), maps=maps)), "wild.map changed"
        )
        (held,) = await self.say(f"show map {self.place.directory}/wild.map")
        self.assertEqual([tuple(line.split()[1:]) for line in held.splitlines()], list(maps))
        self.assertEqual((await self.get(entries[2999][0]))[0], "a")
        self.assertEqual((await self.get())[0], "b")

    @coroutine
    async def test_3_small_buffer(self: Any) -> None:
        """What HAProxy swallows because its buffer is small is read back, and takes a reload."""
        self.globals = ["tune.bufsize 4096"]
        task = self.task("a")
        line = f"server a 127.0.0.1:{task.port}"
        maps = tuple((f"/{number}/{'p' * 80}", "shop") for number in range(200))
        applier = await self.begun(line, maps=maps)
        wanted = self.config(line, maps=(*maps[100:], ("/new", "shop"), ("/", "shop")))
        await applier.apply(wanted)
        self.assertEqual("a", (await self.get("/new"))[0])

    @coroutine
    async def test_3_read_back(self: Any) -> None:
        """What somebody changed by hand is found when its backend is touched, and put right."""
        tasks = [self.task(name) for name in "abcde"]
        *lines, new = (task.line() for task in tasks)
        applier = await self.begun(*lines)
        await self.say(
            "set server shop/a state maint",
            "set server shop/b weight 0",
            "set server shop/c state drain",
            f"set server shop/d addr 127.0.0.1 port {tasks[0].port}",
        )
        await self.until(lambda: self.leads("d", tasks[0].port))
        await self.steps(applier, self.config(*lines, new))
        self.assertEqual(await self.names(), set("abcde"))

    async def leads(self: Any, name: str, port: int) -> bool:
        return (await self.seen())["shop"][name].port == port

    @coroutine
    async def test_3_read_back_after_a_reload(self: Any) -> None:
        """What a new worker holds otherwise than its file says is found, and put right."""
        kept = f"{self.place.directory}/own-state"
        own = ("load-server-state-from-file local", f"server-state-file-name {kept}")
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(*own, a.line(), b.line())
        _, state, _ = await self.say(
            "set server shop/a state drain", "show servers state shop", "set server shop/a state ready"
        )
        with open(kept, "w", encoding="ascii") as file:
            file.write(f"{state}\n")
        outcome = await applier.apply(self.config("option httplog", *own, a.line(), b.line()))
        self.assertEqual(action_word(outcome), "reload")
        await self.until(self.both_answer)

    # rule 4: reload and steps do not mix

    @coroutine
    async def test_4_reload_in_flight(self: Any) -> None:
        """Steps that are asked for while a reload is under way are carried out after it, by the new worker."""
        a, b, c = self.task("a"), self.task("b"), self.task("c")
        applier = await self.begun(a.line())
        reloading = applier.apply(self.config("option httplog", a.line()))
        stepping = applier.apply(self.config("option httplog", a.line(), b.line()))
        last = applier.apply(self.config("option httplog", b.line(), c.line()))
        self.assertEqual(
            [action_word(await each) for each in (reloading, stepping, last)], ["reload", "steps", "steps"]
        )
        self.assertEqual(await self.names(), {"b", "c"})

    @coroutine
    async def test_4_worker_started_anew(self: Any) -> None:
        """A worker that somebody else had started anew is led on from the file that it has read."""
        a, b, c = self.task("a"), self.task("b"), self.task("c")
        applier = await self.begun(a.line(), cart=(a.line(),))
        before = await self.worker()
        await deferLater(reactor, 0.5, lambda: None)  # type: ignore[arg-type]
        outcome = await applier.apply(self.config(a.line(), cart=(a.line(), b.line())))
        os.kill(self.master(), signal.SIGUSR2)
        self.assertEqual(action_word(outcome), "steps")
        await self.until(lambda: self.another(before))
        outcome = await applier.apply(self.config(a.line(), c.line(), cart=(a.line(), b.line())))
        self.assertEqual(action_word(outcome), "steps", outcome)
        self.assertEqual(set((await self.seen())["cart"]), {"a", "b"})
        self.assertEqual(await self.names(), {"a", "c"})

    @coroutine
    async def test_4_worker_started_anew_and_nothing_to_do(self: Any) -> None:
        """One that has read a file which was behind is led on though nothing changes any more."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line())
        before = await self.worker()
        await self.steps(applier, self.config(a.line(), b.line()))
        os.kill(self.master(), signal.SIGUSR2)
        await self.until(lambda: self.another(before))
        await self.until(self.both_answer)

    @coroutine
    async def test_4_drained_while_it_is_reloaded(self: Any) -> None:
        """A server that is drained while a reload is under way is drained of the new worker."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line(), b.line())
        reloading = applier.apply(self.config("option httplog", a.line(), b.line()))
        draining = applier.drain([("shop", "a")])
        self.assertEqual(action_word(await reloading), "reload")
        await draining
        self.assertEqual((await self.seen())["shop"]["a"].admin, DRAIN)

    @coroutine
    async def test_4_drained_before_it_is_reloaded(self: Any) -> None:
        """A reload for what was known before a server was drained leaves it so, until more is known."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line(), b.line())
        asked_at = reactor.seconds()  # type: ignore[attr-defined]
        await applier.drain([("shop", "a")])
        wanted = self.config("option httplog", a.line(), b.line())
        self.assertEqual(action_word(await applier.apply(wanted, as_of=asked_at)), "reload")
        self.assertEqual((await self.seen())["shop"]["a"].admin, DRAIN)
        self.assertEqual(
            await self.steps(applier, wanted, as_of=reactor.seconds()),  # type: ignore[attr-defined]
            "1 server put back",
        )
        self.assertEqual((await self.seen())["shop"]["a"].admin, READY)

    async def another(self: Any, before: int) -> bool:
        with contextlib.suppress(HAProxyUnavailable):
            return await self.worker() != before
        return False

    def master(self: Any) -> int:
        pid: int = self.place.master()
        return pid

    # rule 5: state files restore health, nothing else

    @coroutine
    async def test_5_health(self: Any) -> None:
        """Over a reload a server that is down stays down, and no old weight or drain comes back."""
        a, b = self.task("a"), self.task("b")
        down = "server gone 127.0.0.1:1 check inter 60s"
        odd = down.replace(" gone ", " odd ")
        cart = (a.line("check inter 60s"), b.line("check inter 60s"), down, odd)
        applier = await self.begun(b.line("weight 0 check inter 60s"), down, cart=cart)
        await self.say(
            *(f"set server {server} health down" for server in ("shop/gone", "cart/gone", "cart/odd")),
            *("set server cart/a weight 3", "set server cart/odd weight 7"),
            *("set server cart/b state drain", "set server shop/b state drain"),
        )
        wanted = self.config("option httplog", b.line("weight 5 check inter 60s"), down, cart=cart)
        self.assertEqual(action_word(await applier.apply(wanted)), "reload")
        seen = await self.seen()
        for shop, server, weight in (
            ("shop", "b", 5),
            ("cart", "a", 1),
            ("cart", "b", 1),
            ("cart", "odd", 1),
        ):
            self.assertEqual((seen[shop][server].weight, seen[shop][server].admin), (weight, READY))
        for shop in ("shop", "cart"):
            self.assertEqual(seen[shop]["gone"].line.split()[5], "0")
        self.assertEqual(self.place.read("state/server-state"), "1\n")

    # rule 6: drain, and the graveyard

    @coroutine
    async def test_6_drain(self: Any) -> None:
        """A drained server takes no new sessions and keeps those that are bound to it, over a reload, too."""
        a, b = self.task("a"), self.task("b")
        cookie = "cookie SERVED insert indirect nocache"
        lines = [a.line("cookie aaa"), b.line("cookie bbb")]
        applier = await self.begun(cookie, *lines)
        drained = [f"{lines[0]} weight 0", lines[1]]
        self.assertEqual(await self.steps(applier, self.config(cookie, *drained)), "1 server drained")
        self.assertEqual((await self.seen())["shop"]["a"].admin, DRAIN)
        for again in (False, True):
            if again:
                await applier.apply(self.config("option httplog", cookie, *drained))
            self.assertEqual(await self.names(20), {"b"})
            self.assertEqual((await self.get(cookie="SERVED=aaa"))[0], "a")
        self.assertEqual(
            await self.steps(applier, self.config("option httplog", cookie, *lines)), "1 server put back"
        )
        self.assertEqual(await self.names(), {"a", "b"})

    @coroutine
    async def test_6_drained_out_of_turn(self: Any) -> None:
        """A server that is drained out of turn takes no new request; what follows confirms or undoes it."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line(), b.line())
        await applier.drain([("shop", "a")])
        self.assertEqual((await self.seen())["shop"]["a"].admin, DRAIN)
        self.assertEqual(await self.names(), {"b"})
        await self.steps(applier, self.config(a.line(), b.line()))
        self.assertEqual(await self.names(), {"a", "b"})
        await applier.drain([("shop", "a")])
        await self.steps(applier, self.config(b.line()))
        self.assertEqual(await self.names(), {"b"})

    @coroutine
    async def test_6_graveyard(self: Any) -> None:
        """A download outlives the removal of its server, which is deleted when it is idle; nothing is reloaded."""
        a, b = self.task("aaaa"), self.task("bbbb")
        applier = await self.begun(a.line("pool-purge-delay 100ms"))
        before = await self.worker()
        download = self.get("/slow/3")
        await deferLater(reactor, 0.3, lambda: None)  # type: ignore[arg-type]
        self.assertEqual(await self.steps(applier, self.config(b.line())), "1 server added, 1 removed")
        self.assertEqual((await self.seen())["shop"]["aaaa"].admin, MAINTENANCE)
        self.assertEqual(await self.names(), {"bbbb"})
        self.assertEqual((await download)[0], "aaaa")
        await self.until(self.is_deleted)
        self.assertEqual(await self.worker(), before)
        await applier.flush()
        self.assertNotIn("aaaa", self.place.read())

    async def is_deleted(self: Any) -> bool:
        return list((await self.seen())["shop"]) == ["bbbb"]

    # rule 7: adoption

    @coroutine
    async def test_7_killed_behind_the_steps(self: Any) -> None:
        """After kill -9 of a controller whose file is behind, the next one adopts what runs without a reload."""
        a, b, c, d = (self.task(name) for name in "abcd")
        first = await self.begun(a.line(), b.line())
        await self.say(
            f"add server shop/c 127.0.0.1:{c.port}",
            "enable server shop/c",
            f"add server shop/d 127.0.0.1:{d.port} maxconn 3",
            "enable server shop/d",
            "set server shop/b state maint",
            "del server shop/b",
            f"add map {self.place.directory}/wild.map /more shop",
        )
        before = await self.worker()
        await first.service.stopService()
        second = await self.controller()
        lines = (a.line("weight 2"), c.line("maxconn 9"), d.line())
        wanted = self.config(*lines, maps=(("/", "shop"), ("/more", "shop")))
        outcome = await second.apply(wanted)
        self.assertEqual(action_word(outcome), "steps", outcome)
        self.assertEqual(await self.worker(), before)
        self.assertEqual(await self.names(), {"a", "c", "d"})
        (answer,) = await self.say("show stat shop 4 -1")
        limits = {
            row.split(",")[1]: row.split(",")[6] for row in answer.splitlines() if row.startswith("shop,")
        }
        self.assertEqual(limits, {"a": "", "c": "9", "d": ""})
        self.assertEqual(action_word(await second.apply(wanted)), "nothing")

    @coroutine
    async def test_7_map_of_nobody(self: Any) -> None:
        """An entry that is in no file and that nobody wants any more is gone when the next controller has begun."""
        a = self.task("a")
        first = await self.begun(a.line())
        path = f"{self.place.directory}/wild.map"
        await self.say(f"add map {path} /more shop")
        before = await self.worker()
        await first.service.stopService()
        second = await self.controller()
        outcome = await second.apply(self.config(a.line()))
        self.assertEqual((action_word(outcome), explanation(outcome)), ("steps", "wild.map changed"))
        self.assertEqual([held.split()[1:] for held in await self.say(f"show map {path}")], [["/", "shop"]])
        self.assertEqual(await self.worker(), before)

    # rule 8: through the master's socket

    @coroutine
    async def test_8_stats_socket(self: Any) -> None:
        """One of ours is led whatever its own sockets allow; another is reloaded where its socket allows nothing."""
        a, b = self.task("a"), self.task("b")
        applier = await self.begun(a.line())
        self.globals, self.level = (
            [f"stats socket {self.place.directory}/own.sock level operator"],
            "operator",
        )
        self.assertEqual(action_word(await applier.apply(self.config(a.line()))), "reload")
        outcome = await applier.apply(self.config(a.line(), b.line()))
        self.assertEqual(action_word(outcome), "steps" if self.managed else "reload", outcome)
        await self.until(self.both_answer)  # nobody is there to say that a reload by command is over

    async def both_answer(self: Any) -> bool:
        return await self.names() == {"a", "b"}

    # all of them

    @coroutine
    async def test_rolling_replacement(self: Any) -> None:
        """All tasks are replaced one after another under load: no request fails, nothing is reloaded."""
        running = [self.task(f"old{number}") for number in range(4)]
        applier = await self.begun(*(task.line() for task in running))
        before, ended = await self.worker(), list[Task]()
        load = Load(self.port, threads=3)
        try:
            for number in range(24):
                running.append(self.task(f"new{number}"))
                ended.append(running.pop(0))
                await self.steps(applier, self.config(*(task.line() for task in running)))
                await deferLater(reactor, 0.05, lambda: None)  # type: ignore[arg-type]
                if number >= 8:
                    ended[number - 8].end()
        finally:
            await deferToThread(load.stop)
        self.assertEqual(load.failures, [])
        self.assertGreater(len(load.answers), 100)
        self.assertGreater(len(set(load.answers)), 10)
        self.assertEqual(await self.worker(), before)
        self.assertEqual(await self.names(), {task.name.decode() for task in running})


SAME = (
    ("plain", "check inter 100ms"),
    ("plain", "check inter 100ms port 1"),
    ("proxy", "send-proxy"),
    ("proxy", "send-proxy-v2 check inter 100ms"),
    ("proxy", "send-proxy check inter 100ms"),
    ("h2", "proto h2"),
    ("plain", "weight 7 maxconn 5 maxqueue 3"),
    ("plain", "backup"),
    ("plain", "cookie here"),
    (
        "plain",
        "check inter 100ms fastinter 50ms downinter 70ms rise 1 fall 1 on-marked-down shutdown-sessions",
    ),
    ("plain", "check inter 100ms observe layer7 error-limit 10 on-error mark-down"),
    ("plain", "pool-max-conn 3 pool-purge-delay 1s"),
)
"""Arguments, and the listener of the origin that they are for."""


class StrangerMixin(StepsMixin):
    """Steps for a HAProxy that is not ours: over the stats socket that its configuration names."""

    managed = False

    def alone(self: Any) -> dict[str, Any]:
        return {"command": "true"}

    def setUp(self: Any) -> None:
        super().setUp()
        directory = self.place.directory
        os.makedirs(f"{directory}/state")
        text = self.config().text(directory)
        for name, words in {"haproxy.cfg": text, "wild.map": "/ shop\n", "state/server-state": "1\n"}.items():
            with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
                file.write(words)
        process = subprocess.Popen(
            [sys.executable, setsid_exec.__file__, self.binary, "-W", "-f", f"{directory}/haproxy.cfg"],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.pid = process.pid
        deadline = monotonic() + 60
        while not os.path.exists(f"{directory}/state/stats.sock") and monotonic() < deadline:
            sleep(0.01)
        command = f"kill -USR2 {process.pid}"
        self.place.settings = evolve(self.place.settings, command=command)

    def master(self: Any) -> int:
        pid: int = self.pid
        return pid


on_each(StepsMixin, globals(), TestCase)
on_each(StrangerMixin, globals(), TestCase)
