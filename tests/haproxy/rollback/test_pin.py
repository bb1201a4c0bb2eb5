"""The file that keeps the pin."""

from __future__ import annotations

import json
import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.rollback.pin import FILE, Pin, Pins


class PinsTests(SynchronousTestCase):
    """`Pins`: the file."""

    def setUp(self) -> None:
        self.directory = os.path.join(tempfile.mkdtemp(), "state")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.directory))
        self.pins = Pins(self.directory)
        self.pin = Pin("7", 5.0, Published("global\n # \udce4\n", {"a.map": "x y\n"}))

    def test_another_process(self) -> None:
        """What one process pins and releases another one sees, byte for byte."""
        other = Pins(self.directory)
        self.assertIsNone(other.current())
        self.pins.put(self.pin)
        self.assertEqual(other.current(), self.pin)
        self.assertEqual(os.stat(os.path.join(self.directory, FILE)).st_mode & 0o777, 0o600)
        self.assertEqual(self.pins.release(), self.pin)
        self.assertIsNone(other.current())
        self.assertIsNone(self.pins.release())

    def test_looking_makes_nothing(self) -> None:
        """Where nothing is pinned no directory is made."""
        self.pins.current()
        self.assertFalse(os.path.exists(self.directory))

    def test_garbage(self) -> None:
        """A file that cannot be read pins nothing, and can be replaced."""
        self.pins.put(self.pin)
        for text in ("", "{}", "[]", json.dumps({"name": "1", "since": 0, "text": "", "maps": []})):
            with open(os.path.join(self.directory, FILE), "w") as file:
                file.write(text)
            self.assertIsNone(self.pins.current(), text)
        self.pins.put(self.pin)
        self.assertEqual(self.pins.current(), self.pin)

    def test_secrets(self) -> None:
        """A pin's text, which may hold password hashes, is not in what it says of itself."""
        self.assertNotIn("global", repr(self.pin))
