"""The parts of the configuration that stay closed."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates import closed
from marathonlb.config.templates.table import BY_NAME
from marathonlb.settings import Settings
from tests.config.templates.test_overrides import Overrides, refuse, templates


class ClosingTests(SynchronousTestCase):
    """What is closed."""

    def test_every_template(self) -> None:
        """For each template somebody is told what is closed; the names of the special ones are templates'."""
        self.assertLessEqual(set(closed.SHARED), set(BY_NAME))
        for name in BY_NAME:
            said = closed.closed_part(templates("x", name).shared[name])
            self.assertRegex(said or "", "(is|are|,)$", name)

    def test_rules_for_all(self) -> None:
        """A head whose defaults hold rules for every service can be done without by nothing."""
        for text, closes in (
            ("defaults d\n  http-request deny if x\n", False),
            ("listen x\n http-request deny\n", True),
        ):
            head = templates(text, "HEAD").shared["HEAD"]
            self.assertEqual(closed.closed_part(head) is not None, closes, text)
            made = Overrides(templates(text, "HEAD"))
            self.assertEqual(refuse(made, "why", 0, name="HEAD", running=False), closes, text)

    def test_kept(self) -> None:
        """What makes HAProxy stricter is kept of a head, and its statistics listen in the state directory alone."""
        tls = "  ssl-default-bind-options ssl-min-ver TLSv1.3\n"
        text = f"global\n  user nobody # x\n  nbproc 3\n{tls}defaults\n  user x\n"
        self.assertEqual(
            closed.restrictions(text),
            f"\nglobal\n  user nobody # x\n{tls}",
        )
        self.assertEqual(closed.restrictions("listen x\n  bind *:1\n"), "")
        minimal = closed.minimal(evolve(Settings(), state_dir="/run/x"))
        self.assertEqual(minimal.bind_stats, "unix@/run/x/closed.sock mode 600")
