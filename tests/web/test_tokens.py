"""The admin token, as a text and as a file."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.web.tokens import CLIENTS, MAX_FILE, AdminToken, FailedTokens

ONE, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


class AdminTokens(SynchronousTestCase):
    """What is the token."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.said: list[LogEvent] = []
        globalLogPublisher.addObserver(self.said.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.said.append)

    def file(self, content: str | bytes, mode: int = 0o600) -> AdminToken:
        """A token from a file."""
        self.write(content, mode)
        return AdminToken(str(self.path.absolute()))

    def write(self, content: str | bytes, mode: int = 0o600) -> None:
        """Replace the file, as secrets are replaced."""
        beside = self.path.with_suffix(".new")
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.chmod(mode)
        beside.rename(self.path)

    def words(self) -> str:
        """What was logged, with everything that it holds."""
        return "\n".join(f"{formatEvent(event)} {event}" for event in self.said)

    def test_text(self) -> None:
        """A text is the token, and a short one is warned of."""
        token = AdminToken(ONE)
        self.assertTrue(token.matches(ONE))
        for wrong in ("", ONE[:-1], ONE + "0", ONE.upper(), "\u00fc", "\udcff"):
            self.assertFalse(token.matches(wrong), wrong)
        self.assertEqual(self.said, [])
        AdminToken("s3cret")
        self.assertIn("guessed", self.words())
        self.assertNotIn("s3cret", self.words())

    def test_file(self) -> None:
        """A file holds it, with a newline or without, and another one counts at once."""
        token = self.file(f"{ONE}\n")
        self.assertTrue(token.matches(ONE))
        self.assertEqual(self.said, [])
        self.write(OTHER)
        self.assertEqual([token.matches(each) for each in (ONE, OTHER)], [False, True])

    def test_removed(self) -> None:
        """While there is no file nobody is let in, which is said once."""
        token = self.file(ONE)
        self.path.unlink()
        for given in (ONE, "", ONE):
            self.assertFalse(token.matches(given))
        self.assertEqual([event["log_level"] for event in self.said], [LogLevel.error])
        self.assertNotIn(ONE, self.words())
        self.write(ONE)
        self.assertTrue(token.matches(ONE))

    def test_no_token(self) -> None:
        """What is no token lets nobody in."""
        for content in ("", "\n", f"{ONE} {OTHER}", f"{ONE}\n{OTHER}\n", b"\xff" * 20, "x" * (MAX_FILE + 2)):
            token = self.file(content)
            for given in ("", str(content), ONE):
                self.assertFalse(token.matches(given), content)

    def test_no_file(self) -> None:
        """A pipe is not waited for, and a directory is none."""
        os.mkfifo(self.path)
        self.assertFalse(AdminToken(str(self.path.absolute())).matches(""))
        self.assertFalse(AdminToken("/").matches(""))

    def test_mode(self) -> None:
        """A file that others may read is warned of, once."""
        token = self.file(ONE, 0o644)
        self.assertTrue(token.matches(ONE))
        self.assertIn("mode 0644", self.words())
        self.assertEqual(len(self.said), 1)


class Counted(SynchronousTestCase):
    """The wrong tokens."""

    def test_bounded(self) -> None:
        """Any number of clients takes little memory."""
        failed = FailedTokens(Clock())
        for number in range(2 * CLIENTS):
            failed.note(str(number))
        self.assertEqual(len(failed._until), CLIENTS)
