"""The static files: style, script and icon."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.web.dashboard.assets import CACHE_FOREVER, DIRECTORY, Assets
from tests.reconciling import web
from tests.web.dashboard.reading import DashboardTestCase


class AssetTests(DashboardTestCase):
    """The files over HTTP."""

    def links(self) -> list[str]:
        """Where a page says that they are."""
        return [
            value
            for _, attributes in self.read("/").elements
            for name, value in attributes.items()
            if name in ("href", "src") and value and value.startswith("/static/")
        ]

    def test_types(self) -> None:
        """Each has its type, and may be kept for ever, since its path changes with its content."""
        links = self.links()
        self.assertEqual(len(links), 3)
        for link in links:
            code, text, headers = self.ask("GET", link)
            name = link.rpartition("/")[2]
            self.assertEqual((code, headers["cache-control"]), (200, CACHE_FOREVER))
            self.assertEqual(text, (DIRECTORY / "static" / name).read_text("utf-8"))
            kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[
                name.rpartition(".")[2]
            ]
            self.assertEqual(headers["content-type"].partition(";")[0], kind)

    def test_old_page(self) -> None:
        """Who asks for another version is given the present one, not to be kept."""
        code, _, headers = self.ask("GET", "/static/0123456789abcdef/dashboard.css")
        self.assertEqual((code, headers["cache-control"]), (200, "no-store"))

    def test_nothing_else(self) -> None:
        """Nothing but these files can be had."""
        for path in (
            "/static/x/y.css",
            "/static/x/%2e%2e%2fassets.py",
            "/static/x/..%2f..%2fassets.py",
            "/static/",
            "/static/x",
        ):
            self.assertEqual(self.ask("GET", path)[0], 404, path)

    def test_no_inline(self) -> None:
        """No template holds a script, a style or a handler, and none says that something is safe as it is."""
        for file in (DIRECTORY / "templates").iterdir():
            text = file.read_text("utf-8")
            for words in ("|safe", "autoescape", "<style", " style=", " onclick="):
                self.assertNotIn(words, text, file.name)

    def test_posted(self) -> None:
        """Pages of the dashboard are asked by GET alone."""
        self.serve(web("shop"))
        said: Any = self.ask("POST", "/services")
        self.assertEqual(said[0], 405)


def luminance(colour: str) -> float:
    """How light a colour is (WCAG 2.1, "relative luminance")."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Between two colours: 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class ColourTests(SynchronousTestCase):
    """The colours of both schemes."""

    def test_contrast(self) -> None:
        """Every colour of a text can be read on every ground, the one of what has just changed included."""
        css = Assets().by_name["dashboard.css"].content.decode()
        light, dark = (
            dict(re.findall(r"--([\w-]+): (#\w+);", part)) for part in css.split("@media")[0:2]
        )  # the two blocks of variables stand first
        for name, scheme in (("light", light), ("dark", {**light, **dark})):
            pairs = [
                (text, ground)
                for text in ("text", "muted", "accent", "good", "waiting", "bad")
                for ground in ("ground", "surface", "sunken", "flash")
            ]
            pairs += [(each, f"{each}-soft") for each in ("accent", "good", "waiting", "bad")]
            pairs += [
                ("text", "waiting-soft"),
                ("text", "good-soft"),
                ("text", "bad-soft"),
                ("on-accent", "accent"),
            ]
            for text, ground in pairs:
                self.assertGreaterEqual(contrast(scheme[text], scheme[ground]), 4.5, (name, text, ground))
