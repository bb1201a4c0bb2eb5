"""HAProxy's words: success, refusal, and what follows from one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.server_lines import ARGUMENTS
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities
from marathonlb.haproxy.runtime.replies import CommandRefusal, refusal, supported
from tests.paths import data

GOOD = [
    ("add server b/a 10.0.0.1:80", "New server registered."),
    ("enable server b/a", ""),
    ("enable health b/a", ""),
    ("set server b/a weight 5", ""),
    ("set server b/a state drain", ""),
    (
        "set server b/a addr 10.0.0.1 port 80",
        "no need to change the addr, no need to change the port by 'stats socket command'",
    ),
    ("set server b/a addr 10.0.0.1 port 80", "nothing changed"),
    ("set server b/a addr 10.0.0.1 port 80", "port changed from '1' to '80' by 'stats socket command'"),
    ("del server b/a", "Server deleted."),
    ("del server b/a", "No such server."),
    ("prepare map /a.map", "New version created: 3"),
    ("add map /a.map a b", ""),
    ("commit map @3 /a.map", ""),
]

BAD = [
    ("add server b/a 10.0.0.1:80", ""),
    ("add server b/a 10.0.0.1:80 cookie x", "'cookie' option is not accepted for dynamic server"),
    (
        "add server b/a 10.0.0.1:80 enabled",
        "Keyword 'enabled' is ignored for dynamic servers.\nNew server registered.",
    ),
    ("enable server b/a", "No such server."),
    ("set server b/a weight 300", "Absolute weight can only be between 0 and 256 inclusive."),
    ("del server b/a", ""),
    ("prepare map /a.map", ""),
    ("add map /a.map a b", "Unknown map identifier. Please use #<id> or <file>."),
    ("show info", "Name: HAProxy"),
]


class RefusalTests(SynchronousTestCase):
    """What is a success and what is none."""

    recordings = data("haproxy", "sockets")
    versions: tuple[str, ...] = ("2.6", "2.8", "3.0", "3.4")
    recorded: tuple[tuple[str, bool], ...] = (
        ("add server blog_10000/t3 10.0.0.3:31001 id 13 weight 50", True),
        ("add server mail_10001/t1 10.0.0.3:31001", False),
        ("add server blog_10000/t5 10.0.0.5:31001 no-such-keyword", False),
        ("enable server blog_10000/t3", True),
        ("set server blog_10000/t3 weight 10", True),
        ("set server blog_10000/t3 weight 300", False),
        ("set server blog_10000/t3 addr 10.0.0.9 port 31009", True),
        ("set server blog_10000/t3 state maint", True),
        ("del server blog_10000/t3", True),
        ("prepare map /run/hosts.map", True),
        ("add map /run/hosts.map blog.example.com blog_10000", True),
        ("del map /run/hosts.map absent.example.com", False),
        ("add map /run/other.map blog.example.com blog_10000", False),
    )
    from_2_7 = "add server blog_10000/t4 10.0.0.4:31001 cookie four"

    def test_good(self) -> None:
        """Only the known words of success are one."""
        for command, answer in GOOD:
            self.assertIsNone(refusal(command, answer), command)

    def test_bad(self) -> None:
        """Anything else is a refusal, silence and commands that nobody expects included."""
        for command, answer in BAD:
            self.assertIsNotNone(refusal(command, answer), command)
        said = refusal("add server b/a 10.0.0.1:80", "")
        self.assertEqual(str(said), "HAProxy refuses 'add server b/a': the reply is empty")

    def test_recorded(self) -> None:
        """What was recorded of real sockets is told right."""
        for version in self.versions:
            text = (self.recordings / f"stats.{version}.txt").read_text()
            said = [part.partition("\n") for part in text.split("\n> ")]
            answers = {command: answer.strip() for command, _, answer in said}
            for command, good in (*self.recorded, (self.from_2_7, version != "2.6")):
                self.assertEqual(refusal(command, answers[command]) is None, good, (version, command))

    def test_lasting(self) -> None:
        """A refusal that depends on what is there at the moment is not remembered; one of an ability is."""
        for words, lasting in {
            "No such backend.": False,
            "Already exists a server with the same name in backend.": False,
            "'id' : custom id 11 already used at haproxy.cfg:18 ('server a').": False,
            "": False,
            "Backend must use a dynamic load balancing to support dynamic servers.": True,
        }.items():
            self.assertEqual(CommandRefusal("add server b/a 10.0.0.1:80", words).lasting, lasting, words)


class AbilitiesTests(SynchronousTestCase):
    """What a version can do, and what is learnt."""

    def test_versions(self) -> None:
        """Versions before 2.7 take no cookie."""
        self.assertEqual(set(RuntimeCapabilities.of("2.6.12-1+deb12u4").limits.arguments), {"cookie"})
        self.assertEqual(set(RuntimeCapabilities.of("2.8.25-5cf5d0683").limits.arguments), set())
        self.assertEqual(set(RuntimeCapabilities.of("3.4.7-1").limits.arguments), set())

    def test_help(self) -> None:
        """Where HAProxy names what it takes, the rest is not said to it."""
        names = sorted(ARGUMENTS.keys() - {"ws", "proto"})
        answer = "List of keywords supported for dynamic server:\n" + "\n".join([*names, "weight"])
        self.assertEqual(set(RuntimeCapabilities.of("3.4.7", answer).limits.arguments), {"proto"})
        self.assertIsNone(supported("Require 'backend/server'.", ARGUMENTS))

    def test_argument(self) -> None:
        """An argument that was refused is not said again."""
        for words in (
            "'cookie' option is not accepted for dynamic server",
            "unknown keyword 'cookie'; did you mean …",
        ):
            learnt = RuntimeCapabilities.of("2.8").without(
                CommandRefusal("add server b/a 1.2.3.4:5 cookie x", words), ""
            )
            self.assertEqual(set(learnt.limits.arguments), {"cookie"})

    def test_backend(self) -> None:
        """A backend that refused a server is remembered with its text."""
        words = "Backend must use a dynamic load balancing to support dynamic servers."
        learnt = RuntimeCapabilities.of("2.8").without(
            CommandRefusal("add server b/a 1.2.3.4:5", words), "the text"
        )
        self.assertEqual(learnt.limits.backends, {"b": ("the text", f"HAProxy refuses new servers: {words}")})

    def test_moment(self) -> None:
        """A refusal of the moment teaches nothing; nor does one of a deletion."""
        before = RuntimeCapabilities.of("2.8")
        self.assertIs(
            before.without(CommandRefusal("add server b/a 1.2.3.4:5", "No such backend."), ""), before
        )
        self.assertIs(
            before.without(CommandRefusal("del server b/a", "This server cannot be removed"), ""), before
        )
