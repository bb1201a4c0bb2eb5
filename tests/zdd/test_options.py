"""The options of ``marathon-lb-zdd``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.options import group_markdown
from marathonlb.zdd.deployment import Ending
from marathonlb.zdd.options import GROUPS, ZddArguments, ZddOptions, read_options
from tests.paths import CHECKOUT


def given(line: str, **environ: str) -> ZddArguments:
    """What a command line says."""
    options = ZddOptions()
    options.parseOptions(line.split())
    return read_options(options.given, environ)


class OptionsTests(SynchronousTestCase):
    """The command line."""

    def test_defaults(self) -> None:
        """A file is enough."""
        found = given("app.json")
        self.assertEqual(
            ("app.json", ("http://marathon-lb.marathon.mesos:9090",)), (found.app, found.marathon_lb)
        )
        self.assertEqual(
            (0, 1, 300, 5),
            (
                found.request.new_instances,
                found.request.initial_instances,
                found.request.max_wait,
                found.request.step_interval,
            ),
        )
        self.assertEqual(("http://master.mesos:8080",), found.settings.marathon)
        self.assertEqual("warn", found.settings.log_level)

    def test_everything(self) -> None:
        """Long names and short ones, the file before and after them, as tools of old were called."""
        for line in (
            "-j a.json -m http://m:8080 -l http://lb:9090 -f -n 2 -i 3 -w 60 -s 1 -r --syslog-socket /dev/null",
            "a.json --marathon=http://m:8080 --marathon-lb lb --force --new-instances=2 --initial-instances 3 "
            "--max-wait 60 --step-interval 1 --resume",
            "--marathon http://m:8080 -r -n2 -i3 -w60 --step-delay 1 -f -l lb:9090 -- a.json",
        ):
            found = given(line)
            wish = found.request
            self.assertEqual(
                ("a.json", ("http://m:8080",), ("http://lb:9090",), True, True, 2, 3, 60, 1),
                (
                    found.app,
                    found.settings.marathon,
                    found.marathon_lb,
                    found.force,
                    wish.resume,
                    wish.new_instances,
                    wish.initial_instances,
                    wish.max_wait,
                    wish.step_interval,
                ),
            )

    def test_environment(self) -> None:
        """Variables stand for options, also those of Marathon's credentials; those of others do not matter."""
        found = given(
            "a.json",
            MARATHON_LB_MARATHON="http://m:8080",
            MARATHON_LB_MARATHON_LB="lb1,https://lb2:1",
            MARATHON_USER="me",
            MARATHON_PASSWORD="secret",
            MARATHON_LB_HAPROXY="/nowhere",
            MARATHON_LB_RESUME="true",
        )
        self.assertEqual(("http://lb1:9090", "https://lb2:1"), found.marathon_lb)
        self.assertEqual(("me", "secret"), found.settings.auth_credentials)
        self.assertFalse(found.request.resume)
        self.assertNotIn("secret", repr(found))

    def test_credentials(self) -> None:
        """A user and a password in a load balancer's address are taken out of it."""
        found = given("a.json -l http://me:p%40ss@lb:9090")
        self.assertEqual(("http://lb:9090",), found.marathon_lb)
        self.assertEqual({"http://lb:9090": ("me", "p@ss")}, found.credentials)
        self.assertNotIn("p@ss", repr(found))

    def test_one_cluster(self) -> None:
        """A cluster may have a name; two of them are one too many."""
        self.assertEqual(("http://m:8080",), given("a.json -m east=http://m:8080").settings.marathon)
        self.assertRaises(UsageError, given, "a.json -m east=http://m:8080 -m west=http://n:8080")

    def test_refused(self) -> None:
        """What contradicts itself, or is not what it should be."""
        for line, words in (
            ("", "--app"),
            ("a.json -c -p", "--complete-prev"),
            ("a.json -c -r", "--resume"),
            ("a.json -c -n 1", "--new-instances"),
            ("a.json -i 0", "from 1 to"),
            ("a.json -w soon", "--max-wait"),
            ("a.json -l http://lb/path", "--marathon-lb"),
            ("a.json -l ftp://lb", "--marathon-lb"),
        ):
            self.assertIn(words, str(self.assertRaises(UsageError, given, line)), line)

    def test_documented(self) -> None:
        """The page has the options as they are."""
        page = (CHECKOUT / "docs" / "zdd.md").read_text()
        self.assertIn(group_markdown(GROUPS[0]).partition("\n\n")[2], page)
        for ending in Ending:
            self.assertIn(f"| {ending.value} |", page)
