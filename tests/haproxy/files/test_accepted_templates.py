"""The operator's templates that are kept for the next controller."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.template import classic, jinja
from marathonlb.haproxy.files.accepted_templates import FILE, AcceptedTemplates
from marathonlb.haproxy.files.state_directory import StateDirectory


class AcceptedTests(SynchronousTestCase):
    """`AcceptedTemplates`."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.kept = AcceptedTemplates(StateDirectory(self.directory))

    def test_kept(self) -> None:
        """What is written is read, by another one, in its syntax; nobody else may read it."""
        self.assertEqual(self.kept.read(), {})
        texts = {
            "HEAD": classic("HEAD", "global {x}\n", "file t/HAPROXY_HEAD"),
            "BACKEND_EXTRA": classic("BACKEND_EXTRA", "  # {backend}\n", "environment HAPROXY_BACKEND_EXTRA"),
            "BACKEND_HEAD": jinja("BACKEND_HEAD", "{% if x %}{% endif %}", "file t/HAPROXY_BACKEND_HEAD.j2"),
        }
        self.kept.write(texts)
        found = AcceptedTemplates(StateDirectory(self.directory)).read()
        self.assertEqual(set(found), set(texts))
        for name, text in texts.items():
            self.assertTrue(found[name].same_text(text), name)
            self.assertEqual(found[name].source, text.source)
        self.assertEqual(os.stat(os.path.join(self.directory, FILE)).st_mode & 0o777, 0o600)

    def test_garbled(self) -> None:
        """A file that is none of ours keeps nothing, and neither does a text that is none any more."""
        os.makedirs(self.directory)
        one = '{"HEAD": {"text": "x", "source": "file x"}, "BACKEND_HEAD": %s, "NOTHING": 3}'
        for text, count in (
            ("", 0),
            ("[]", 0),
            ("{", 0),
            (one % '{"text": "{%", "source": "x.j2"}', 1),
            (one % "3", 1),
        ):
            with open(os.path.join(self.directory, FILE), "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual(len(self.kept.read()), count, text)

    def test_cannot_be_written(self) -> None:
        """Where it cannot be kept nothing fails."""
        with open(self.directory, "w", encoding="utf-8"):
            self.kept.write({"HEAD": classic("HEAD", "x", "file x")})
        self.assertEqual(self.kept.read(), {})
