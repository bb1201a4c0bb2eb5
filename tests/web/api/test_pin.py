"""Going back to a configuration, and forward again, through the API."""

from __future__ import annotations

from typing import Any

import msgspec

from marathonlb.errors import HAProxyUnavailable, ReloadFailed
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.rollback.pin import Pins
from marathonlb.marathon.model import App, Task
from tests.fakes.haproxy import NONSENSE
from tests.reconciling import web
from tests.web.contexts import EVERYTHING, NOW, PagesTestCase


def moved(app: App, port: int) -> App:
    """The app with one task, which is another one."""
    return msgspec.structs.replace(app, tasks=(Task(f"{app.id}.x", host="127.0.0.1", ports=(port,)),))


class Pinning(PagesTestCase):
    """``POST /api/pin`` and ``/api/unpin``."""

    def setUp(self) -> None:
        super().setUp()
        self.serve(web("shop"))
        self.keep()

    def keep(self) -> None:
        """Keep what runs, as the real applier does after each reload."""
        published = self.applier.texts()
        assert published is not None
        self.archive.add(published, reason="test", seconds=NOW)

    def text(self) -> str:
        """What HAProxy runs."""
        assert self.applier.running is not None
        return self.applier.running.template

    def pin(self, name: str = "1", status: int = 200) -> Any:
        """Pin a configuration."""
        said = self.post("/api/pin", {"name": name}, status)
        self.clock.advance(1)
        return said

    def change(self, app: App | None = None) -> None:
        """Change an app."""
        self.serve(app or web("shop", HAPROXY_0_BALANCE="leastconn"))

    def test_back_and_forth(self) -> None:
        """A pin brings the old text back at once and onto the disk, and its release what is wanted today."""
        self.change()
        self.assertIn("balance leastconn", self.text())
        said = self.pin()
        self.assertEqual(said["pinned"], {"name": "1", "since": self.get("/api/status")["pinned"]["since"]})
        self.assertEqual((said["applied"], said["action"]), (True, "reload"))
        self.assertIn("balance roundrobin", self.text())
        self.assertEqual(self.applier.flushed, 1)
        said = self.post("/api/unpin", {})
        self.assertEqual((said["pinned"], said["applied"], said["action"]), (None, True, "reload"))
        self.assertIn("balance leastconn", self.text())
        self.assertIsNone(self.get("/api/status")["pinned"])

    def test_tasks_follow(self) -> None:
        """Under a pin nothing changes but tasks, and the release converges without asking Marathon about everything."""
        self.change()
        self.pin()
        self.change(moved(web("shop", HAPROXY_0_BALANCE="first"), 45000))
        self.assertIn("127.0.0.1:45000", self.text())
        self.assertIn("balance roundrobin", self.text())
        self.marathon.asked.clear()
        self.post("/api/unpin", {})
        self.assertIn("balance first", self.text())
        self.assertEqual(self.marathon.asked, [])

    def test_loud(self) -> None:
        """A pin is in the status, the problems, the metrics, the timeline, the list of versions and the health page."""
        self.change()
        self.pin()
        self.change(web("shop", HAPROXY_0_BALANCE="first"))
        self.assertEqual(self.get("/api/status")["problems"], {"pin": 1})
        (problem,) = self.get("/api/problems")["problems"]
        self.assertEqual((problem["kind"], problem["fatal"]), ("pin", False))
        self.assertIn("\nmarathon_lb_pinned 1.0\n", self.ask("GET", "/metrics")[1])
        health = self.get("/api/health/ready")
        self.assertEqual((health["ok"], health["reasons"]), (True, []))
        self.assertEqual(health["remarks"], ["configuration 1 is pinned; changes wait for its release"])
        self.assertEqual(
            [each["pinned"] for each in self.get("/api/configurations")["configurations"]], [True]
        )
        told = [(each["kind"], each["summary"]) for each in self.get("/api/timeline")["entries"]]
        self.assertIn(("asked", "configuration 1 is pinned, requested by 127.0.0.1"), told)
        self.assertIn(("held", "configuration 1 is pinned, so this waits: backend shop_10000 differs"), told)

    def test_explained(self) -> None:
        """An explanation says that it is for the time after the release."""
        self.change()
        self.pin()
        said = self.get("/api/explain?q=/shop")
        self.assertEqual(said["verdict"], "without the pin: its port is served")
        self.assertIn('class="answer is-waiting"', self.ask("GET", "/explain?q=/shop")[1])
        (reason,) = said["reasons"]
        self.assertRegex(
            reason["words"],
            r"^configuration 1 is pinned since [-0-9: ]+ UTC: .* until --rollback 0 releases it; "
            r"this is the routing without the pin$",
        )
        self.post("/api/unpin", {})
        self.assertEqual(self.get("/api/explain?q=/shop")["reasons"], [])
        self.assertIn('class="answer is-good"', self.ask("GET", "/explain?q=/shop")[1])

    def test_said_once(self) -> None:
        """What waits is said once for each change, not once for each convergence."""
        self.change()
        self.pin()
        for task in (45000, 45001, 45002):
            self.change(moved(web("shop", HAPROXY_0_BALANCE="leastconn"), task))

        def held() -> int:
            return [each["kind"] for each in self.get("/api/timeline")["entries"]].count("held")

        self.assertEqual(held(), 1)
        self.serve(web("shop"), web("other", 10001))
        self.assertEqual(held(), 2)

    def test_another_controller(self) -> None:
        """A pin outlives the controller."""
        self.change()
        self.pin()
        self.assertEqual(getattr(Pins(self.state.path).current(), "name", ""), "1")

    def test_refused(self) -> None:
        """What HAProxy refuses is not pinned, and what was pinned before stays."""
        self.archive.add(Published(f"global\n  {NONSENSE}\n"), reason="test", seconds=NOW)
        self.assertIn("unknown keyword", self.pin("2", 409)["error"])
        self.assertIsNone(self.get("/api/status")["pinned"])
        self.pin("1")
        self.pin("2", 409)
        self.assertEqual(self.get("/api/status")["pinned"]["name"], "1")

    def test_not_applied(self) -> None:
        """Nor is what HAProxy cannot be made to run."""
        self.change()
        for error, status in (
            (ReloadFailed(reason="no"), 409),
            (HAProxyUnavailable(reason="it is away"), 503),
        ):
            self.applier.fail_next(error)
            self.assertIn(str(error), self.pin("1", status)["error"])
            self.assertIsNone(self.get("/api/status")["pinned"])

    def test_marathon_down(self) -> None:
        """Going back needs no Marathon."""
        self.change()
        self.marathon.fail("down")
        self.reconciler.poke(EVERYTHING)
        self.clock.advance(1)
        self.pin()
        self.assertIn("balance roundrobin", self.text())

    def test_nothing_to_release(self) -> None:
        """A release where nothing is pinned does nothing."""
        applied = len(self.applier.applied)
        self.assertEqual(self.post("/api/unpin", {})["action"], "nothing")
        self.assertEqual(len(self.applier.applied), applied)

    def test_what_runs(self) -> None:
        """What runs can be pinned: from then on nothing changes but tasks, and nothing is reloaded for it."""
        applied = len(self.applier.applied)
        self.assertEqual(self.pin("running")["action"], "nothing")
        self.change()
        self.assertIn("balance roundrobin", self.text())
        self.assertEqual(len(self.applier.applied), applied)

    def test_bad_requests(self) -> None:
        """What names no configuration is refused, and so is what does not say that it is JSON."""
        for body in (b"", b"[]", b"{}", b'{"name": 1}'):
            self.post("/api/pin", body, 400)
        for name in ("99", "../../etc", ""):
            self.pin(name, 404)
        for path in ("/api/pin", "/api/unpin"):
            code, _, _ = self.ask("POST", path, b'{"name": "1"}', {"Content-Type": "text/plain"})
            self.assertEqual(code, 415)
            self.get(path, 405)

    def test_strangers(self) -> None:
        """Only --admin-allow may do it, and no page of another site."""
        for path in ("/api/pin", "/api/unpin"):
            self.post(path, {"name": "1"}, 403, Origin="http://evil.example.com")
        self.client = "10.0.0.1"
        for path in ("/api/pin", "/api/unpin"):
            self.post(path, {"name": "1"}, 403)
        self.assertIsNone(self.get("/api/status")["pinned"])
