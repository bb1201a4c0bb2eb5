"""The command lines of the daemon and of the script."""

from __future__ import annotations

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import Face, options, spread_marathons
from marathonlb.options.commandline import WIDTH
from tests.options.lines import DaemonLine, ScriptLine, given, settings


class InvocationTests(SynchronousTestCase):
    """The command lines of the contract."""

    def test_event(self) -> None:
        """Event mode takes its address and the callback's, and listens on the callback's port."""
        got = settings("--mode=event --marathon http://localhost:8080 --callback-url http://lb1:8181")
        self.assertEqual(
            ("event", ("http://localhost:8080",), "http://lb1:8181/", "tcp:8181"),
            (got.mode, got.marathon, got.callback_url, got.listening),
        )

    def test_sse(self) -> None:
        """Repeated addresses are tried in the order that they were given in."""
        got = settings("--mode=sse -m http://m1:8080 -m http://m2:8080 --group external")
        self.assertEqual(("http://m1:8080", "http://m2:8080"), got.marathon)
        self.assertEqual(frozenset({"external"}), got.groups)

    def test_poll(self) -> None:
        """Addresses may be separated by commas."""
        got = settings("--mode=poll -m http://m1:8080,http://m2:8080 --poll-interval 60")
        self.assertEqual(
            ("poll", ("http://m1:8080", "http://m2:8080"), 60.0),
            (got.mode, got.marathon, got.poll_interval),
        )

    def test_script(self) -> None:
        """The script takes further addresses after one -m, up to the next option."""
        got = settings("-m http://m1:8080 http://m2:8080 --group external --dry", face=Face.SCRIPT)
        self.assertEqual(("http://m1:8080", "http://m2:8080"), got.marathon)
        self.assertTrue(got.dry)
        self.assertEqual(frozenset({"external"}), got.groups)


class SpreadTests(SynchronousTestCase):
    """Several addresses after one ``-m``."""

    def test_spread(self) -> None:
        """An address is spread out wherever it stands; the values of other options are left alone."""
        for line, expected in (
            ("-m a b c", "-m a --marathon b --marathon c"),
            ("--marathon=a b -d", "--marathon=a --marathon b -d"),
            ("-ma b", "-ma --marathon b"),
            ("--marathon a --group g b", "--marathon a --group g b"),
            ("--group -m a", "--group -m a"),
            ("-m a -- b", "-m a -- b"),
            ("-m", "-m"),
            ("--marathon-ca-cert f x", "--marathon-ca-cert f x"),
            ("-m e=a b w=c d", "-m e=a --marathon e=b --marathon w=c --marathon w=d"),
            ("-me=a,w=b c", "-me=a,w=b --marathon w=c"),
            ("--marathon=e=a b -m c d", "--marathon=e=a --marathon e=b -m c --marathon d"),
        ):
            self.assertEqual(expected.split(), spread_marathons(line.split()), line)


class ArgumentTests(SynchronousTestCase):
    """Arguments that are no options."""

    def test_unexpected_argument(self) -> None:
        """An address without its -m is refused with a hint and without its password."""
        error = self.assertRaises(usage.UsageError, given, "-m http://m1 http://user:hunter2@m2")
        self.assertEqual("unexpected argument '***@m2'; give each address its own -m", str(error))


class HelpTests(SynchronousTestCase):
    """``--help``."""

    def test_width(self) -> None:
        """--help fits 80 columns, names every option of its face and points to --longhelp."""
        for face, line in ((Face.DAEMON, DaemonLine()), (Face.SCRIPT, ScriptLine())):
            text = str(line)
            self.assertEqual([], [row for row in text.splitlines() if len(row) > WIDTH])
            for option in options(face):
                self.assertRegex(text, rf"--(\[no-\])?{option.name}\b")
            self.assertIn("--longhelp", text)
        self.assertNotIn("--dry", str(DaemonLine()))
