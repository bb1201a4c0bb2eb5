"""What arguments and environment come to at the start of a container."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.image.start import Start, start_from
from marathonlb.options import Machine, settings_from
from marathonlb.tap import Options
from tests.paths import CHECKOUT

MACHINE = Machine(host_name=lambda: "lb.test", which=lambda program, path: None, bundled_haproxy=lambda: None)
PEM = "-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----\\n"
DEFAULT = "/etc/ssl/cert.pem"


def started(*arguments: str, there: tuple[str, ...] = (), **environ: str) -> Start:
    """The start with these arguments and variables, on a machine where these files are there."""
    return start_from(
        arguments,
        environ,
        exists=lambda path: path in there,
        writable=lambda path: path in there,
        machine=MACHINE,
        runtime="/run/lb",
        devices="/devices",
    )


def understood(start: Start) -> Any:
    """The settings that the controller makes of what it is given."""
    options = Options(start.environ)
    options.parseOptions(start.arguments)
    return settings_from(options.given, start.environ, machine=MACHINE)


class ModeTests(SynchronousTestCase):
    """The first argument, and the address of event mode."""

    def test_modes(self) -> None:
        """Each mode becomes the controller's, with every address up to the next option."""
        for mode, rest in (("sse", ()), ("poll", ()), ("event", ("lb1:8081",))):
            settings = understood(
                started(mode, *rest, "-m", "http://a:1", "http://b:2", "--group", "external")
            )
            self.assertEqual(mode, settings.mode)
            self.assertEqual(("http://a:1", "http://b:2"), settings.marathon)
            self.assertEqual({"external"}, settings.groups)
        self.assertEqual("http://lb1:8081/", understood(started("event", "lb1:8081")).callback_url)

    def test_callback_by_option(self) -> None:
        """The address of event mode may come as --callback-url or as its variable."""
        for start in (
            started("event", "--callback-url=http://lb2:9000"),
            started("event", "-u", "lb2:9000"),
            started("event", MARATHON_LB_CALLBACK_URL="lb2:9000"),
        ):
            self.assertEqual("tcp:9000", understood(start).listening)

    def test_refused(self) -> None:
        """No mode, an unknown one, a missing address, another --mode, a wrong option: one line names it."""
        for arguments, words in (
            ((), "mode: '' is not one of sse, event, poll"),
            (("watch",), "mode: 'watch' is not one of sse, event, poll"),
            (("event",), "the address at which Marathon reaches us"),
            (("event", "-m", "http://a:1"), "the address at which Marathon reaches us"),
            (("event", "nonsense"), "--callback-url: 'nonsense'"),
            (("sse", "--mode=poll"), "--mode: 'poll' is not possible together with sse"),
            (("poll", "--poll-interval=soon"), "--poll-interval: 'soon'"),
        ):
            error = self.assertRaises(UsageError, started, *arguments)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))
        self.assertRaises(usage.UsageError, started, "sse", "--nonsense")

    def test_help(self) -> None:
        """--help without a mode tells of the modes and ends."""
        for word in ("--help", "-h"):
            with redirect_stdout(io.StringIO()) as out:
                self.assertRaises(SystemExit, started, word)
            self.assertIn("Usage: docker-entrypoint sse|event ADDR|poll [options]", out.getvalue())

    def test_poll_intervals(self) -> None:
        """POLL_INTERVAL and POLL_INTERVALL are both understood."""
        for name in ("POLL_INTERVAL", "POLL_INTERVALL"):
            self.assertEqual(7, understood(started("poll", **{name: "7"})).poll_interval)

    def test_flags(self) -> None:
        """A flag and its negative reach the controller as they were said."""
        start = started(
            "sse",
            "--no-haproxy-map",
            "--strict-mode",
            "--no-manage-haproxy",
            MARATHON_LB_MANAGE_HAPROXY="true",
        )
        settings = understood(start)
        self.assertEqual(
            (False, True, False), (settings.haproxy_map, settings.strict_mode, settings.manage_haproxy)
        )


