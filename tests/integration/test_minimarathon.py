"""minimarathon with real processes and real sockets."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.web.client import ResponseNeverReceived

from minimarathon.definitions.app_file import SAMPLE, load
from minimarathon.definitions.parsing import parse
from minimarathon.tasks.processes import Processes
from tests.integration.minimarathons import MarathonTestCase, alive, pids_of, stopped, until
from tests.minimarathon.runners import RunnerContract

WEB = 'exec "$MINIMARATHON_PYTHON" -S -m minimarathon.apps web --name web'
CHECK = {
    "protocol": "HTTP",
    "path": "/health",
    "gracePeriodSeconds": 10,
    "intervalSeconds": 0.2,
    "timeoutSeconds": 2,
    "maxConsecutiveFailures": 2,
}


class ProcessesTests(RunnerContract, MarathonTestCase):
    """`Processes` keeps what every runner promises."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.runner = Processes(reactor, reactor, self.directory.resolve(), grace=1)
        self.addCleanup(self.runner.stop)

    async def test_whole_group_is_killed(self) -> None:
        """What a command started ends with it, even what ignores SIGTERM."""
        cmd = "(trap '' TERM; while :; do sleep 0.1; done) & echo $! > child; wait"
        story = self.started(app=parse({"id": "/web", "cmd": cmd}))
        child = self.directory / story.task.id / "child"
        await until(lambda: child.exists() and child.read_text().strip())
        pid = int(child.read_text())
        self.assertTrue(alive(pid))
        self.runner.kill(story.task.id, 0.3)
        await story.over
        await until(lambda: not alive(pid))

    async def test_what_is_left_behind_ends(self) -> None:
        """A command that exits ends its children too, and is over when they are."""
        cmd = "sleep 1000 & echo $! > child; exit 3"
        story = self.started(app=parse({"id": "/web", "cmd": cmd}))
        outcome = await story.over
        self.assertEqual(3, outcome.code)
        self.assertFalse(alive(int((self.directory / story.task.id / "child").read_text())))

    async def test_output_is_kept(self) -> None:
        """Both outputs of a task are in its file, which others cannot read."""
        story = self.started(app=parse({"id": "/web", "args": ["sh", "-c", "echo one; echo two >&2"]}))
        await story.over
        output = self.directory / story.task.id / "output"
        self.assertEqual("one\ntwo\n", output.read_text())
        self.assertEqual(0o600, output.stat().st_mode & 0o777)

    async def test_session_of_its_own(self) -> None:
        """A task leads a session, so a Ctrl-C meant for us does not reach it."""
        story = self.started(app=parse({"id": "/web", "cmd": "echo $$ > pid; sleep 100"}))
        file = self.directory / story.task.id / "pid"
        await until(lambda: file.exists() and file.read_text().strip())
        pid = int(file.read_text())
        self.assertEqual((pid, pid), (os.getsid(pid), os.getpgid(pid)))

    async def test_an_image_cannot_run(self) -> None:
        """An app without a command ends with a reason."""
        story = self.started(app=parse({"id": "/web", "container": {"docker": {"image": "nginx"}}}))
        outcome = await story.over
        self.assertIn("no cmd", outcome.reason)


