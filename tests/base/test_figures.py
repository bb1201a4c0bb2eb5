"""Numbers, times and texts for people."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.figures import ago, duration, iso, moment, number, plural, seconds_of, size


class FigureTests(SynchronousTestCase):
    """Durations, times and counts."""

    def test_duration(self) -> None:
        """A duration has the unit that fits, and two or three digits that count."""
        for seconds, words in (
            (0, "0 s"),
            (0.0000425, "42 µs"),
            (0.00123, "1.2 ms"),
            (0.0421, "42 ms"),
            (0.9999, "1.00 s"),
            (1.234, "1.23 s"),
            (59.96, "60.0 s"),
            (200, "3 min 20 s"),
            (3600 * 5 + 720, "5 h 12 min"),
            (86400 * 3 + 3600 * 4, "3 d 4 h"),
        ):
            self.assertEqual(duration(seconds), words)

    def test_whole_seconds(self) -> None:
        """What is known in whole seconds, as HAProxy says it, is told in whole seconds."""
        self.assertEqual(
            (duration(9), duration(9.0), duration(59), duration(61)), ("9 s", "9.00 s", "59 s", "1 min 1 s")
        )

    def test_ago(self) -> None:
        """How long ago something was is told in its biggest unit; what is to come is now."""
        for seconds, words in (
            *((-5, "now"), (0.9, "now"), (1, "1 s ago"), (59.9, "59 s ago"), (60, "1 min ago")),
            *((3599, "59 min ago"), (3600, "1 h ago"), (86400 * 40, "40 d ago")),
        ):
            self.assertEqual(ago(seconds), words)

    def test_times(self) -> None:
        """A time is told in UTC, to people and to machines, and read again."""
        self.assertEqual((iso(0.7), moment(0.7)), ("1970-01-01T00:00:00Z", "1970-01-01 00:00:00"))
        self.assertEqual(seconds_of("1970-01-01T00:01:00+00:00"), 60)
        self.assertIsNone(seconds_of("yesterday"))

    def test_counts(self) -> None:
        """Numbers have their thousands apart, sizes their unit, and words their number."""
        self.assertEqual(
            (number(1234567), plural(1, "app"), plural(2000, "app")), ("1,234,567", "1 app", "2,000 apps")
        )
        sizes = [size(count) for count in (0, 999, 1000, 99_960, 123_456_789, 10**15)]
        self.assertEqual(sizes, ["0 B", "999 B", "1.0 kB", "100 kB", "123 MB", "1000.0 TB"])