class CertificateTests(SynchronousTestCase):
    """Where https gets its certificates from."""

    def test_text(self) -> None:
        """PEM text becomes files, escaped newlines become newlines, and the files are served after the paths."""
        start = started(
            "sse",
            HAPROXY_SSL_CERT=PEM,
            HAPROXY_SSL_CERT0=PEM,
            HAPROXY_SSL_CERT100=PEM,
            HAPROXY_SSL_CERTS="/a.pem,/b.pem",
        )
        files = ("/run/lb/pem/cert.pem", "/run/lb/pem/cert0.pem", "/run/lb/pem/cert100.pem")
        self.assertEqual(files, tuple(one.path for one in start.certificates))
        self.assertEqual(PEM.replace("\\n", "\n"), start.certificates[0].text)
        self.assertIsNone(start.self_signed)
        self.assertEqual(("/a.pem", "/b.pem", *files), tuple(_paths(understood(start).ssl_certs)))

    def test_text_alone(self) -> None:
        """Without paths the default one is no part of what is served; a number without the plain variable counts."""
        start = started("sse", "--ssl-certs=/a.pem", HAPROXY_SSL_CERT7=PEM)
        self.assertEqual(["/a.pem", "/run/lb/pem/cert7.pem"], _paths(understood(start).ssl_certs))
        start = started("sse", HAPROXY_SSL_CERT=PEM, there=(DEFAULT,))
        self.assertEqual(["/run/lb/pem/cert.pem"], _paths(understood(start).ssl_certs))

    def test_paths(self) -> None:
        """Paths alone are served as they are, by option or variable."""
        for start in (started("sse", "--ssl-certs=/a.pem"), started("sse", HAPROXY_SSL_CERTS="/a.pem")):
            self.assertEqual(((), None), (start.certificates, start.self_signed))
            self.assertEqual(["/a.pem"], _paths(understood(start).ssl_certs))

    def test_none(self) -> None:
        """Where nothing is given and no file lies at the default path, one is to be made; without https none is."""
        start = started("sse")
        self.assertEqual("/run/lb/pem/cert.pem", start.self_signed)
        self.assertEqual(["/run/lb/pem/cert.pem"], _paths(understood(start).ssl_certs))
        self.assertIsNone(started("sse", there=(DEFAULT,)).self_signed)
        self.assertIsNone(started("sse", "--dont-bind-http-https").self_signed)

    def test_no_pem(self) -> None:
        """A text that is no PEM is refused by the name of its variable, without its value."""
        error = self.assertRaises(UsageError, started, "sse", HAPROXY_SSL_CERT3="/etc/ssl/secret-name.pem")
        self.assertIn("HAPROXY_SSL_CERT3: '***'", str(error))
        self.assertNotIn("secret-name", str(error))


def _paths(certificates: Any) -> list[str]:
    return [path for each in certificates for path in str(each).split(",")]


class SecretTests(SynchronousTestCase):
    """What must not be seen."""

    def test_credentials(self) -> None:
        """Passwords leave the command line for the environment, and the controller finds them there."""
        start = started("sse", "--auth-credentials", "lb:sesame", "-m", "http://a:1")
        self.assertNotIn("sesame", " ".join(start.arguments))
        self.assertEqual(("lb", "sesame"), understood(start).auth_credentials)
        start = started("sse", "-m", "http://lb:sesame@a:1", "-m", "http://lb:sesame@b:2")
        self.assertNotIn("sesame", " ".join(start.arguments))
        settings = understood(start)
        self.assertEqual(("lb", "sesame"), settings.auth_credentials)
        self.assertEqual(("http://a:1", "http://b:2"), settings.marathon)
        settings = understood(started("sse", MARATHON_USER="lb", MARATHON_PASSWORD="sesame"))
        self.assertEqual(("lb", "sesame"), settings.auth_credentials)

    def test_admin_token(self) -> None:
        """A token leaves the command line, too, reaches the controller either way, and is no template's."""
        for start in (started("sse", "--admin-token=sesame"), started("sse", HAPROXY_ADMIN_TOKEN="sesame")):
            self.assertNotIn("sesame", " ".join(start.arguments) + repr(start))
            settings = understood(start)
            self.assertEqual((settings.admin_token, settings.environment), ("sesame", {}))

    def test_loopback(self) -> None:
        """The image lets in loopback alone, unless it is told otherwise."""
        self.assertNotIn("ADMIN_ALLOW", (CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))
        self.assertEqual(started("sse").settings.admin_allow, ("127.0.0.0/8", "::1/128"))

    def test_environment(self) -> None:
        """The controller's environment has neither PEM text nor the templates' address; template variables stay."""
        start = started(
            "sse",
            HAPROXY_SSL_CERT=PEM,
            TEMPLATE_URL="http://u:p@a/t.tgz",
            HAPROXY_HEAD="global",
            HOST="agent7",
        )
        self.assertEqual({"HAPROXY_HEAD": "global", "HOST": "agent7"}, dict(start.environ))
        self.assertEqual({"HAPROXY_HEAD": "global"}, understood(start).environment)

    def test_shown(self) -> None:
        """Neither a certificate nor a variable is in what a log might show."""
        start = started("sse", HAPROXY_SSL_CERT=PEM, MARATHON_USER="lb", MARATHON_PASSWORD="sesame")
        for text in (repr(start), repr(start.certificates)):
            self.assertNotIn("BEGIN", text)
            self.assertNotIn("sesame", text)


