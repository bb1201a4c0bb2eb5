"""Settings from the command line and the environment."""

from __future__ import annotations

import os

from attrs import fields
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.options import Face, Machine, notices, options, settings_from
from marathonlb.settings import Settings
from tests.options.lines import BARE, MACHINE, given, settings


class DefaultTests(SynchronousTestCase):
    """Settings that were not given."""

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

    def test_callback_default(self) -> None:
        """The callback's URL is made of $HOST, else of this host's full name, and of port 8081."""
        line = "--mode=event"
        self.assertEqual("http://10.0.0.7:8081/", settings(line, {"HOST": "10.0.0.7"}).callback_url)
        self.assertEqual("http://[fe80::1]:8081/", settings(line, {"HOST": "fe80::1"}).callback_url)
        self.assertEqual("http://lb.example.com:8081/", settings(line).callback_url)
        error = self.assertRaises(UsageError, settings, line, {"HOST": "two words"})
        self.assertIn("--callback-url", str(error))


class ModeTests(SynchronousTestCase):
    """The mode of the script."""

    def test_old_script_modes(self) -> None:
        """The script's --sse and --listening choose the daemon's modes; both at once are refused."""
        self.assertEqual("sse", settings("--sse", face=Face.SCRIPT).mode)
        listening = settings("-l :8081 -u lb1:8081", face=Face.SCRIPT)
        self.assertEqual(("event", "tcp:8081"), (listening.mode, listening.listening))
        error = self.assertRaises(UsageError, settings, "-s -l :8081", face=Face.SCRIPT)
        self.assertEqual("--listening: ':8081' is not possible together with --sse", str(error))


class PathTests(SynchronousTestCase):
    """Paths and programs."""

    def test_haproxy(self) -> None:
        """Without --haproxy it is the one on PATH, else the one of the extra, else none."""
        wheel = Machine(which=lambda program, path: None, bundled_haproxy=lambda: "/wheel/haproxy")
        for machine, expected in ((MACHINE, "/found/haproxy"), (wheel, "/wheel/haproxy"), (BARE, "")):
            self.assertEqual(expected, settings_from({}, {}, machine=machine).haproxy)

    def test_relative_haproxy(self) -> None:
        """A binary that is named from here, or found so, is known by its whole path: HAProxy runs elsewhere."""
        here = Machine(which=lambda program, path: "bin/haproxy", bundled_haproxy=lambda: None)
        for values in ({}, {"haproxy": ("bin/haproxy",)}):
            found = settings_from(values, {}, machine=here).haproxy
            self.assertEqual(os.path.abspath("bin/haproxy"), found)

    def test_relative_paths(self) -> None:
        """What HAProxy's configuration names is a whole path there: HAProxy reads it in another directory."""
        got = settings("--state-dir state --ssl-certs a.pem,/etc/b/,../c --access-log log")
        here = os.getcwd()
        self.assertEqual(got.state_dir, f"{here}/state")
        self.assertEqual(got.ssl_certs, (f"{here}/a.pem", "/etc/b/", f"{os.path.dirname(here)}/c"))
        self.assertEqual(got.access_log, f"{here}/log")
        self.assertIsNone(settings("").access_log)


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
    """Secrets are not shown."""

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

    def test_repr(self) -> None:
        """The settings' repr shows neither passwords nor the environment."""
        shown = repr(settings("-m http://user:hunter2@m1", {"HAPROXY_HEAD": "hunter2"}))
        self.assertNotIn("hunter2", shown)
