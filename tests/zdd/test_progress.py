"""The progress of a deployment."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.zdd.progress import DeploymentProgress
from tests.zdd.worlds import EPOCH


class ProgressTests(SynchronousTestCase):
    """`DeploymentProgress`."""

    def test_lines(self) -> None:
        """Each step once, each wait once until something else happens; nothing in a line makes another one."""
        out = StringIO()
        progress = DeploymentProgress(out, lambda: EPOCH + timedelta(hours=1))
        progress.say("created", "/a: created\nwith 1")
        progress.wait("x")
        progress.wait("x")
        progress.say("done", "done")
        progress.wait("x")
        self.assertEqual(
            "01:00:00 /a: created with 1\n01:00:00 waiting: x\n01:00:00 done\n01:00:00 waiting: x\n",
            out.getvalue(),
        )

    def test_json(self) -> None:
        """One object a line, with the fields of the event."""
        out = StringIO()
        DeploymentProgress(out, lambda: EPOCH, as_json=True).say("ended", "a\nb", tasks=["x"])
        self.assertEqual(
            {"time": "2026-01-01T00:00:00+00:00", "event": "ended", "message": "a\nb", "tasks": ["x"]},
            json.loads(out.getvalue()),
        )

    def test_nobody_listens(self) -> None:
        """A reader that is gone ends nothing."""

        class Gone(StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        DeploymentProgress(Gone(), lambda: EPOCH).say("done", "done")
