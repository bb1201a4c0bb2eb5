"""
Modes of TLS, by real requests through each HAProxy that is here: certificates by name, per port, per virtual host with
client certificates, passed through, and towards the tasks.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from typing import Any

from attrs import evolve

from marathonlb.marathon.model import HealthCheck, Task
from tests.integration.authorities import Authority, ask_tls, client, common_name, served
from tests.integration.haproxies import on_each
from tests.integration.worlds import World, ask
from tests.routing.apps import changed

CHECK = HealthCheck("HTTPS", "/up", interval_seconds=1, max_consecutive_failures=0)


def states(world: World, names: list[str], expected: list[str]) -> list[str]:
    """Wait up to 30 s for these states of some apps' servers, and return the states."""
    deadline = time.monotonic() + 30
    while (found := [server_status(world, name) for name in names]) != expected:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return found


class TlsMixin:
    """The requests; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertTrue: Any
    assertRaises: Any
    addCleanup: Any

    def world(self, **options: Any) -> tuple[World, Authority]:
        """An empty world that ends with the test, and who signs its certificates."""
        made = World(self.binary, **options)
        self.addCleanup(made.end)
        return made, Authority(made.directory)

    def start(self, world: World, *problems: str) -> None:
        """The world serves, with no other problems than these labels, and HAProxy has nothing to say."""
        world.start()
        self.assertEqual(list(problems), [problem.label for problem in world.problems])
        self.assertEqual("", world.check())

    def test_certificates_by_name(self) -> None:
        """Of several shared certificates the one for the name is served, the first to others; HTTP/2 is agreed on."""
        world, authority = self.world()
        first = authority.issue("first.pem", "first.test")
        directory = world.directory / "more"
        directory.mkdir()
        authority.issue("more/wild.pem", "*.wild.test", mode="apart")
        world.app("one", {"0_VHOST": "first.test,a.wild.test"})
        world.settings = evolve(world.settings, ssl_certs=(first, str(directory)))
        self.start(world)
        self.assertEqual(("first.test", "h2"), served(world.https, "first.test", "h2", "http/1.1"))
        self.assertEqual(("*.wild.test", "http/1.1"), served(world.https, "a.wild.test", "http/1.1"))
        self.assertEqual("first.test", served(world.https, "other.test")[0])
        self.assertEqual("first.test", served(world.https, None)[0])
        self.assertEqual("one", ask_tls(world.https, "a.wild.test", "a.wild.test").who)

    def test_certificate_of_a_port(self) -> None:
        """A service port with certificates of its own serves them, its bind options too."""
        world, authority = self.world()
        one, two = authority.issue("one.pem", "one.test"), authority.issue("two.pem", "two.test")
        world.app("secure", {"0_SSL_CERT": f"{one},{two}", "0_MODE": "http", "0_BIND_OPTIONS": "alpn h2"})
        self.start(world)
        port = world.ports["secure"]
        self.assertEqual(
            [("one.test", "h2"), ("two.test", "")], [served(port, "one.test", "h2"), served(port, "two.test")]
        )
        self.assertEqual("secure", ask_tls(port, "two.test", "x").who)

    def grouped(self, **options: Any) -> tuple[World, str, str]:
        """Four hosts in groups; returns the client certificates of two authorities."""
        world, authority = self.world(group_https_by_vhost=True, **options)
        shared = authority.issue("shared.pem", "shared.test", "own.test", "mutual.test", "a.wild.test")
        own, wild = authority.issue("own.pem", "own.test"), authority.issue("wild.pem", "*.wild.test")
        other = Authority(world.directory, "other.test")
        world.settings = evolve(world.settings, ssl_certs=(shared,))
        world.app("plain", {"0_VHOST": "shared.test"})
        world.app("own", {"0_VHOST": "own.test", "0_SSL_CERT": own})
        world.app("own-cart", {"0_VHOST": "own.test", "0_PATH": "/cart"})
        world.app("wild", {"0_VHOST": "*.wild.test", "0_SSL_CERT": wild})
        world.app("deep", {"0_VHOST": "deep.wild.test"})
        demand = f"ca-file {authority.path} verify required"
        world.app("mutual", {"0_VHOST": "mutual.test", "0_BIND_OPTIONS": demand})
        for made in world.apps:  # bind options are for the port as well, which has no certificate of its own
            made.labels["HAPROXY_0_BIND_ADDR"] = "127.0.0.1"
        return world, authority.issue("client.pem", "somebody"), other.issue("stranger.pem", "stranger")

    def check_grouped(self, world: World, friend: str, stranger: str) -> None:
        """Check the responses of the groups of `grouped`."""
        port = world.https
        names = ("shared.test", "own.test", "a.wild.test", "deep.wild.test", None)
        self.assertEqual(
            ["shared.test", "own.test", "*.wild.test", "shared.test", "shared.test"],
            [served(port, name)[0] for name in names],
        )
        rows = [
            ("shared.test", "shared.test", "/", "plain"),
            ("own.test", "own.test", "/x", "own"),
            ("own.test", "OWN.test:443", "/cart", "own-cart"),
            ("a.wild.test", "b.wild.test", "/", "wild"),
            ("a.wild.test", "deep.wild.test", "/", "421"),
            ("a.wild.test", "own.test", "/", "421"),
            ("deep.wild.test", "deep.wild.test", "/", "deep"),
            ("own.test", "shared.test", "/", "421"),
            ("shared.test", "own.test", "/", "own"),
            ("shared.test", "mutual.test", "/", "421"),
            ("own.test", "mutual.test", "/", "421"),
            ("shared.test", "nowhere.test", "/", "503"),
        ]
        found = [(sni, host, path, ask_tls(port, sni, host, path).who) for sni, host, path, _ in rows]
        self.assertEqual(rows, found)
        self.assertEqual("plain", ask_tls(port, None, "shared.test").who)
        self.assertEqual("mutual", ask_tls(port, "mutual.test", "mutual.test", certificate=friend).who)
        self.assertEqual("421", ask_tls(port, "mutual.test", "shared.test", certificate=friend).who)
        for refused in ("", stranger):
            with self.assertRaises(OSError):
                ask_tls(port, "mutual.test", "mutual.test", certificate=refused)

    def test_groups(self) -> None:
        """Each host has its certificate and its demands, and another host's connection does not lead to it."""
        for maps in (True, False):
            world, friend, stranger = self.grouped(haproxy_map=maps)
            self.start(world)
            self.check_grouped(world, friend, stranger)
            said = ask_tls(world.https, "own.test", "own.test").said["headers"]
            self.assertEqual(
                ("127.0.0.1", "https", str(world.https)),
                (said["x-forwarded-for"], said["x-forwarded-proto"], said["x-forwarded-port"]),
            )
            self.assertEqual("h2", served(world.https, "own.test", "h2", "http/1.1")[1])
            world.end()

    def test_certificates_of_one_host(self) -> None:
        """Of two services of a host that bring a certificate for it each, the older one's is served."""
        world, authority = self.world(group_https_by_vhost=True)
        older = authority.issue("older.pem", "older.test", "own.test")
        newer = authority.issue("newer.pem", "newer.test", "own.test")
        for name, path, file, year in (("t/b", "/", older, "2020"), ("t/a", "/a", newer, "2021")):
            labels = {"0_VHOST": "own.test", "0_PATH": path, "0_SSL_CERT": file}
            world.app(name, labels, config_changed_at=year)
        self.start(world)
        self.assertEqual("older.test", served(world.https, "own.test")[0])

    def test_misdirected_over_http2(self) -> None:
        """Over HTTP/2, too, a host that demands certificates is not reached over another one's connection."""
        world, _, _ = self.grouped()
        self.start(world)

        def curl(sni: str, host: str) -> str:
            command = ["curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
            command += [
                "--connect-to",
                f"{sni}:443:127.0.0.1:{world.https}",
                "-H",
                f"Host: {host}",
                f"https://{sni}/",
            ]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout

        self.assertEqual("2 200", curl("shared.test", "shared.test"))
        self.assertEqual("2 200", curl("own.test", "own.test"))
        self.assertEqual("2 421", curl("shared.test", "mutual.test"))

    if not shutil.which("curl"):
        test_misdirected_over_http2.skip = "curl is not installed"  # type: ignore[attr-defined]

    def test_resumed(self) -> None:
        """A session that began where no certificate was asked for, or another one's, is not resumed where one is."""
        world, friend, _ = self.grouped()
        authority = f"{world.directory}/other.test.pem"
        world.app(
            "strict", {"0_VHOST": "strict.test", "0_BIND_OPTIONS": f"ca-file {authority} verify required"}
        )
        port = {"0_SSL_CERT": f"{world.directory}/own.pem", "0_MODE": "http"}
        world.app("port", {**port, "0_BIND_OPTIONS": f"ca-file {authority} verify required"})
        self.start(world)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for certificate, first, then, where in (
                ("", "shared.test", "mutual.test", world.https),
                ("", "own.test", "mutual.test", world.https),
                (friend, "mutual.test", "strict.test", world.https),
                ("", "shared.test", "own.test", world.ports["port"]),
            ):
                context = client(certificate=certificate)
                context.minimum_version = context.maximum_version = version
                began = session_of(context, world.https, first)
                with self.assertRaises(OSError, msg=f"{first}, {then}, {version}"):
                    session_of(context, where, then, began)

    def test_two_hosts_in_one_header(self) -> None:
        """A Host header that names two hosts, or a host and a path, leads past no demand for a certificate."""
        for maps in (True, False):
            world, friend, _ = self.grouped(haproxy_map=maps)
            demand = {"0_BIND_OPTIONS": f"ca-file {world.directory}/other.test.pem verify required"}
            for name, host, more in (
                ("cart", "mutual.test", {"0_PATH": "/cart"}),
                ("strict", "strict.test", demand),
                ("covered", "*.covered.test", demand),
                ("free", "free.covered.test", {}),
            ):
                world.app(name, {"0_VHOST": host, "0_BIND_ADDR": "127.0.0.1", **more})
            self.start(world)
            rows = (
                ("shared.test", "", "mutual.test/cart"),
                ("shared.test", "", "mutual.test/cart/"),
                ("shared.test", "", "x.covered.test,free.covered.test"),
                ("shared.test", "", "free.covered.test,x.covered.test"),
                ("mutual.test", friend, "mutual.test,strict.test"),
                ("mutual.test", friend, "strict.test,mutual.test"),
            )
            found = [(host, ask_tls(world.https, sni, host, "/", cert).who) for sni, cert, host in rows]
            self.assertEqual([(host, "400") for *_, host in rows], found)
            self.assertEqual("free", ask_tls(world.https, "shared.test", "free.covered.test").who)
            self.assertEqual("421", ask_tls(world.https, "shared.test", "x.covered.test").who)
            world.end()

    def test_trailing_dot(self) -> None:
        """A host with the dot of the DNS's root is that host: it is served, and guarded, as it is without the dot."""
        for maps in (True, False):
            world, friend, _ = self.grouped(haproxy_map=maps)
            self.start(world)
            rows = (
                ("shared.test", "", "Shared.test.", "plain"),
                ("own.test", "", "own.test.:443", "own"),
                ("shared.test", "", "mutual.test.", "421"),
                ("own.test", "", "mutual.test..", "421"),
                ("mutual.test", friend, "mutual.test.", "mutual"),
            )
            found = [ask_tls(world.https, sni, host, "/", cert).who for sni, cert, host, _ in rows]
            self.assertEqual([who for *_, who in rows], found)
            world.end()

    def test_passthrough(self) -> None:
        """Hosts that are passed through and hosts whose TLS ends here share a port; a hello in pieces is understood."""
        for grouped in (False, True):
            world, authority = self.world(group_https_by_vhost=grouped)
            shared = authority.issue("shared.pem", "shared.test", "inner.wild.test")
            world.settings = evolve(world.settings, ssl_certs=(shared,))
            passed = {"0_TLS_PASSTHROUGH": "true"}
            world.app("plain", {"0_VHOST": "shared.test"})
            world.app("inner", {"0_VHOST": "inner.wild.test"})
            end = authority.issue("end.pem", "end.test")
            world.app("through", {"0_VHOST": "end.test,*.wild.test", **passed}, secured=end)
            self.start(world)
            port = world.https
            names = (
                "shared.test",
                "inner.wild.test",
                "other.wild.test",
                "END.test",
                "end.test.",
                None,
                "nowhere.test",
            )
            self.assertEqual(
                [
                    "shared.test",
                    "shared.test",
                    "end.test",
                    "end.test",
                    "end.test",
                    "shared.test",
                    "shared.test",
                ],
                [served(port, name)[0] for name in names],
            )
            rows = [
                ("shared.test", "shared.test", "plain"),
                ("inner.wild.test", "inner.wild.test", "inner"),
                ("end.test", "anything", "through"),
                ("shared.test", "end.test", "421"),
                ("shared.test", "other.wild.test", "421"),
            ]
            self.assertEqual(rows, [(sni, host, ask_tls(port, sni, host).who) for sni, host, _ in rows])
            self.assertEqual("through", ask_tls(world.ports["through"], "x", "x").who)
            self.assertEqual(
                "127.0.0.1", ask_tls(port, "shared.test", "shared.test").said["headers"]["x-forwarded-for"]
            )
            self.assertEqual("end.test", hello_in_pieces(port, "end.test"))
            world.end()

    def test_passthrough_alone(self) -> None:
        """Without a certificate there is nothing but what is passed through."""
        world, authority = self.world()
        end = authority.issue("end.pem", "end.test")
        world.app("through", {"0_VHOST": "end.test", "0_TLS_PASSTHROUGH": "yes"}, secured=end)
        self.start(world)
        self.assertEqual("through", ask_tls(world.https, "end.test", "end.test").who)
        self.assertEqual("", served(world.https, "other.test")[0])

    def test_passthrough_with_an_override(self) -> None:
        """An operator's https frontend of long ago goes on working behind the name's."""
        world, authority = self.world()
        world.settings = evolve(world.settings, ssl_certs=(authority.issue("shared.pem", "shared.test"),))
        templates = world.directory / "templates"
        templates.mkdir()
        (templates / "HAPROXY_HTTPS_FRONTEND_HEAD").write_text(
            "\nfrontend marathon_https_in\n"
            f"  bind 127.0.0.1:{world.https} ssl {{sslCerts}}\n"
            f"  bind ::1:{world.https} ssl {{sslCerts}}\n"
            "  mode http\n  http-response set-header X-Old yes"
        )
        world.app("plain", {"0_VHOST": "shared.test"})
        end = authority.issue("end.pem", "end.test")
        world.app("through", {"0_VHOST": "end.test", "0_TLS_PASSTHROUGH": "true"}, secured=end)
        self.start(world)
        self.assertEqual("through", ask_tls(world.https, "end.test", "x").who)
        answer = ask_tls(world.https, "shared.test", "shared.test")
        self.assertEqual(("plain", "yes"), (answer.who, answer.headers["x-old"]))

    def test_tls_to_tasks(self) -> None:
        """TLS towards the tasks: verified where that is wanted, and then refused where it does not fit."""
        world, authority = self.world()
        stranger = Authority(world.directory, "stranger.test")
        world.settings = evolve(world.settings, system_ca=authority.path)
        wrong = authority.issue("wrong.pem", "wrong.in")
        rows = (
            ("any", "true", stranger.issue("any.pem", "else.in"), "any"),
            ("system", "verify", authority.issue("system.pem", "system.in"), "system"),
            ("file", authority.path, authority.issue("file.pem", "file.in"), "file"),
            ("nobody", stranger.path, authority.issue("nobody.pem", "nobody.in"), "503"),
            ("name", "verify", wrong, "503"),
            ("signer", "verify", stranger.issue("signer.pem", "signer.in"), "503"),
        )
        for name, wish, certificate, _ in rows:
            labels = {
                "0_VHOST": f"*.{name}.in,{name}.in",
                "0_BACKEND_SSL": wish,
                "0_BACKEND_EXTRA": "  retries 0",
            }
            world.app(name, labels, secured=certificate)
        well = authority.issue("checked.pem", "checked.in")
        for name, certificate in (("checked", well), ("unwell", wrong)):
            labels = {"0_VHOST": f"{name}.in", "0_BACKEND_SSL": authority.path}
            world.app(name, labels, secured=certificate, health_checks=(CHECK,))
        self.start(world)
        found = [(name, ask(world.http, f"{name}.in").who) for name, *_ in rows]
        self.assertEqual([(name, expected) for name, *_, expected in rows], found)
        self.assertEqual("checked", ask(world.http, "checked.in").who)
        self.assertEqual(["UP", "DOWN"], states(world, ["checked", "unwell"], ["UP", "DOWN"]))

    def test_http2_to_tasks(self) -> None:
        """HTTP/2 towards the tasks, in the clear and over TLS; the old way where they want it."""
        world, authority = self.world()
        end = authority.issue("end.pem", "end.test")
        behind = World(self.binary)
        self.addCleanup(behind.end)
        clear, secured = behind.http, behind.https
        (behind.directory / "haproxy.cfg").write_text(
            f"defaults\n  mode http\n  timeout client 5s\n  timeout connect 1s\n  timeout server 5s\n"
            f"frontend clear\n  bind 127.0.0.1:{clear} proto h2\n"
            f"  bind 127.0.0.1:{secured} ssl crt {end} alpn h2,http/1.1\n"
            '  http-request return status 200 content-type application/json lf-string "{\\"who\\": \\"%HV\\"}"\n'
        )
        process = subprocess.Popen([self.binary, "-db", "-q", "-f", str(behind.directory / "haproxy.cfg")])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for name, port, labels in (
            ("clear", clear, {"0_BACKEND_PROTO": "h2"}),
            ("agreed", secured, {"0_BACKEND_PROTO": "h2", "0_BACKEND_SSL": "true"}),
            ("old", secured, {"0_BACKEND_PROTO": "h1", "0_BACKEND_SSL": "true"}),
        ):
            world.app(name, {"0_VHOST": f"{name}.in", **labels}, health_checks=(CHECK,))
            task = Task(name, host="127.0.0.1", ports=(port,), state="TASK_RUNNING")
            world.apps[-1] = changed(world.apps[-1], tasks=(task,))
        self.start(world)
        self.assertEqual(["UP"] * 3, states(world, ["clear", "agreed", "old"], ["UP"] * 3))
        self.assertEqual(
            ["HTTP/2.0", "HTTP/2.0", "HTTP/1.1"],
            [ask(world.http, f"{name}.in").who for name in ("clear", "agreed", "old")],
        )


def session_of(
    context: ssl.SSLContext, port: int, host: str, session: ssl.SSLSession | None = None
) -> ssl.SSLSession | None:
    """Return the TLS session of one request, which may resume an older one. Raise `OSError` on failure."""
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        connection = context.wrap_socket(plain, server_hostname=host, session=session)
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        heard = b"".join(iter(lambda: connection.recv(65536), b""))
        if not heard.startswith(b"HTTP/1.1 200"):
            raise OSError(heard[:40])
        return connection.session


def hello_in_pieces(port: int, sni: str) -> str:
    """Return the name in the served certificate if the ClientHello arrives byte by byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = client().wrap_bio(incoming, outgoing, server_hostname=sni)
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = True
        while True:
            try:
                talk.do_handshake()
                break
            except ssl.SSLWantReadError:
                data = outgoing.read()
                for start in range(0, len(data), 40 if first else len(data)):
                    plain.sendall(data[start : start + (40 if first else len(data))])
                first = False
                incoming.write(plain.recv(65536))
        return common_name(talk.getpeercert(binary_form=True))


def server_status(world: World, name: str) -> str:
    """Return the state of an app's server in HAProxy."""
    with socket.create_connection(("127.0.0.1", world.stats), 5) as plain:
        plain.sendall(b"GET /haproxy?stats;csv HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: plain.recv(65536), b"")).decode()
    for line in text.splitlines():
        cells = line.split(",")
        if cells[0].startswith(f"{name}_") and len(cells) > 17 and cells[1] not in ("FRONTEND", "BACKEND"):
            return cells[17].split(" ")[0]
    return "missing"


on_each(TlsMixin, globals())
