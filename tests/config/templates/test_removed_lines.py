"""What stands in the place of refused lines that guard nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.removed_lines import amendment

UNKNOWN = "unknown keyword"


class AmendmentTests(SynchronousTestCase):
    """`amendment`."""

    def instead(self, line: str, message: str = UNKNOWN) -> str | None:
        """The line in the place of a refused one."""
        found = amendment(line, message)
        return None if found is None else found.replacement

    def test_left_out(self) -> None:
        """Tuning is left out as a comment, so that the lines below keep their numbers."""
        for line in (
            "nbproc 4", "  debug", "\tquiet", "tune.chksize 3", "bind-process odd", "stats bind-process 1",
            "option forceclose", "no option http-use-htx", "cpu-map 1 0", "ulimit-n 9999", "daemon # x",
        ):  # fmt: skip
            made = self.instead(line)
            self.assertEqual((made or "").strip(), f"# {line.strip()}", line)

    def test_written_anew(self) -> None:
        """What has a modern form of the same meaning is written in it."""
        table = {
            "  clitimeout 50000": "  timeout client 50000",
            "timeout srvtimeout 5s": "timeout server 5s",
            "redispatch": "option redispatch",
            "  bind *:80 process 1/all name x": "  bind *:80 name x",
            "stats socket /x process 1 level admin": "stats socket /x level admin",
        }
        for line, expected in table.items():
            self.assertEqual(self.instead(line, "'process 1' on 'bind' lines"), expected)

    def test_server(self) -> None:
        """A server whose name is not known does not keep HAProxy from starting, unless its line says when it does."""
        words = "could not resolve address 'leader.mesos'."
        line = "  server a leader.mesos:5050 check # mesos"
        self.assertEqual(
            self.instead(line, words), "  server a leader.mesos:5050 check init-addr last,libc,none"
        )
        self.assertIsNone(self.instead("  server a leader.mesos:5050 init-addr libc", words))
        self.assertIsNone(self.instead(line, "unknown keyword 'check'"))

    def test_guards(self) -> None:
        """What may guard something is never touched, and neither is what goes on in the next line."""
        for line in (
            "reqdeny ^X", "reqidel ^X-Secret", "reqrep a b", "rspadd X:\\ y", "block if x", "stats auth a:b",
            "http-request deny", "tcp-request connection reject", "acl x src 1.2.3.4", "user nobody", "chroot /x",
            "unix-bind mode 600", "ssl-default-bind-options no-sslv3", "tune.ssl.cachesize 0", "option checkcache",
            "bind *:443 ssl crt /x verify required ca-file /y", "maxconn 5", "option", "no", "stats", "# nbproc 1",
            "", "errorfile 503 /x", "monitor-net 10.0.0.0/8", "nbproc \\", "timeout", "userlist x",
        ):  # fmt: skip
            self.assertIsNone(amendment(line, UNKNOWN), line)
