"""The differences between Marathon's versions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.dialect import RELEASES, Dialect


class DialectTests(SynchronousTestCase):
    """`Dialect`."""

    def test_parse(self) -> None:
        """A version is known by its short and by its full number; others are refused with the known ones."""
        self.assertEqual(Dialect((1, 5)), Dialect.parse("1.5"))
        self.assertEqual(Dialect((1, 10)), Dialect.parse("1.10.17"))
        self.assertEqual("1.11.24", Dialect.parse("1.11").release)
        for text in ("1.3", "1.50", "1.5.0", ""):
            error = self.assertRaises(ValueError, Dialect.parse, text)
            self.assertIn("1.4, 1.5", str(error))

    def test_since(self) -> None:
        """Each difference begins or ends with the version that Marathon's changelog names."""
        versions = list(RELEASES)
        for name, first, last in (
            ("old_ports", (1, 4), (1, 4)),
            ("subscriptions", (1, 4), (1, 4)),
            ("failure_reasons", (1, 6), (1, 11)),
            ("goals", (1, 8), (1, 11)),
            ("closes_slow_streams", (1, 8), (1, 11)),
            ("roles", (1, 9), (1, 11)),
        ):
            having = [version for version in versions if getattr(Dialect(version), name)]
            self.assertEqual((first, last), (having[0], having[-1]), name)

    def test_numbers(self) -> None:
        """A stream may be 50 events behind in 1.4 and 1,024 later; unknown paths are 404 before 1.6, then 500."""
        self.assertEqual((50, 1024), tuple(Dialect((1, minor)).max_outstanding for minor in (4, 5)))
        self.assertEqual((404, 500), tuple(Dialect((1, minor)).unknown_path_status for minor in (5, 6)))

    def test_light_plans(self) -> None:
        """Plans are light on request from 1.5 on, and always from 1.7 on."""
        rows = [((1, 4), True, False), ((1, 5), False, False), ((1, 5), True, True), ((1, 7), False, True)]
        for version, requested, light in rows:
            self.assertEqual(light, Dialect(version).light_plans(requested), version)
