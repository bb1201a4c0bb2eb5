"""The table of options, and what is made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import fields
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from marathonlb import documentation
from marathonlb.errors import UsageError
from marathonlb.options import CommandLine, Face, Machine, notices, options, settings_from, spread_marathons
from marathonlb.options.markdown import longhelp, options_markdown
from marathonlb.options.option import Option
from marathonlb.options.values import redacted
from marathonlb.settings import Settings
from tests.paths import CHECKOUT, data


class DaemonLine(CommandLine, face=Face.DAEMON):
    """The daemon's command line."""


class ScriptLine(CommandLine, face=Face.SCRIPT):
    """The script's command line."""


MACHINE = Machine(
    host_name=lambda: "lb.example.com",
    which=lambda program, path: f"/found/{program}" if program in ("haproxy", "other") else None,
    bundled_haproxy=lambda: "/wheel/haproxy",
)
BARE = Machine(host_name=lambda: "lb", which=lambda program, path: None, bundled_haproxy=lambda: None)


def given(line: str, face: Face = Face.DAEMON) -> dict[str, tuple[str, ...]]:
    parser: CommandLine = DaemonLine() if face is Face.DAEMON else ScriptLine()
    arguments = line.split()
    parser.parseOptions(spread_marathons(arguments) if face is Face.SCRIPT else arguments)
    return parser.given


def settings(line: str = "", environ: Mapping[str, str] | None = None, face: Face = Face.DAEMON) -> Settings:
    return settings_from(given(line, face), environ or {}, face=face, machine=MACHINE)


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

    def test_old_script_modes(self) -> None:
        """The script's --sse and --listening choose the daemon's modes; both at once are refused."""
        self.assertEqual("sse", settings("--sse", face=Face.SCRIPT).mode)
        listening = settings("-l :8081 -u lb1:8081", face=Face.SCRIPT)
        self.assertEqual(("event", "tcp:8081"), (listening.mode, listening.listening))
        error = self.assertRaises(UsageError, settings, "-s -l :8081", face=Face.SCRIPT)
        self.assertEqual("--listening: ':8081' is not possible together with --sse", str(error))

    def test_names(self) -> None:
        """The names of the options are those of the list: people's command lines hold them, so each one stays."""
        listed = data("options.txt").read_text().split()
        self.assertEqual(sorted(listed), sorted(option.name for option in options()))


class ValueTests(SynchronousTestCase):
    """What each option takes, and how it is refused."""

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

    def test_defaults_are_the_settings_own(self) -> None:
        """Without options the settings are those of `Settings`, but for what was found on the machine."""
        self.assertEqual(Settings(haproxy="/found/haproxy"), settings())

    def test_every_setting_has_an_option(self) -> None:
        """No setting can be reached by code alone."""
        special = {
            "groups": "group",
            "named_clusters": "marathon",
            "own_app_ids": None,
            "environment": None,
            "system_ca": None,
            "account": None,
        }
        names = {option.name.replace("-", "_") for option in options()}
        for setting in fields(Settings):
            name = special.get(setting.name, setting.name)
            self.assertTrue(name is None or name in names, setting.name)

    def test_haproxy(self) -> None:
        """Without --haproxy it is the one on PATH, else the one of the extra, else none."""
        wheel = Machine(which=lambda program, path: None, bundled_haproxy=lambda: "/wheel/haproxy")
        for machine, expected in ((MACHINE, "/found/haproxy"), (wheel, "/wheel/haproxy"), (BARE, "")):
            self.assertEqual(expected, settings_from({}, {}, machine=machine).haproxy)

    def test_relative_haproxy(self) -> None:
        """A binary that is named from here, or found so, is known by its whole path: HAProxy runs elsewhere."""
        here = Machine(which=lambda program, path: "bin/haproxy", bundled_haproxy=lambda: None)
        for given in ({}, {"haproxy": ("bin/haproxy",)}):
            found = settings_from(given, {}, machine=here).haproxy
            self.assertEqual(os.path.abspath("bin/haproxy"), found)

    def test_relative_paths(self) -> None:
        """What HAProxy's configuration names is a whole path there: HAProxy reads it in another directory."""
        got = settings("--state-dir state --ssl-certs a.pem,/etc/b/,../c --access-log log")
        here = os.getcwd()
        self.assertEqual(got.state_dir, f"{here}/state")
        self.assertEqual(got.ssl_certs, (f"{here}/a.pem", "/etc/b/", f"{os.path.dirname(here)}/c"))
        self.assertEqual(got.access_log, f"{here}/log")
        self.assertIsNone(settings("").access_log)

    def test_callback_default(self) -> None:
        """The callback's URL is made of $HOST, else of this host's full name, and of port 8081."""
        line = "--mode=event"
        self.assertEqual("http://10.0.0.7:8081/", settings(line, {"HOST": "10.0.0.7"}).callback_url)
        self.assertEqual("http://[fe80::1]:8081/", settings(line, {"HOST": "fe80::1"}).callback_url)
        self.assertEqual("http://lb.example.com:8081/", settings(line).callback_url)
        error = self.assertRaises(UsageError, settings, line, {"HOST": "two words"})
        self.assertIn("--callback-url", str(error))


