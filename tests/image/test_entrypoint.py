"""What the entrypoint does before it becomes the supervisor."""

from __future__ import annotations

import io
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.image import healthcheck, syslogd
from marathonlb.image.certificate import self_signed
from marathonlb.image.entrypoint import ContainerEnvironment, main
from tests.image.test_templates import HEAD, tarball

PEM = "-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----"


class Became(Exception):
    """The process is another program now."""


class EntrypointTests(SynchronousTestCase):
    """`main` with a runtime directory of its own."""

    def setUp(self) -> None:
        self.work = Path(self.mktemp()).resolve()
        for name in ("runtime", "sys/net/core", "templates"):
            (self.work / name).mkdir(parents=True)
        (self.work / "sys/net/core/somaxconn").write_text("128")
        self.stderr = io.StringIO()
        self.command: tuple[str, ...] = ()
        self.environ: Mapping[str, str] = {}
        self.blocked: set[int] = set()

    def enter(self, *arguments: str, **environ: str) -> int | None:
        """The exit status; None where it came to the supervisor."""

        def execute(program: str, command: tuple[str, ...], environ: Mapping[str, str]) -> None:
            self.assertEqual(program, command[0])
            self.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            self.command, self.environ = command, environ
            raise Became

        world = ContainerEnvironment(
            execute=execute,  # type: ignore[arg-type]
            host_name=lambda: "lb.test",
            runtime=str(self.work / "runtime"),
            devices=str(self.work / "nowhere"),
            sysctls=str(self.work / "sys"),
        )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        given = ("--templates", str(self.work / "templates"), "--haproxy", "/bin/true")
        try:
            return main((*arguments, *given) if arguments else (), environ, self.stderr, world)
        except Became:
            return None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def test_becomes(self) -> None:
        """It becomes the supervisor, with the controller's command line and environment behind it."""
        self.assertIsNone(self.enter("sse", "--state-dir=/s", MARATHON_LB_DRAIN_SECONDS="3", HOST="agent"))
        where = self.command.index("marathonlb.image.supervise")
        self.assertEqual(("/s", "3", ""), self.command[where + 1 : where + 4])
        self.assertIn("marathon-lb", self.command)
        self.assertIn("--mode=sse", self.command)
        self.assertEqual("agent", self.environ["HOST"])

    def test_open_state_directory(self) -> None:
        """A state directory that others can write is refused with the command that mends it, before anything starts."""
        state = self.work / "state"
        state.mkdir()
        state.chmod(state.stat().st_mode | stat.S_IWOTH)
        self.assertEqual(2, self.enter("sse", f"--state-dir={state}"))
        self.assertIn(f"`chmod go-w {state}`", self.stderr.getvalue())
        self.assertEqual(1, self.stderr.getvalue().count("\n"))

    def test_root(self) -> None:
        """Where the container runs as root its directory is root's, and no longer the image's user's."""
        runtime = self.work / "runtime"
        if os.geteuid() == 0:
            os.chown(runtime, 54321, -1)
        self.assertIsNone(self.enter("sse", f"--state-dir={runtime}"))
        self.assertEqual(os.geteuid(), runtime.stat().st_uid)

    def test_signals_wait(self) -> None:
        """A signal that comes before the supervisor can hear it is held back for it: process 1 would lose it."""
        self.assertIsNone(self.enter("sse"))
        self.assertLessEqual({signal.SIGTERM, signal.SIGINT}, self.blocked)

    def test_unusable_files(self) -> None:
        """A file that an option names, and that does not hold what it should, is one line and status 2."""
        path = self.work / "unusable"
        path.write_text("nothing")
        north = "--marathon=north=https://north:8443"
        for given in (
            (f"--policy={path}",),
            (f"--marathon-ca-cert={path}",),
            (f"--marathon-client-cert={path}",),
            (f"--dcos-auth-credentials={path}",),
            (north, f"--marathon-ca-cert=north={path}"),
        ):
            self.stderr.truncate(0)
            self.stderr.seek(0)
            self.assertEqual(2, self.enter("sse", *given), given)
            self.assertEqual(1, self.stderr.getvalue().count("\n"), self.stderr.getvalue())
            self.assertIn(given[-1].partition("=")[0], self.stderr.getvalue())
        (self.work / "templates" / "policy.toml").write_text("")
        self.assertIsNone(self.enter("sse", "--policy", str(self.work / "templates" / "policy.toml")))

    def test_refused(self) -> None:
        """A wrong mode or option ends with status 2 and one line."""
        for arguments in ((), ("watch",), ("event",), ("sse", "--nonsense"), ("sse", "--max-shrink=all")):
            self.stderr.truncate(0)
            self.stderr.seek(0)
            self.assertEqual(2, self.enter(*arguments), arguments)
            self.assertEqual(1, self.stderr.getvalue().count("\n"), self.stderr.getvalue())
            self.assertTrue(self.stderr.getvalue().startswith("docker-entrypoint: "))

    def test_certificates(self) -> None:
        """PEM text is written for its owner alone, over what an earlier start wrote."""
        for _ in range(2):
            self.assertIsNone(self.enter("sse", HAPROXY_SSL_CERT=PEM, HAPROXY_SSL_CERT1=PEM))
        for name in ("cert.pem", "cert1.pem"):
            path = self.work / "runtime" / "pem" / name
            self.assertEqual(PEM.replace("\\n", "\n") + "\n", path.read_text())
            self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual({"cert.pem", "cert1.pem"}, set(os.listdir(self.work / "runtime" / "pem")))

    def test_templates(self) -> None:
        """A tarball's templates are written, then those of the sandbox over them; a refused one ends the start."""
        (self.work / "t.tar").write_bytes(tarball(HEAD, ("templates/HAPROXY_BACKEND_HEAD", b"x")))
        (self.work / "sandbox" / "templates").mkdir(parents=True)
        (self.work / "sandbox" / "templates" / "HAPROXY_HEAD").write_text("sandbox")
        told = {"TEMPLATE_URL": f"file://{self.work}/t.tar", "MESOS_SANDBOX": str(self.work / "sandbox")}
        self.assertIsNone(self.enter("sse", **told))
        self.assertEqual("sandbox", (self.work / "templates" / "HAPROXY_HEAD").read_text())
        self.assertEqual("x", (self.work / "templates" / "HAPROXY_BACKEND_HEAD").read_text())
        self.assertEqual(1, self.enter("sse", TEMPLATE_URL=f"{self.work}/absent"))
        self.assertIn("TEMPLATE_URL", self.stderr.getvalue())

    def test_sysctls(self) -> None:
        """Parameters are set; one that cannot be ends the start, or is only told of where that is asked for."""
        self.assertIsNone(self.enter("sse", HAPROXY_SYSCTL_PARAMS="net.core.somaxconn=1024"))
        self.assertEqual("1024", (self.work / "sys/net/core/somaxconn").read_text())
        self.stderr.truncate(0)
        self.stderr.seek(0)
        wrong = {"HAPROXY_SYSCTL_PARAMS": "net.none.such=1"}
        self.assertEqual(1, self.enter("sse", **wrong))
        self.assertIn("net.none.such=1 could not be set", self.stderr.getvalue())
        self.assertEqual(1, self.stderr.getvalue().count("\n"))
        self.assertIsNone(self.enter("sse", **wrong, HAPROXY_SYSCTL_NONSTRICT="1"))

    def test_unwritable(self) -> None:
        """A directory that cannot be written to is one line and status 1."""
        (self.work / "runtime" / "pem").write_text("in the way")
        self.assertEqual(1, self.enter("sse"))
        self.assertIn(str(self.work / "runtime" / "pem"), self.stderr.getvalue())
        self.assertEqual(1, self.stderr.getvalue().count("\n"))

    def test_stats_address(self) -> None:
        """The health check learns where to ask, a wildcard being this machine."""
        for bind, address in (
            ("*:9090", "127.0.0.1 9090"),
            ("10.1.2.3:80", "10.1.2.3 80"),
            ("[::]:1", "::1 1"),
            ("[fe80::1]:2", "fe80::1 2"),
        ):
            self.assertIsNone(self.enter("sse", "--bind-stats", bind))
            self.assertEqual(address, (self.work / "runtime" / "stats-address").read_text().strip())

    def test_syslog(self) -> None:
        """Where a syslog is asked for, the supervisor is told where it may listen."""
        self.assertIsNone(self.enter("sse", HAPROXY_SYSLOGD="true"))
        where = self.command.index("marathonlb.image.supervise") + 3
        self.assertEqual(f"{self.work}/runtime/log", self.command[where])


