"""From tasks to servers: states, health, addresses, names, ids."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, HealthCheck, Networking, Port, Task
from marathonlb.routing.services.servers import Server, address_of, server_name, servers_of
from marathonlb.settings import Settings
from tests.routing.apps import app, changed, offered, task


def served(made: App, *, need_health: bool = False, index: int = 0) -> tuple[Server, ...]:
    """The servers, hosts being addresses."""
    return servers_of(made, index, lambda host: host, need_health=need_health, check_port=lambda task: None)


def one_address(made: App) -> tuple[Server, ...]:
    """The servers, every host having the same address."""
    return servers_of(made, 0, lambda host: "10.0.0.1", need_health=False, check_port=lambda task: None)


class SelectionTests(SynchronousTestCase):
    """Which tasks are served."""

    def test_states(self) -> None:
        """Running, lost and unreachable tasks are served, and those without a state; no other."""
        states = {
            None: True, "TASK_RUNNING": True, "TASK_LOST": True, "TASK_UNREACHABLE": True, "TASK_STAGING": False,
            "TASK_STARTING": False, "TASK_KILLING": False, "TASK_FAILED": False, "TASK_FINISHED": False, "": False,
        }  # fmt: skip
        for state, wanted in states.items():
            self.assertEqual(bool(served(app(tasks=(task(state=state),)))), wanted, state)

    def test_health(self) -> None:
        """Where health counts a task needs a result that says alive; else none is needed."""
        for alive, wanted in ((True, True), (False, False), (None, False)):
            made = app(tasks=(task(alive=alive),))
            self.assertEqual(bool(served(made, need_health=True)), wanted)
            self.assertTrue(served(made))

    def test_health_option(self) -> None:
        """Health counts with ``--health-check`` and for apps that have checks."""
        sick = app(tasks=(task(alive=False),))
        checked = changed(sick, health_checks=(HealthCheck(protocol="COMMAND"),))
        for made, health_check, wanted in ((sick, True, 1), (checked, True, 0), (checked, False, 1)):
            (service,) = offered(made, Settings(health_check=health_check)).services
            self.assertEqual(len(service.servers), wanted)

    def test_readiness(self) -> None:
        """A task that is not ready gets no traffic; one that nothing is told about does."""
        for ready, wanted in ((True, True), (False, False), (None, True)):
            self.assertEqual(bool(served(app(tasks=(task(ready=ready),)))), wanted)

    def test_no_host(self) -> None:
        """A task without a host, or whose host has no address, is not served; the others are."""
        made = app(tasks=(task(1, host=None), task(2, host="gone"), task(3)))
        found = servers_of(
            made, 0, lambda h: None if h == "gone" else h, need_health=False, check_port=lambda task: None
        )
        self.assertEqual([server.host for server in found], ["10.0.0.3"])


class AddressTests(SynchronousTestCase):
    """Where a task serves a port."""

    def check(self, made: App, task: Task, *wanted: tuple[str, int] | None) -> None:
        self.assertEqual(tuple(address_of(made, task, index) for index in range(len(made.ports))), wanted)

    def test_host(self) -> None:
        """Host and bridge networking: the agent's host, and the nth of the task's ports."""
        for networking in (Networking.HOST, Networking.BRIDGE):
            made = app(networking=networking, ports=(Port(10000), Port(10001)))
            self.check(
                made, task(ports=(1, 2, 3), addresses=("172.17.0.2",)), ("10.0.0.1", 1), ("10.0.0.1", 2)
            )
            self.check(made, task(ports=(1,)), ("10.0.0.1", 1), None)
            self.check(made, task(ports=(0, 2)), None, ("10.0.0.1", 2))

    def test_slots(self) -> None:
        """A mapping that takes no slot in the task's ports leaves the slot to the next one."""
        made = app(ports=(Port(10000), Port(10001, on_host=False), Port(10002)))
        self.assertEqual(address_of(made, task(ports=(5, 6)), 2), ("10.0.0.1", 6))

    def test_container(self) -> None:
        """Container networking: the task's own address and the container's port, whatever the host maps."""
        ports = (
            Port(1, container_port=80, on_host=False),
            Port(2, container_port=81),
            Port(3, container_port=None),
        )
        made = app(networking=Networking.CONTAINER, ports=ports)
        own = task(addresses=("9.0.0.1", "9.0.0.2"), ports=(31000, 31001))
        self.check(made, own, ("9.0.0.1", 80), ("9.0.0.1", 81), ("9.0.0.1", 31001))
        self.check(made, task(addresses=(), ports=(31000, 31001)), None, None, None)


