"""Going back by the script, and what is served after everything has died: real programs, real HAProxy, real tasks."""

from __future__ import annotations

import os
import signal

from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.controllers import Controlled, app, get
from tests.integration.haproxies import PACKAGE, free_port
from tests.integration.minimarathons import MarathonTestCase, alive, until

NOBODY = "http://127.0.0.1:9"


class GoingBackTests(Controlled, MarathonTestCase):
    """A wrong change, an operator at night, and a crash on top of it."""

    haproxy = PACKAGE

    async def crash(self) -> None:
        """End the controllers and HAProxy, as a machine that loses its power does."""
        masters = self.haproxy_pids()
        for daemon in self.daemons:
            daemon.kill()
            await deferToThread(daemon.wait)
        for pid in masters:
            os.kill(pid, signal.SIGTERM)
            await until(lambda pid=pid: not alive(pid), 20)
        self.assertEqual(await deferToThread(get, self.ports["http"]), "")

    async def run_script(self, *arguments: str, marathon: str = NOBODY, code: int = 0) -> str:
        """Run the script, and return its standard output."""
        done = await self.script(marathon, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.log())
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    async def break_it(self, service: MiniMarathon) -> None:
        """Serve an app, then give it a wrong virtual host."""
        await self.create(service, app("shop", free_port()))
        await self.answers("shop task=")
        labels = {"HAPROXY_0_VHOST": "typo.example.com"}
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"labels": labels})
        await self.answers("503")
        await self.answers("shop task=", "typo.example.com")
        await until(lambda: self.deployed(service), 30)
        await until(lambda: len(list((self.directory / "state" / "archive").glob("*.json"))) == 2, 20)

    async def deployed(self, service: MiniMarathon) -> bool:
        """Return whether Marathon has no deployment, and the file has the remaining task."""
        _, deployments = await self.ask(service, "GET", "/v2/deployments")
        tasks = await self.tasks(service, "/shop")
        lines = [line for line in self.config().splitlines() if "  server 127_0_0_1_" in line]
        return not deployments and len(tasks) == len(lines) == 1 and f":{tasks[0]['ports'][0]} " in lines[0]

    async def test_night(self) -> None:
        """
        --rollback 1 brings the old route back and --rollback 0 releases it. After the end of everything a controller
        without Marathon serves what was known; the script goes back without a daemon and without Marathon, and the next
        daemon holds to it with today's tasks.
        """
        service = self.marathon()
        self.daemon(service.url)
        await self.break_it(service)
        said = await self.run_script("--rollback", "1")
        self.assertRegex(
            said, r"^Configuration 1 of .* is pinned, with today's tasks\. HAProxy was updated without"
        )
        await self.answers("shop task=")
        self.assertIn("so this waits: ", self.log())
        self.assertIn("Nothing is pinned. HAProxy was ", await self.run_script("--rollback", "0"))
        await self.answers("shop task=", "typo.example.com")
        hosts = self.directory / "domain2backend.map"
        await until(lambda: "typo" in hosts.read_text(), 20)

        await self.crash()
        lonely = self.daemon(NOBODY, "sse", "--max-backoff", "1")
        await self.answers("shop task=", "typo.example.com")
        said = await self.run_script("--status", code=1)
        self.assertRegex(said, r"not ready\n +no Marathon has answered with all apps yet")
        lonely.kill()
        await deferToThread(lonely.wait)
        self.assertIn("Configuration 1 of ", await self.run_script("--rollback", "1"))
        await self.answers("shop task=")

        self.daemon(service.url)
        await until(lambda: "HAProxy runs the planned configuration already" in self.log(), 30)
        self.assertIn("pin: configuration 1 is pinned since", self.log())
        await self.ask(service, "PATCH", "/v2/apps/shop?force=true", {"instances": 2})
        await until(lambda: self.servers() == 2, 30)
        await self.answers("shop task=")
        self.assertNotIn("Traceback", self.log())