class PartsTests(SynchronousTestCase):
    """The small programs and the certificate."""

    def test_self_signed(self) -> None:
        """The certificate is for this host, and lasts ten years."""
        now = datetime(2026, 1, 1, tzinfo=UTC)
        text = self_signed("lb.test", now)
        made = x509.load_pem_x509_certificate(text.encode())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(["lb.test", "localhost"], names.get_values_for_type(x509.DNSName))
        self.assertGreater(made.not_valid_after_utc, now + timedelta(days=3600))
        self.assertIn("PRIVATE KEY", text)

    def test_syslog_line(self) -> None:
        """A message loses its priority and cannot forge a second line."""
        self.assertEqual("haproxy[7]: up\n", syslogd.line(b"<134>haproxy[7]: up\n\0"))
        self.assertEqual("a\\n<0>b\\x1b\n", syslogd.line(b"<7>a\n<0>b\x1b"))

    def test_health_without_address(self) -> None:
        """Without an address, or without anybody there, the health check says no."""
        path = Path(self.mktemp())
        with redirect_stdout(io.StringIO()) as out:
            self.assertEqual(1, healthcheck.main([str(path)]))
            path.write_text("127.0.0.1 1\n")
            self.assertEqual(1, healthcheck.main([str(path)]))
        self.assertEqual(2, out.getvalue().count("no answer: "))
