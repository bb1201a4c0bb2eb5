"""The notices about options, which are logged at the start."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.options import Face, notices
from tests.options.lines import given, settings


class SecretTests(SynchronousTestCase):
    """Secrets on the command line."""

    def test_process_list(self) -> None:
        """A secret on the command line is used, and its visibility is said."""
        for line in ("--auth-credentials u:hunter2", "-m http://m1,http://u:hunter2@m2"):
            (notice,) = notices(given(line), {})
            self.assertIn("list of processes", notice)
            self.assertNotIn("hunter2", notice)
        self.assertEqual((), notices(given("-m http://m1"), {"MARATHON_LB_AUTH_CREDENTIALS": "u:p"}))
        self.assertEqual((), notices({}, {"MARATHON_LB_MARATHON": "http://u:p@m1"}))

    def test_admin_token(self) -> None:
        """A token is not shown; on the command line its visibility is said, unless it is the path of a file."""
        self.assertNotIn("hunter2", repr(settings("--admin-token hunter2")))
        (notice,) = notices(given("--admin-token hunter2"), {})
        self.assertIn("list of processes; use MARATHON_LB_ADMIN_TOKEN or the path of a file", notice)
        self.assertNotIn("hunter2", notice)
        for path in ("/run/token", "./token"):
            self.assertEqual((), notices(given(f"--admin-token {path}"), {}))
            self.assertEqual(path, settings(f"--admin-token {path}").admin_token)
        self.assertEqual((), notices({}, {"HAPROXY_ADMIN_TOKEN": "hunter2"}))
        found = settings("", {"HAPROXY_ADMIN_TOKEN": "hunter2"})
        self.assertEqual(("hunter2", {}), (found.admin_token, found.environment))
        error = self.assertRaises(UsageError, settings, "", {"HAPROXY_ADMIN_TOKEN": "hunter2 hunter3"})
        self.assertNotIn("hunter", str(error))


class NetworkTests(SynchronousTestCase):
    """Networks that may change something."""

    def test_wide(self) -> None:
        """A network in which tasks run is warned of."""
        for wide in (
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fc00::/7",
            "10.1.0.0/16",
        ):
            (notice,) = notices(given(f"--admin-allow 127.0.0.0/8,{wide}"), {})
            self.assertIn(f"--admin-allow: {wide} is wide", notice)
        for narrow in ("127.0.0.0/8", "::1", "10.1.2.0/24", "10.1.2.3", "fd00:1:2:3::/64"):
            self.assertEqual((), notices(given(f"--admin-allow {narrow}"), {}))
        self.assertEqual((), notices({}, {}))
        (notice,) = notices({}, {"MARATHON_LB_ADMIN_ALLOW": "10.0.0.0/8"})
        self.assertIn("MARATHON_LB_ADMIN_ALLOW", notice)


class NoteTests(SynchronousTestCase):
    """Options without use, and those that weaken something."""

    def test_harmless(self) -> None:
        """--lru-cache-capacity is taken and says once that it has no effect."""
        line = "--lru-cache-capacity 1000"
        settings(line)
        self.assertEqual(
            ("--lru-cache-capacity: it has no effect: there is no such cache",),
            notices(given(line), {}),
        )

    def test_insecure(self) -> None:
        """--marathon-insecure warns at every start, also out of the environment, and not where it is off."""
        self.assertIn("--marathon-insecure", notices(given("--marathon-insecure"), {})[0])
        self.assertIn("MARATHON_LB_MARATHON_INSECURE", notices({}, {"MARATHON_LB_MARATHON_INSECURE": "1"})[0])
        self.assertEqual((), notices({}, {"MARATHON_LB_MARATHON_INSECURE": "0"}))

    def test_without_use(self) -> None:
        """An option that the mode has no use for says so."""
        self.assertIn("event mode", notices(given("-u lb1:8081"), {})[0])
        self.assertIn("--manage-haproxy", notices(given("--manage-haproxy -c reload"), {})[0])

    def test_listening_elsewhere(self) -> None:
        """Where the callback listens on another port than the one that Marathon is told unasked, that is said."""
        (notice,) = notices(given("--mode=event -l :9999"), {})
        self.assertIn("--listening: the URL that Marathon gets still has port 8081", notice)
        (notice,) = notices(given("-l :9999"), {}, face=Face.SCRIPT)
        self.assertIn("give --callback-url", notice)
        (notice,) = notices(given("--mode=event"), {"MARATHON_LB_LISTENING": "unix:/run/events"})
        self.assertIn("MARATHON_LB_LISTENING: ", notice)
        for line in (
            "-l :8081",
            "-l tcp:port=8081:interface=10.1.2.3",
            "-l [::1]:8081",
            "-l :80 -u lb1:8081",
            "",
        ):
            self.assertEqual((), notices(given(f"--mode=event {line}"), {}), line)
        self.assertEqual((), notices(given("--mode=event -u lb1:8081 -c reload"), {}))


class StalenessTests(SynchronousTestCase):
    """``--max-staleness``."""

    def test_impatient_readiness(self) -> None:
        """A bound for Marathon's word that lies within the time between two comparisons is said."""
        for line, name in (
            ("--resync-interval 900", "--resync-interval=900"),
            ("--max-staleness 300", "--resync-interval=300"),
            ("--mode poll --poll-interval 600", "--poll-interval=600"),
        ):
            (notice,) = notices(given(line), {})
            self.assertIn(name, notice)
        for line in ("", "--mode poll --poll-interval 599", "--mode poll --resync-interval 900"):
            self.assertEqual((), notices(given(line), {}), line)
