"""The instructions of the demonstration."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.app_file import SAMPLE, load
from minimarathon.demo.plan import Ports
from minimarathon.demo.text import SHOWN, instructions

PORTS = Ports(http=1080, https=1443, stats=1090, appid=1091, marathon=1808)


class InstructionTests(SynchronousTestCase):
    """`instructions`."""

    def test_sample(self) -> None:
        """With the sample the commands have the ports, the echo's port and minimarathon's URL."""
        text = instructions(PORTS, (), Path("/run"), 10100)
        for part in (
            ":1080/",
            ":1443:",
            ":1090/",
            "1091",
            "/dev/tcp/127.0.0.1/10100",
            "http://127.0.0.1:1808/v2/events",
        ):
            self.assertIn(part, text)
        self.assertNotIn("{http}", text)

    def test_other_apps(self) -> None:
        """With other apps, or a real Marathon, the commands name no app of the sample."""
        text = instructions(PORTS, ("http://a:8080", "http://b:8080"), Path("/run"), None)
        self.assertIn("http://a:8080, http://b:8080", text)
        self.assertIn("http://a:8080/v2/events", text)
        self.assertNotIn("shop", text)

    def test_shown_apps_exist(self) -> None:
        """The sample has every app that the commands request."""
        self.assertLessEqual(SHOWN, load(SAMPLE).keys())