class ClusterTests(SynchronousTestCase):
    """Several clusters."""

    def test_one(self) -> None:
        """Addresses without a name are one cluster's, whose settings are all the settings."""
        got = settings("-m http://m1 -m http://m2")
        self.assertEqual({"": got}, got.clusters)

    def test_names(self) -> None:
        """Addresses of one name are one cluster's, and a name holds until the next one in the same value."""
        for line in (
            "-m e=http://m1 -m w=http://m3 -m e=http://m2",
            "-m e=http://m1,http://m2,w=http://m3",
        ):
            got = settings(line)
            self.assertEqual(
                {"e": ("http://m1", "http://m2"), "w": ("http://m3",)},
                {name: each.marathon for name, each in got.clusters.items()},
            )
        self.assertEqual(["", "e"], sorted(settings("-m http://m1 -m e=http://m2").clusters))
        named = {"MARATHON_LB_MARATHON": "e=http://m1, http://m2 w=http://m3"}
        self.assertEqual(settings(line).clusters, settings("", named).clusters)

    def test_default(self) -> None:
        """Where every cluster has a name there is none without."""
        self.assertEqual((), settings("-m e=http://m1").marathon)

    def test_bad_names(self) -> None:
        """A name is of lower-case letters, digits and hyphens, and the refusal shows how one is given."""
        for name in ("East", "a_b", "-a", "a-", "a.b", "", "a" * 64):
            error = self.assertRaises(UsageError, settings, f"-m {name}=http://m1")
            self.assertIn("name=http://", str(error))

    def test_credentials(self) -> None:
        """What a cluster has of its own is its own alone; who has nothing has what holds for all."""
        got = settings(
            "-m e=http://u:p@m1 -m w=http://m2 -m s=http://m3 -m http://m4 --auth-credentials all:p "
            "--marathon-auth-credential-file w=/w --marathon-ca-cert /all=1 --marathon-ca-cert s=/s "
            "--marathon-client-cert e=/e"
        ).clusters
        self.assertEqual(
            {
                "": (("all", "p"), None, "/all=1", None),
                "e": (("u", "p"), None, "/all=1", "/e"),
                "w": (None, "/w", "/all=1", None),
                "s": (("all", "p"), None, "/s", None),
            },
            {
                name: (
                    each.auth_credentials,
                    each.marathon_auth_credential_file,
                    each.marathon_ca_cert,
                    each.marathon_client_cert,
                )
                for name, each in got.items()
            },
        )

    def test_accounts(self) -> None:
        """A service account may be one cluster's."""
        got = settings_from(
            given("-m e=http://m1 -m w=http://m2")
            | {"dcos-auth-credentials": ('e={"uid": "e=1"}', '{"uid": "all=1"}')},
            {},
            machine=MACHINE,
        ).clusters
        self.assertEqual(
            {"e": '{"uid": "e=1"}', "w": '{"uid": "all=1"}'},
            {name: each.dcos_auth_credentials for name, each in got.items()},
        )

    def test_secrets(self) -> None:
        """No repr shows what one cluster alone has."""
        self.assertNotIn("hunter2", repr(settings("-m e=http://u:hunter2@m1")))
        (notice,) = notices(given("-m e=http://u:hunter2@m1"), {})
        self.assertIn("list of processes", notice)

    def test_callback(self) -> None:
        """Each cluster's Marathon is given a callback of its own; the one without a name has that of the option."""
        got = settings("--mode=event -u lb:8081 -m e=http://m1 -m http://m2").clusters
        self.assertEqual(
            {"": "http://lb:8081/", "e": "http://lb:8081/?cluster=e"},
            {name: each.callback_url for name, each in got.items()},
        )
        got = settings("--mode=event -u http://lb:8081/x?y=1 -m e=http://m1").clusters
        self.assertEqual("http://lb:8081/x?y=1&cluster=e", got["e"].callback_url)


