"""
A fake of HAProxy's worker behind its runtime API, with the replies of HAProxy 2.6 to 3.4.

It passes the same contract tests as the real one (`tests.haproxy.runtime.connections`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, fail, maybeDeferred
from zope.interface import implementer

from marathonlb.config.text.model import Config
from marathonlb.config.text.server_lines import parse, parse_server
from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.runtime.interfaces import IRuntimeConnection

HEADER = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight …"


@define
class FakeServer:
    """One server of the fake worker."""

    id: int
    address: str
    port: int
    weight: int = 1
    admin: int = 0
    arguments: tuple[str, ...] = ()
    busy: bool = False
    up: bool = True


@define
class FakeMap:
    """A map with its versions: entries by number."""

    versions: dict[int, list[tuple[str, str]]] = field(factory=lambda: {0: []})
    current: int = 0
    next: int = 0


@implementer(IRuntimeConnection)
class FakeRuntimeConnection:
    """A connection to the fake worker."""

    def __init__(self, worker: FakeWorker) -> None:
        self._worker = worker
        self.closed = False

    def worker_pid(self, *, refresh: bool = False) -> Deferred[int]:
        return maybeDeferred(self._worker.ask_pid)

    def execute(self, commands: Sequence[str]) -> Deferred[list[str]]:
        return self._worker.say(commands)

    def close(self) -> None:
        self.closed = True


class FakeWorker:
    """
    A worker in memory.

    :ivar said: the received commands.
    :ivar writings: the number of commands of each batch.
    :ivar answers: replies that replace its own, by the beginning of the command.
    :ivar named: the named ``defaults`` of its configuration.
    :ivar closed: the unpublished backends, which get no requests.
    :ivar refusing: the server arguments that it rejects.
    :ivar up: True if it accepts commands.
    :ivar over: number of connections that fail at their next command, since they have ended.
    :ivar before: called with each command before its execution.
    :ivar held: if set, replies wait for it.
    """

    def __init__(self, version: str = "2.8.25") -> None:
        self.pid = 100
        self.version = version
        self.backends: dict[str, dict[str, FakeServer]] = {}
        self.fixed: set[str] = set()
        self.named: set[str] = set()
        self.closed: set[str] = set()
        self.maps: dict[str, FakeMap] = {}
        self.said: list[str] = []
        self.writings: list[int] = []
        self.answers: dict[str, str] = {}
        self.refusing: set[str] = set()
        self.up = True
        self.over = 0
        self.before: Callable[[str], None] = lambda command: None
        self.held: Deferred[None] | None = None
        self.talks: list[FakeRuntimeConnection] = []

    def load(self, config: Config, directory: str) -> None:
        """Restart with a configuration, as another process."""
        self.pid += 1
        self.backends, self.fixed, self.closed = {}, set(), set()
        self.named = {section.name for section in config.sections if section.kind == "defaults"}
        for section in config.sections:
            if section.kind == "backend":
                backend = parse(section)
                if backend.problem.startswith("has balance"):
                    self.fixed.add(section.name)
                self.backends[section.name] = {
                    name: FakeServer(s.id or 0, s.address, s.port, s.weight, 0, s.arguments)
                    for name, s in backend.servers.items()
                }
        self.maps = {
            f"{directory}/{name}": FakeMap({0: [(entry.key, entry.value) for entry in entries]})
            for name, entries in config.maps.items()
        }

    async def connect(self, config: Config) -> FakeRuntimeConnection:
        """What `marathonlb.haproxy.dynamic.updater.Steering` is given."""
        if not self.up:
            raise HAProxyUnavailable(reason="nobody listens")
        self.talks.append(FakeRuntimeConnection(self))
        return self.talks[-1]

    def ask_pid(self) -> int:
        if not self.up:
            raise HAProxyUnavailable(reason="it hung up")
        return self.pid

    def say(self, commands: Sequence[str]) -> Deferred[list[str]]:
        answers = []
        if self.over:
            self.over -= 1
            return fail(HAProxyUnavailable(reason="it hung up"))
        if commands:
            self.writings.append(len(commands))
        for command in commands:
            self.before(command)
            if not self.up:
                return fail(HAProxyUnavailable(reason="it hung up"))
            self.said.append(command)
            answers.append(self._answer(command).strip("\n"))
        answered: Deferred[list[str]] = Deferred()
        if self.held is None or not commands:
            answered.callback(answers)
        else:
            self.held.addCallback(lambda _: answered.callback(answers))
        return answered

    def commands(self) -> list[str]:
        """Return the commands since the last call, without queries."""
        said, self.said = self.said, []
        return [
            c
            for c in said
            if not c.startswith("show ") and c not in ("add server help", "experimental-mode on")
        ]

    def server(self, target: str) -> FakeServer:
        backend, _, server = target.partition("/")
        return self.backends[backend][server]

    def _answer(self, command: str) -> str:
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer
        words, _, payload = command.partition("\n")
        creates_backends = RuntimeCapabilities.of(self.version).limits.creates_backends
        for pattern, method in (*_COMMANDS, *(_SINCE_3_4 if creates_backends else ())):
            match = re.fullmatch(pattern, words)
            if match:
                return method(self, *match.groups(), *([payload] if payload else []))
        return (
            f"Unknown command: '{words.split()[0]}', but maybe one of the following ones is a better match:"
        )

    def _version(self) -> str:
        return self.version

    def _help(self) -> str:
        return "Require 'backend/server'."

    def _state(self, name: str | None = None) -> str:
        if name is not None and name not in self.backends:
            return "Can't find backend."
        lines = [HEADER]
        for number, (backend, servers) in enumerate(self.backends.items(), 3):
            for server, s in servers.items() if name in (None, backend) else ():
                state = 2 if s.up and not s.admin & 1 else 0
                lines.append(
                    f"{number} {backend} {s.id} {server} {s.address} {state} {s.admin} {s.weight} 1 0 6 3 4 6 0 0 1 - "
                    f"{s.port} - 0 0 - - 0"
                )
        return "\n".join(lines)

    def _find(self, target: str) -> FakeServer | str:
        backend, _, server = target.partition("/")
        if backend not in self.backends:
            return "No such backend."
        return self.backends[backend].get(server, "No such server.")

    def _add(self, target: str, rest: str) -> str:
        backend, _, name = target.partition("/")
        if backend not in self.backends:
            return "No such backend."
        if backend in self.fixed:
            return "Backend must use a dynamic load balancing to support dynamic servers."
        servers = self.backends[backend]
        if name in servers:
            return "Already exists a server with the same name in backend."
        parsed = parse_server(f"server {name} {rest}")
        for word in parsed.arguments:
            if word in self.refusing:
                return f"'{word}' option is not accepted for dynamic server"
        taken = {server.id: there for there, server in servers.items()}
        if parsed.id in taken:
            return (
                f"'id' : custom id {parsed.id} already used at haproxy.cfg:5 ('server {taken[parsed.id]}')."
            )
        number = parsed.id or next(n for n in range(1, 1000) if n not in taken)
        servers[name] = FakeServer(number, parsed.address, parsed.port, parsed.weight, 1, parsed.arguments)
        return "New server registered."

    def _enable(self, what: str, target: str) -> str:
        server = self._find(target)
        if isinstance(server, str):
            return server
        if what == "server":
            server.admin &= ~9
        elif "check" not in server.arguments:
            return "Health check was not configured on this server, cannot enable."
        return ""

    def _set(self, target: str, what: str, value: str) -> str:
        server = self._find(target)
        if isinstance(server, str):
            return server
        if what == "weight":
            server.weight = int(value)
        else:
            server.admin = {"ready": 0, "drain": 8, "maint": 1}[value]
        return ""

    def _move(self, target: str, address: str, port: str) -> str:
        server = self._find(target)
        if isinstance(server, str):
            return server
        before, server.address, server.port = server.address, address, int(port)
        return (
            f"IP changed from '{before}' to '{address}', no need to change the port by 'stats socket command'"
        )

    def _del(self, target: str) -> str:
        server = self._find(target)
        if isinstance(server, str):
            return server
        if not server.admin & 1:
            return "Only servers in maintenance mode can be deleted."
        if server.busy:
            return "Server still has connections attached to it, cannot remove it."
        backend, _, name = target.partition("/")
        del self.backends[backend][name]
        return "Server deleted."

    def _experimental(self) -> str:
        return ""

    def _add_backend(self, name: str, origin: str) -> str:
        if name in self.backends:
            return f"Error during backend creation : name is already used by other proxy 'backend {name}'."
        if origin not in self.named:
            return f"Cannot find default proxy '{origin}'."
        self.backends[name] = {}
        self.closed.add(name)
        return "New backend registered."

    def _publish(self, name: str) -> str:
        if name not in self.backends:
            return "No such backend."
        self.closed.discard(name)
        return "Backend published."

    def _unpublish(self, name: str) -> str:
        if name not in self.backends:
            return "No such backend."
        self.closed.add(name)
        return "Backend unpublished."

    def _del_backend(self, name: str) -> str:
        if name not in self.backends:
            return "No such backend."
        if name not in self.closed:
            return "Backend must be unpublished prior to its deletion."
        if self.backends[name]:
            return "Only a backend without server can be deleted."
        del self.backends[name]
        return f"backend '{name}' has no server available!\nServer deleted.\nBackend deleted."

    def _backends(self) -> str:
        return "\n".join(["# name", *self.backends])

    def _stat(self, name: str) -> str:
        if name not in self.backends:
            return "No such proxy."
        status = "UP (UNPUB)" if name in self.closed else "UP"
        return f"# pxname,svname,…,status\n{name},BACKEND,0,0,0,1,0,1,84,247,0,0,,0,0,0,0,{status},1,1,0,,0,"

    def _maps(self) -> str:
        return "\n".join(
            f"{n} ({path}) pattern loaded from file '{path}' used by map at file 'haproxy.cfg' line 13. "
            f"curr_ver={m.current} next_ver={m.next} entry_cnt={sum(map(len, m.versions.values()))}"
            for n, (path, m) in enumerate(self.maps.items())
        )

    def _map(self, path: str) -> str:
        if path not in self.maps:
            return UNKNOWN_MAP
        entries = self.maps[path].versions[self.maps[path].current]
        return "\n".join(f"0x{n:x} {key} {value}" for n, (key, value) in enumerate(entries))

    def _add_map(self, version: str | None, path: str, rest: str, payload: str = "") -> str:
        if path not in self.maps:
            return UNKNOWN_MAP
        held = self.maps[path]
        lines = payload.splitlines() if rest == "<<" else [rest]
        entries = held.versions[int(version) if version else held.current]
        entries += [(key, value) for key, _, value in (line.partition(" ") for line in lines)]
        return ""

    def _change_map(self, what: str, path: str, key: str, value: str | None = None) -> str:
        if path not in self.maps:
            return UNKNOWN_MAP
        held = self.maps[path]
        entries = held.versions[held.current]
        if not any(there == key for there, _ in entries):
            return "Key not found." if what == "del" else "entry not found."
        changed = [(k, v if k != key else value) for k, v in entries if k != key or what == "set"]
        held.versions[held.current] = [(k, v or "") for k, v in changed]
        return ""

    def _prepare(self, path: str) -> str:
        held = self.maps[path]
        held.next += 1
        held.versions[held.next] = []
        return f"New version created: {held.next}"

    def _commit(self, version: str, path: str) -> str:
        held = self.maps[path]
        held.current = int(version)
        held.versions = {held.current: held.versions[held.current]}
        return ""


UNKNOWN_MAP = "Unknown map identifier. Please use #<id> or <file>."


_COMMANDS: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"show version", FakeWorker._version),
    (r"add server help", FakeWorker._help),
    (r"show servers state", FakeWorker._state),
    (r"show servers state (\S+)", FakeWorker._state),
    (r"add server (\S+) (.*)", FakeWorker._add),
    (r"enable (server|health) (\S+)", FakeWorker._enable),
    (r"set server (\S+) (state|weight) (\S+)", FakeWorker._set),
    (r"set server (\S+) addr (\S+) port (\d+)", FakeWorker._move),
    (r"del server (\S+)", FakeWorker._del),
    (r"show map", FakeWorker._maps),
    (r"show map (\S+)", FakeWorker._map),
    (r"add map (?:@(\d+) )?(/\S+) (.*)", FakeWorker._add_map),
    (r"(set) map (\S+) (\S+) (\S+)", FakeWorker._change_map),
    (r"(del) map (\S+) (\S+)", FakeWorker._change_map),
    (r"prepare map (\S+)", FakeWorker._prepare),
    (r"commit map @(\d+) (\S+)", FakeWorker._commit),
)


_SINCE_3_4: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"experimental-mode on", FakeWorker._experimental),
    (r"add backend (\S+) from (\S+)", FakeWorker._add_backend),
    (r"publish backend (\S+)", FakeWorker._publish),
    (r"unpublish backend (\S+)", FakeWorker._unpublish),
    (r"del backend (\S+)", FakeWorker._del_backend),
    (r"show backend", FakeWorker._backends),
    (r"show stat (\S+) 2 -1", FakeWorker._stat),
)
