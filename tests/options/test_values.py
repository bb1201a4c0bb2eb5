"""The kinds of values: what each option takes, and how it is refused."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.options import options, settings_from
from marathonlb.options.values import redacted
from tests.options.lines import MACHINE, settings


class ValueTests(SynchronousTestCase):
    """Values of options."""

    GOOD: tuple[tuple[str, str, Any], ...] = (
        ("-u lb1:8081", "callback_url", "http://lb1:8081/"),
        ("-u http://lb1:8081", "callback_url", "http://lb1:8081/"),
        ("-u https://lb1/events", "callback_url", "https://lb1/events"),
        ("-u https://lb1/events", "listening", "tcp:443"),
        ("-u lb1:8181", "listening", "tcp:8181"),
        ("-l :8082", "listening", "tcp:8082"),
        ("-l 8082", "listening", "tcp:8082"),
        ("-l 10.0.0.1:8082", "listening", "tcp:8082:interface=10.0.0.1"),
        ("-l [::1]:8082", "listening", r"tcp6:8082:interface=\:\:1"),
        ("-l tcp:8082:interface=127.0.0.1", "listening", "tcp:8082:interface=127.0.0.1"),
        ("-l unix:/run/events.sock", "listening", "unix:/run/events.sock"),
        ("-l :8082 -u lb1:8081", "listening", "tcp:8082"),
        ("--poll-interval 0.5", "poll_interval", 0.5),
        ("--min-reload-interval 0", "min_reload_interval", 0.0),
        ("--max-shrink 100", "max_shrink", 100),
        ("--max-password-cost 2.5", "max_password_cost", 2.5),
        ("--hard-stop-after 90s", "hard_stop_after", "90s"),
        ("--max-reload-retries -1", "max_reload_retries", -1),
        ("--bind-http :8000", "bind_http", "*:8000"),
        ("--bind-stats [::]:9090", "bind_stats", "[::]:9090"),
        ("--group a,b --group c", "groups", frozenset("abc")),
        ("--group *", "groups", frozenset("*")),
        ("--ssl-certs /a.pem,/b", "ssl_certs", ("/a.pem", "/b")),
        ("--admin-allow 10.1.2.3,192.168.0.0/16", "admin_allow", ("10.1.2.3/32", "192.168.0.0/16")),
        ("--admin-allow 10.0.0.0/8 --admin-allow ::1", "admin_allow", ("10.0.0.0/8", "::1/128")),
        ("-m http://m1:8080/", "marathon", ("http://m1:8080",)),
        ("-m http://dcos/service/marathon/ -m http://dcos/service/marathon", "marathon", ("http://dcos/service/marathon",)),
        ("--no-haproxy-map", "haproxy_map", False),
        ("--haproxy-map", "haproxy_map", True),
        ("--no-haproxy-map --haproxy-map", "haproxy_map", True),
        ("-H", "health_check", True),
        ("--auth-credentials user:pa:ss", "auth_credentials", ("user", "pa:ss")),
        ("-m http://user:p%40ss@m1:8080", "auth_credentials", ("user", "p@ss")),
        ("-m http://user:p%40ss@m1:8080", "marathon", ("http://m1:8080",)),
        ("--haproxy other", "haproxy", "/found/other"),
        ("--syslog-socket /dev/null", "syslog_socket", None),
        ("--log-level WARN", "log_level", "warn"),
        ("--min-serv-port-ip-per-task 0 --max-serv-port-ip-per-task 0", "max_serv_port_ip_per_task", 0),
    )  # fmt: skip

    BAD = (
        "--mode watch",
        "-m localhost:8080",
        "-m ftp://m1",
        "-m http://",
        "-m http://m1:99999",
        "-m http://m1?x=1",
        "-m ,",
        "-u lb1",
        "-u :8081",
        "-u lb1:0",
        "-l nonsense",
        "-l tcp:",
        "-l tcp:x",
        "-l :70000",
        "--poll-interval 0",
        "--poll-interval nan",
        "--poll-interval inf",
        "--stall-timeout -1",
        "--max-shrink 101",
        "--max-shrink 1.5",
        "--max-password-cost 0",
        "--max-password-cost nan",
        "--max-password-cost inf",
        "--max-password-cost 101",
        "--archive-versions -1",
        "--hard-stop-after 60",
        "--hard-stop-after 0s",
        "--hard-stop-after 25d",
        "--hard-stop-after 1w",
        "--max-reload-retries -2",
        "--bind-http 80",
        "--bind-http *:0",
        "--bind-http *:80,*:81",
        "--group ,",
        "--admin-allow everyone",
        "--auth-credentials user",
        "--haproxy missing",
        "--log-format xml",
        "--log-level loud",
        "--lru-cache-capacity many",
        "--min-serv-port-ip-per-task 10200",
        "--min-serv-port-ip-per-task 0",
        "--max-serv-port-ip-per-task 66000",
        "-m http://a:b@m1 -m http://m2",
    )

    def test_good(self) -> None:
        """What is written well becomes the value that it means."""
        for line, name, expected in self.GOOD:
            self.assertEqual(expected, getattr(settings(line), name), line)

    def test_bad(self) -> None:
        """What is not what it should be is refused with its option, its value and what was expected."""
        for line in self.BAD:
            error = self.assertRaises(UsageError, settings, line)
            self.assertIn(error.option, {f"--{option.name}" for option in options()}, line)
            self.assertRegex(str(error), r"^--[a-z-]+: '.*' is not [a-z0-9]", line)

    def test_message(self) -> None:
        """The message is one line that an operator can act on."""
        error = self.assertRaises(UsageError, settings, "--hard-stop-after 60")
        self.assertEqual(
            "--hard-stop-after: '60' is not a duration with its unit such as 30s, 15m or 1h", str(error)
        )

    def test_newline(self) -> None:
        """A value that would write a second line anywhere is refused."""
        for name in ("haproxy-config", "templates", "command", "group", "ssl-certs", "bind-http"):
            self.assertRaises(
                UsageError, settings_from, {name: ("a:1\nglobal",)}, {}, machine=MACHINE
            )  # fmt: skip


class RedactedTests(SynchronousTestCase):
    """Secrets in texts."""

    def test_redacted(self) -> None:
        """Users and passwords disappear from every URL of a text."""
        text = "GET http://u:p@h:1/x then https://u:p@ss@h/, not http://h/x"
        self.assertEqual("GET http://***@h:1/x then https://***@h/, not http://h/x", redacted(text))