class NameTests(SynchronousTestCase):
    """Names, ids and cookies."""

    def test_names(self) -> None:
        """Host, address and port, cleaned; host and address once where they are equal."""
        self.assertEqual(server_name("agent-1.x", "10.0.0.1", 80), "agent-1_x_10_0_0_1_80")
        self.assertEqual(server_name("10.0.0.1", "10.0.0.1", 80), "10_0_0_1_80")
        self.assertEqual(server_name("fd00::1", "fd00::1", 80), "fd00__1_80")

    def test_cookie(self) -> None:
        """The cookie is the first ten hex digits of the name's SHA-1."""
        (server,) = served(app())
        self.assertEqual(server.name, "10_0_0_1_31000")
        self.assertEqual(server.cookie, hashlib.sha1(b"10_0_0_1_31000").hexdigest()[:10])

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(1, 60_000), unique=True, min_size=1, max_size=300), st.randoms())
    def test_ids(self, ports: list[int], chance: object) -> None:
        """Ids are 1..32767 and unique; the order of the tasks changes neither ids nor cookies nor the order."""
        tasks = [Task(str(port), host="10.0.0.1", ports=(port,)) for port in ports]
        first = served(app(tasks=tuple(tasks)))
        chance.shuffle(tasks)  # type: ignore[attr-defined]
        again = served(app(tasks=tuple(tasks)))
        self.assertEqual(first, again)
        self.assertEqual(len({server.id for server in first}), len(ports))
        self.assertTrue(all(1 <= server.id <= 32767 for server in first))

    def test_alike(self) -> None:
        """Tasks of places whose names would be one are all served, and the order of the tasks changes no name."""
        hosts = ("agent-1.x", "agent-1_x", "agent-1/x")
        tasks = tuple(Task(host, host=host, ports=(31000,)) for host in hosts)
        found = one_address(app(tasks=tasks))
        self.assertEqual({server.task_id for server in found}, set(hosts))
        names = [server.name for server in found]
        self.assertEqual(names[0], "agent-1_x_10_0_0_1_31000")
        for name in names[1:]:
            self.assertRegex(name, r"\Aagent-1_x_10_0_0_1_31000:[0-9a-f]{16}\Z")
        self.assertEqual((len(set(names)), len({server.cookie for server in found})), (3, 3))
        again = one_address(app(tasks=tasks[::-1]))
        self.assertEqual(found, again)

    def test_stable(self) -> None:
        """A server that comes or goes leaves the others' ids as they are, but for one it collides with."""
        tasks = tuple(task(number) for number in range(1, 200))
        ids = {server.name: server.id for server in served(app(tasks=tasks))}
        fewer = {server.name: server.id for server in served(app(tasks=tasks[1:]))}
        self.assertEqual(len(fewer), 198)
        self.assertLessEqual(sum(ids[name] != number for name, number in fewer.items()), 2)

    def test_too_many(self) -> None:
        """A backend has at most as many servers as there are ids, and making them ends."""
        tasks = tuple(
            Task(str(n), host=f"10.{n // 10000}.0.1", ports=(n % 10000 + 1,)) for n in range(32_900)
        )
        self.assertEqual(len({server.id for server in served(app(tasks=tasks))}), 32767)

    def test_same_place(self) -> None:
        """Two tasks at one address and port, one of them lost, are one server."""
        made = app(tasks=(task(1), task(1, state="TASK_LOST")))
        self.assertEqual(len(served(made)), 1)