class EnvironmentTests(SynchronousTestCase):
    """Options out of the environment."""

    def test_every_option_has_a_variable(self) -> None:
        """Every setting can come from its variable, and a wrong one is refused by the variable's name."""
        for option in options(Face.DAEMON):
            value = "true" if option.flag else "\n"
            if option.secret:
                continue
            environ = {option.variable: value + "?"}
            error = self.assertRaises(UsageError, settings, "", environ)
            self.assertEqual(option.variable, error.option)

    def test_the_command_line_wins(self) -> None:
        """The command line wins over a variable, that over the option's other names, the first of them first."""
        environ = {"POLL_INTERVALL": "3"}
        self.assertEqual(3, settings("", environ).poll_interval)
        environ["POLL_INTERVAL"] = "2"
        self.assertEqual(2, settings("", environ).poll_interval)
        environ["MARATHON_LB_POLL_INTERVAL"] = "1"
        self.assertEqual(1, settings("", environ).poll_interval)
        self.assertEqual(9, settings("--poll-interval 9", environ).poll_interval)

    def test_flags(self) -> None:
        """A flag is on or off by the words that labels know, and --no-… wins over it."""
        for word, expected in (
            ("true", True),
            ("1", True),
            ("Yes", True),
            ("off", False),
            ("0", False),
            ("", False),
        ):
            self.assertEqual(
                expected, settings("", {"MARATHON_LB_MANAGE_HAPROXY": word}).manage_haproxy, word
            )
        environ = {"MARATHON_LB_MANAGE_HAPROXY": "1"}
        self.assertFalse(settings("--no-manage-haproxy", environ).manage_haproxy)
        self.assertFalse(settings("", {"MARATHON_LB_HAPROXY_MAP": "false"}).haproxy_map)

    def test_several(self) -> None:
        """A list out of one variable is as good as a repeated option."""
        got = settings("", {"MARATHON_LB_MARATHON": "http://m1 http://m2", "MARATHON_LB_GROUP": "a, b"})
        self.assertEqual((("http://m1", "http://m2"), frozenset("ab")), (got.marathon, got.groups))

    def test_credentials(self) -> None:
        """MARATHON_USER and MARATHON_PASSWORD go together, and give way to --auth-credentials."""
        both = {"MARATHON_USER": "u", "MARATHON_PASSWORD": "p"}
        self.assertEqual(("u", "p"), settings("", both).auth_credentials)
        self.assertEqual(("a", "b"), settings("--auth-credentials a:b", both).auth_credentials)
        error = self.assertRaises(UsageError, settings, "", {"MARATHON_USER": "u"})
        self.assertEqual("MARATHON_PASSWORD", error.option)

    def test_own_app(self) -> None:
        """The load balancer's own apps are known by two variables, as absolute ids."""
        environ = {"FRAMEWORK_NAME": "marathon-lb", "MARATHON_APP_ID": "/infra/lb"}
        self.assertEqual(frozenset({"/marathon-lb", "/infra/lb"}), settings("", environ).own_app_ids)

    def test_templates(self) -> None:
        """The templates' variables are kept; those of the image and of options are not."""
        environ = {
            "HAPROXY_HEAD": "global",
            "HAPROXY_SSL_CERTS": "/c.pem",
            "HAPROXY_SSL_CERT0": "-----BEGIN",
            "HAPROXY_SYSCTL_PARAMS": "x=1",
            "HOME": "/root",
        }
        got = settings("", environ)
        self.assertEqual({"HAPROXY_HEAD": "global"}, got.environment)
        self.assertEqual(("/c.pem",), got.ssl_certs)

    def test_acts_are_not_settings(self) -> None:
        """What asks for one act cannot come from the environment."""
        environ = {"MARATHON_LB_DRY": "true", "MARATHON_LB_DIFF": "true", "MARATHON_LB_SSE": "true"}
        self.assertFalse(settings("", environ, face=Face.SCRIPT).dry)
        self.assertFalse(settings("", {"MARATHON_LB_LISTENING": ":1"}, face=Face.SCRIPT).mode == "event")


