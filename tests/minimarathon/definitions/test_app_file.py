"""The files of ``--apps``."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.app_file import SAMPLE, load
from minimarathon.errors import Refused


class FileTests(SynchronousTestCase):
    """`load`."""

    def file(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def test_shapes(self) -> None:
        """A group, a list, apps in an object and one app are all taken; relative ids lie in their group."""
        app = '{"id": "web", "cmd": "x"}'
        for text, expected in (
            (app, {"/web"}),
            (f"[{app}]", {"/web"}),
            (f'{{"apps": [{app}]}}', {"/web"}),
            (f'{{"id": "/", "groups": [{{"id": "shop", "apps": [{app}]}}]}}', {"/shop/web"}),
        ):
            self.assertEqual(expected, set(load(self.file(text))), text)

    def test_sample(self) -> None:
        """The sample has what make run promises."""
        apps = load(SAMPLE)
        self.assertEqual({"/shop/web", "/shop/cart", "/sticky", "/secure", "/echo"}, set(apps))
        self.assertEqual((10100,), apps["/echo"].service_ports)

    def test_errors(self) -> None:
        """A file that cannot be used is named, with the reason."""
        for text in ("{", "5", '{"id": "/web"}'):
            path = self.file(text)
            error = self.assertRaises((ValueError, Refused), load, path)
            self.assertIn(str(path) if text != "5" else "Invalid JSON", str(error))
        self.assertIn("cannot be read", str(self.assertRaises(ValueError, load, Path("/nowhere"))))
