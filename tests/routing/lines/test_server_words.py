"""The words of ``server`` and ``bind`` lines that concern their own service only."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.lines.expressions import RefusedError, variable
from marathonlb.routing.lines.server_words import BIND, SERVER, check_server, check_words

NAME, ADDRESS = variable("serverName"), f"{variable('host_ipv4')}:{variable('port')}"


class ServerTests(SynchronousTestCase):
    """`check_server`."""

    def test_own_task(self) -> None:
        """The task's own name and address are allowed, with harmless words after them."""
        check_server([NAME, ADDRESS, "check", "inter", "2s", "ssl", "verify", "none", "sni", "req.hdr(host)"])

    def test_others(self) -> None:
        """Another name or address, a socket or a file is refused."""
        for words in (
            ["mine", ADDRESS],
            [NAME, "10.0.0.1:80"],
            [NAME, "unix@/run/x"],
            [NAME],
            [NAME, ADDRESS, "ca-file", "/etc/ssl/x.pem"],
            [NAME, ADDRESS, "sni", "env(HOME)"],
        ):
            self.assertRaises(RefusedError, check_server, words)


class WordTests(SynchronousTestCase):
    """`check_words`."""

    def test_intervals(self) -> None:
        """A check at most every 200 ms is allowed."""
        for interval in ("200", "200ms", "1s", "2m"):
            check_words(["inter", interval], SERVER, "server")
        for interval in ("199", "1ms", "0s", "100us"):
            self.assertRaises(RefusedError, check_words, ["inter", interval], SERVER, "server")

    def test_arguments(self) -> None:
        """A word lacks no argument, and a word that is not listed is named."""
        self.assertRaises(RefusedError, check_words, ["weight"], SERVER, "server")
        error = self.assertRaises(RefusedError, check_words, ["interface", "eth0"], BIND, "bind")
        self.assertEqual("'interface' is not among the words of a bind line that are allowed", str(error))
        check_words(["ssl", "alpn", "h2,http/1.1"], BIND, "bind")