class RestTests(SynchronousTestCase):
    """The image's other variables."""

    def test_sysctls(self) -> None:
        """Parameters are names and values; what is none is refused."""
        start = started(
            "sse", HAPROXY_SYSCTL_PARAMS="net.core.somaxconn=1024 net/ipv4/ip_local_port_range='1024 65000'"
        )
        self.assertEqual(
            (("net.core.somaxconn", "1024"), ("net/ipv4/ip_local_port_range", "1024 65000")), start.sysctls
        )
        self.assertTrue(start.strict_sysctls)
        self.assertFalse(started("sse", HAPROXY_SYSCTL_NONSTRICT="true").strict_sysctls)
        for text in ("somaxconn", "net.core.somaxconn", "../../etc/passwd=x", "net/../../x=1", "a.b='"):
            self.assertRaises(UsageError, started, "sse", HAPROXY_SYSCTL_PARAMS=text)

    def test_drain(self) -> None:
        """How long connections may go on is told in seconds; what is no number is refused."""
        self.assertEqual(8, started("sse").drain)
        self.assertEqual(120, started("sse", MARATHON_LB_DRAIN_SECONDS="120").drain)
        self.assertRaises(UsageError, started, "sse", MARATHON_LB_DRAIN_SECONDS="long")

    def test_syslog(self) -> None:
        """HAPROXY_SYSLOGD asks for a syslog; SYSLOG_SOCKET is where the controller logs, unless an option says."""
        start = started("sse", HAPROXY_SYSLOGD="true")
        self.assertEqual(("/run/lb/log", "/run/lb/log"), (start.syslog, understood(start).access_log))
        start = started("sse", there=("/devices",), HAPROXY_SYSLOGD="1", MARATHON_LB_ACCESS_LOG="/run/other")
        self.assertEqual(("/devices/log", "/run/other"), (start.syslog, understood(start).access_log))
        start = started("sse", HAPROXY_SYSLOGD="false")
        self.assertEqual(("", None), (start.syslog, understood(start).access_log))
        self.assertEqual("/dev/log", understood(started("sse", SYSLOG_SOCKET="/dev/log")).syslog_socket)
        self.assertIsNone(understood(started("sse", SYSLOG_SOCKET="/dev/null")).syslog_socket)
        start = started("sse", "--syslog-socket=/run/log", SYSLOG_SOCKET="/dev/log")
        self.assertEqual("/run/log", understood(start).syslog_socket)

    def test_templates(self) -> None:
        """TEMPLATE_URL is a web address or a file; the sandbox is Mesos's."""
        for url in ("https://a/t.tgz", "file:///t.tgz", "/t.tgz"):
            self.assertEqual(url, started("sse", TEMPLATE_URL=url).template_url)
        self.assertIsNone(started("sse", TEMPLATE_URL=" ").template_url)
        for url in (
            "ftp://u:sesame@a/t.tgz",
            "http://u:sesame@[::1/t.tgz",
            "http://",
            "https://a:99999/t.tgz",
        ):
            error = self.assertRaises(UsageError, started, "sse", TEMPLATE_URL=url)
            self.assertNotIn("sesame", str(error))
        self.assertEqual("/mnt/mesos", started("sse", MESOS_SANDBOX="/mnt/mesos").sandbox)

    def test_ports(self) -> None:
        """PORTS, which Marathon sets for every app, changes nothing: reloads keep the sockets."""
        self.assertEqual(started("sse").settings, started("sse", PORTS="9090,9091").settings)