class SecretTests(SynchronousTestCase):
    """What must not be seen."""

    def test_errors(self) -> None:
        """No refusal shows a password, wherever it stood."""
        for line in (
            "--auth-credentials hunter2",
            "-m http://user:hunter2@m1:99999",
            "-m user:hunter2@m1:8080",
            "-m http://user:hunter2@m1 -m http://m2",
            "-m http://user:hun@hunter2/@m1:x",
            "-u http://user:hunter2@m1:99999",
        ):
            error = self.assertRaises(UsageError, settings, line)
            self.assertNotIn("hunter2", str(error) + repr(error), line)

    def test_unexpected_argument(self) -> None:
        """An address without its -m is refused with a hint and without its password."""
        error = self.assertRaises(usage.UsageError, given, "-m http://m1 http://user:hunter2@m2")
        self.assertEqual("unexpected argument '***@m2'; give each address its own -m", str(error))

    def test_repr(self) -> None:
        """The settings' repr shows neither passwords nor the environment."""
        shown = repr(settings("-m http://user:hunter2@m1", {"HAPROXY_HEAD": "hunter2"}))
        self.assertNotIn("hunter2", shown)

    def test_redacted(self) -> None:
        """Users and passwords disappear from every URL of a text."""
        text = "GET http://u:p@h:1/x then https://u:p@ss@h/, not http://h/x"
        self.assertEqual("GET http://***@h:1/x then https://***@h/, not http://h/x", redacted(text))

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


class OldTests(SynchronousTestCase):
    """Options of old command lines."""

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


class HelpTests(SynchronousTestCase):
    """--help, --longhelp and the documentation."""

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

    def names(self, face: Face) -> list[Option]:
        return list(options(face))

    def test_width(self) -> None:
        """--help fits 80 columns, names every option of its face and points to --longhelp."""
        for face, line in ((Face.DAEMON, DaemonLine()), (Face.SCRIPT, ScriptLine())):
            text = str(line)
            self.assertEqual([], [row for row in text.splitlines() if len(row) > 80])
            for option in self.names(face):
                self.assertRegex(text, rf"--(\[no-\])?{option.name}\b")
            self.assertIn("--longhelp", text)
        self.assertNotIn("--dry", str(DaemonLine()))

    def test_names_are_unique(self) -> None:
        """No two options of a face share a name."""
        for face in (Face.DAEMON, Face.SCRIPT):
            shorts = [option.short for option in self.names(face) if option.short]
            longs = [option.name for option in self.names(face)]
            self.assertEqual(len(set(shorts)), len(shorts))
            self.assertEqual(len(set(longs)), len(longs))

    def test_longhelp(self) -> None:
        """--longhelp holds every option, then the other documents."""
        text = longhelp(["# Labels\n\nx", "# Templates\n\ny\n"])
        for option in options():
            self.assertIn(f"`--{option.name}", text)
        self.assertLess(text.index("# Labels"), text.index("# Templates"))
        self.assertTrue(text.startswith("# Options\n"))
        self.assertIn(options_markdown(), documentation.longhelp())

    def test_documentation_is_fresh(self) -> None:
        """The generated files of docs/ are what the tables say; `make docs` makes them so."""
        for name, text in documentation.documents().items():
            self.assertEqual(text, (CHECKOUT / "docs" / name).read_text(encoding="utf-8"), name)
