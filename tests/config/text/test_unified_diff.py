"""Differences for people."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.unified_diff import MAX_LINES, difference

OLD = "global\n  maxconn 1\n\nbackend a\n  server x 1.1.1.1:1\n\nbackend b\n  mode http\n"


class Differences(SynchronousTestCase):
    """Section by section."""

    def test_nothing(self) -> None:
        """Equal texts differ in nothing."""
        found = difference(OLD, OLD, {"m": "a b\n"}, {"m": "a b\n"})
        self.assertEqual((found.summary, found.sections, found.cut), ("", (), False))

    def test_sections(self) -> None:
        """What differs, is new and is gone, each with its lines and their numbers."""
        new = "global\n  maxconn 1\n\nbackend a\n  server y 1.1.1.1:1\n\nbackend c\n  mode tcp\n"
        found = difference(OLD, new, {}, {})
        self.assertEqual(
            [(s.kind, s.name, s.fate, s.added, s.removed) for s in found.sections],
            [
                ("backend", "a", "differs", 1, 1),
                ("backend", "c", "is new", 2, 0),
                ("backend", "b", "is gone", 0, 2),
            ],
        )
        self.assertEqual(
            found.sections[0].lines,
            ("@@ -1,2 +1,2 @@", " backend a", "-  server x 1.1.1.1:1", "+  server y 1.1.1.1:1"),
        )
        self.assertIn("backend c is new", found.summary)

    def test_maps(self) -> None:
        """Map files differ by their lines."""
        found = difference(OLD, OLD, {"m": "a b\nc d\n"}, {"m": "a b\nc e\n"})
        self.assertEqual(found.sections[0].lines[1:], (" a b", "-c d", "+c e"))

    def test_empty_lines(self) -> None:
        """An empty line between sections is nobody's."""
        self.assertEqual(difference(OLD, OLD.replace("\n\n", "\n"), {}, {}).sections, ())

    def test_too_much(self) -> None:
        """Of very many lines the numbers are told, and of the rest all of it."""
        new = OLD.replace(
            "  mode http\n", "".join(f"  server s{n} 1.1.1.1:1\n" for n in range(MAX_LINES + 1))
        )
        found = difference(OLD, new.replace("maxconn 1", "maxconn 2"), {}, {})
        self.assertTrue(found.cut)
        first, second = found.sections
        self.assertEqual((first.name, bool(first.lines)), ("", True))
        self.assertEqual((second.lines, second.added), ((), MAX_LINES + 1))