class RealTests(MarathonTestCase):
    """A Marathon and its apps."""

    async def healthy(self, service: Any, app_id: str, count: int) -> list[dict[str, Any]]:
        """Wait until an app has so many healthy tasks, and no other."""

        async def ready() -> Any:
            tasks = await self.tasks(service, app_id)
            good = [one for one in tasks if any(r["alive"] for r in one.get("healthCheckResults", ()))]
            return tasks if len(good) == len(tasks) == count else None

        return await until(ready)

    async def test_runs_dies_and_comes_back(self) -> None:
        """A task answers on its port; killed from outside it is FAILED, and another one answers."""
        service = self.marathon()
        await self.ask(
            service,
            "POST",
            "/v2/apps",
            {"id": "/web", "cmd": WEB, "backoffSeconds": 0.1, "healthChecks": [CHECK]},
        )
        (one,) = await self.healthy(service, "/web", 1)
        answer = await treq.get(f"http://127.0.0.1:{one['ports'][0]}/x", persistent=False)
        self.assertIn(f"task={one['id']}", await answer.text())
        (pid,) = pids_of(f"MESOS_TASK_ID={one['id']}")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: one["id"] not in [task.id for task in service.engine.state.tasks("/web")])
        (other,) = await self.healthy(service, "/web", 1)
        self.assertNotEqual(one["id"], other["id"])
        failure = service.engine.state.records["/web"].last_failure
        self.assertEqual(("TASK_FAILED", one["id"]), (failure.state, failure.task.id))

    async def test_unhealthy_is_killed(self) -> None:
        """A task whose check fails after it once was well is killed and replaced."""
        service = self.marathon()
        kinds: list[str] = []
        service.engine.bus.listen(lambda event: kinds.append(event.kind))
        check = {**CHECK, "protocol": "COMMAND", "command": {"value": 'test ! -e "$SICK"'}}
        sick = Path(self.mktemp()).resolve()
        env = {"SICK": str(sick)}
        await self.ask(
            service,
            "POST",
            "/v2/apps",
            {"id": "/web", "cmd": "sleep 100", "env": env, "healthChecks": [check]},
        )
        (one,) = await self.healthy(service, "/web", 1)
        sick.write_text("")
        await until(lambda: "unhealthy_instance_kill_event" in kinds)
        sick.unlink()
        (other,) = await self.healthy(service, "/web", 1)
        self.assertNotEqual(one["id"], other["id"])

    async def test_tcp_check(self) -> None:
        """A TCP check is well when somebody listens."""
        service = self.marathon()
        cmd = WEB.replace("web --name web", "echo")
        await self.ask(
            service,
            "POST",
            "/v2/apps",
            {"id": "/echo", "cmd": cmd, "healthChecks": [{**CHECK, "protocol": "TCP"}]},
        )
        await self.healthy(service, "/echo", 1)

    async def test_container_address(self) -> None:
        """Tasks with an address of their own answer there, all on the container's port."""
        service = self.marathon()
        body = {
            "id": "/web",
            "cmd": WEB,
            "instances": 2,
            "networks": [{"mode": "container", "name": "dcos"}],
            "container": {"type": "MESOS", "portMappings": [{"containerPort": 33999}]},
            "healthChecks": [CHECK],
        }
        await self.ask(service, "POST", "/v2/apps", body)
        tasks = await self.healthy(service, "/web", 2)
        addresses = {one["ipAddresses"][0]["ipAddress"] for one in tasks}
        self.assertEqual(2, len(addresses))
        for address in addresses:
            answer = await treq.get(f"http://{address}:33999/", persistent=False)
            self.assertEqual(200, answer.code)
            await answer.content()
        self.assertEqual([[], []], [one["ports"] for one in tasks])

    async def test_rolling_restart_keeps_capacity(self) -> None:
        """While an app is restarted, its healthy tasks are never fewer than its upgrade strategy wants."""
        service = self.marathon()
        body = {
            "id": "/web",
            "cmd": WEB,
            "instances": 2,
            "healthChecks": [CHECK],
            "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0},
        }
        await self.ask(service, "POST", "/v2/apps", body)
        before = {one["id"] for one in await self.healthy(service, "/web", 2)}
        seen: list[tuple[int, int]] = []

        def look() -> None:
            tasks = service.engine.state.tasks("/web")
            seen.append((sum(one.ready for one in tasks), len(tasks)))

        stop = service.engine.bus.listen(lambda event: look())
        status, _ = await self.ask(service, "POST", "/v2/apps/web/restart")
        self.assertEqual(200, status)
        await until(lambda: not service.engine.state.underway)
        stop()
        after = {one["id"] for one in await self.healthy(service, "/web", 2)}
        self.assertFalse(before & after)
        self.assertGreaterEqual(min(ready for ready, _ in seen), 2)
        self.assertLessEqual(max(count for _, count in seen), 3)

    async def test_nothing_is_left_at_the_stop(self) -> None:
        """After the stop no process of any task is there."""
        service = self.marathon()
        service.engine.deploy(load(SAMPLE))
        await until(lambda: not service.engine.state.underway, seconds=30)
        tasks = [one.id for app in service.engine.state.apps() for one in service.engine.state.tasks(app.id)]
        self.assertEqual(12, len(tasks))
        running = {pid for task in tasks for pid in pids_of(f"MESOS_TASK_ID={task}")}
        self.assertEqual(12, len(running))
        await stopped(service)
        self.assertEqual(set(), {pid for pid in running if alive(pid)})

    async def test_stop_in_the_middle(self) -> None:
        """A stop while tasks start and checks run leaves nothing behind either."""
        service = self.marathon()
        service.engine.deploy(load(SAMPLE))
        await until(lambda: any(one.state == "TASK_RUNNING" for one in service.engine.state.tasks("/sticky")))
        tasks = [one.id for app in service.engine.state.apps() for one in service.engine.state.tasks(app.id)]
        await stopped(service)
        self.assertEqual(set(), {pid for task in tasks for pid in pids_of(f"MESOS_TASK_ID={task}")})


class GracefulTests(MarathonTestCase):
    """The sample apps' end."""

    async def test_a_request_under_way_is_answered(self) -> None:
        """SIGTERM lets a request that has begun be answered, and the process exits with 0."""
        service = self.marathon()
        await self.ask(service, "POST", "/v2/apps", {"id": "/web", "cmd": WEB, "healthChecks": [CHECK]})
        await until(lambda: [one for one in service.engine.state.tasks("/web") if one.ready])
        (one,) = service.engine.state.tasks("/web")
        answers: list[int] = []

        async def requests() -> None:
            while True:
                response = await treq.get(f"http://127.0.0.1:{one.ports[0]}/", persistent=False)
                await response.content()
                answers.append(response.code)

        asking = Deferred.fromCoroutine(requests())
        await until(lambda: len(answers) > 20)
        messages: list[bytes] = []
        service.engine.bus.listen(lambda event: messages.append(event.json()))
        service.engine.kill([one.id])
        await until(lambda: any(b"TASK_KILLED" in message for message in messages))
        # Whoever connects while the listener closes may meet the end of the connection instead of a refusal.
        await self.assertFailure(asking, ConnectionRefusedError, ResponseNeverReceived, ConnectionResetError)
        self.assertEqual({200}, set(answers))
        killed = next(message for message in messages if b"TASK_KILLED" in message)
        self.assertIn(b"Command exited with status 0", killed)
