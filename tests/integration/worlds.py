"""A small cluster behind a real HAProxy: apps, their processes, and requests to them."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from marathonlb.config.render import SESSIONS_SINCE, Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text import named_defaults
from marathonlb.marathon.model import App, Port, Task
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.integration.haproxies import free_port
from tests.integration.settling import version


class _Handler(BaseHTTPRequestHandler):
    """Responds with its name and the request as JSON; ``X-Answer-Location`` makes it redirect."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        location = self.headers.get("X-Answer-Location")
        headers = {name.lower(): value for name, value in self.headers.items()}
        said = {"who": self.server.word, "path": self.path, "headers": headers}  # type: ignore[attr-defined]
        body = json.dumps(said).encode()
        status = 302 if location else 200
        if self.path == "/up" and not self.server.well:  # type: ignore[attr-defined]
            status = 500
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the test reports failures."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors: HAProxy's health checks close connections early."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class Process:
    """
    A task's process: an HTTP server on the loopback that responds with its name.

    :param secured: the file of a certificate; the server uses TLS with it.
    """

    def __init__(self, word: str, secured: str = "", address: str = "127.0.0.1") -> None:
        self._server = (_Server6 if ":" in address else _Server)((address, 0), _Handler)
        if secured:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(secured)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.word, self._server.well = word, True  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def fall_sick(self) -> None:
        """Respond to health checks with 500."""
        self._server.well = False  # type: ignore[attr-defined]

    def end(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@frozen
class Answer:
    """A response of a process, with its JSON, or of HAProxy."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The JSON of the process."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def who(self) -> str:
        """The name of the process that responded, or the status if none did."""
        return str(self.said["who"]) if self.status == 200 else str(self.status)

    @property
    def location(self) -> str:
        """The ``Location`` of a redirect."""
        return self.headers.get("location", "")


def ask(
    port: int, host: str | None = None, path: str = "/", tls: str | None = None, **headers: str
) -> Answer:
    """
    Send one request on a new connection.

    :param tls: use TLS with this server name.
    :param headers: ``X_Y`` becomes ``X-Y``.
    """
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = trusting(["http/1.1"]).wrap_socket(plain, server_hostname=tls) if tls else plain
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**({"Host": host} if host is not None else {}), **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, found, response.read())
        connection.close()
    return answer


def trusting(protocols: list[str]) -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate and offers these protocols."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context


def certificate(path: Path, *names: str) -> str:
    """Write a new certificate with its key to a file; return the path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return str(path)


class World:
    """
    Apps behind one HAProxy; every app has processes and a service port on the loopback.

    :param options: `Settings` that differ from the defaults.
    """

    def __init__(self, binary: str, **options: Any) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.http, self.https, self.app_id, self.stats = (free_port() for _ in range(4))
        values: dict[str, Any] = {
            "haproxy": binary,
            "haproxy_config": str(self.directory / "haproxy.cfg"),
            "state_dir": str(self.directory),
            "bind_http": f"127.0.0.1:{self.http}",
            "bind_https": f"127.0.0.1:{self.https}",
            "bind_appid": f"127.0.0.1:{self.app_id}",
            "bind_stats": f"127.0.0.1:{self.stats}",
            "ssl_certs": (),
            "templates": str(self.directory / "templates"),
            **options,
        }
        self.settings = Settings(**values)
        (self.directory / "server-state").write_text("1\n")  # as the controller leaves it, without a server
        self.apps: list[App] = []
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.problems: tuple[Problem, ...] = ()
        self._running: subprocess.Popen[bytes] | None = None

    def app(
        self,
        name: str,
        labels: dict[str, str] | None = None,
        tasks: int = 1,
        words: tuple[str, ...] = (),
        secured: str = "",
        address: str = "127.0.0.1",
        **more: Any,
    ) -> None:
        """
        Add an app ``/name`` with a number of tasks.

        :param labels: the labels, named without ``HAPROXY_``.
        :param words: the names of the processes behind its ports; the app's name if it has one port.
        :param secured: the file of a certificate; the processes use TLS with it.
        :param address: the address of the tasks.
        """
        words = words or (name,)
        made = []
        for number in range(tasks):
            called = [f"{word}.{number}" if tasks > 1 else word for word in words]
            processes = {word: Process(word, secured, address) for word in called}
            self.processes |= processes
            ports = tuple(process.port for process in processes.values())
            made.append(Task(f"{name}.{number}", host=address, ports=ports, state="TASK_RUNNING"))
        self.ports |= {word: free_port() for word in words}
        texts = {f"{index}_BIND_ADDR": "127.0.0.1" for index in range(len(words))} | (labels or {})
        self.apps.append(
            App(
                f"/{name}",
                {f"HAPROXY_{label}": text for label, text in texts.items()},
                ports=tuple(Port(self.ports[word]) for word in words),
                tasks=tuple(made),
                **more,
            )
        )

    def services(self) -> list[Service]:
        """Return the services of the apps, in the order of the apps."""
        found = [services_of(app, self.settings, PER_APP_NAMES, lambda host: host) for app in self.apps]
        self.problems = tuple(problem for each in found for problem in each.problems)
        return [service for each in found for service in each.services]

    def render(self) -> Rendered:
        """Render the configuration, and write its files."""
        templates = load_templates(self.settings.templates, self.settings.environment)
        renderer = Renderer(self.settings, templates)
        if version(self.settings.haproxy) >= named_defaults.SINCE:
            renderer.write_defaults()
        if version(self.settings.haproxy) >= SESSIONS_SINCE:
            renderer.trust_sessions()
        rendered = renderer.render(self.services())
        self.problems += rendered.problems
        for name, text in rendered.config.map_texts().items():
            (self.directory / name).write_text(text, encoding="utf-8")
        text = rendered.config.text(str(self.directory))
        (self.directory / "haproxy.cfg").write_text(text, encoding="utf-8")
        return rendered

    def check(self) -> str:
        """Return the output of ``haproxy -c``, without its message of success."""
        command = [self.settings.haproxy, "-c", "-f", self.settings.haproxy_config]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        said = (found.stdout + found.stderr).replace("Configuration file is valid", "").strip()
        return said or ("" if found.returncode == 0 else f"status {found.returncode}")

    def start(self) -> None:
        """Render the configuration, and start HAProxy."""
        self.render()
        log = self.directory / "haproxy.log"
        with log.open("wb") as file:
            command = [self.settings.haproxy, "-db", "-f", self.settings.haproxy_config]
            self._running = subprocess.Popen(command, stdout=file, stderr=file)
        for _ in range(500):
            if self._running.poll() is not None:
                raise AssertionError(log.read_text() + (self.directory / "haproxy.cfg").read_text())
            try:
                with socket.create_connection(("127.0.0.1", self.stats), 1) as connection:
                    # It takes connections here before its other listeners are bound, and answers after that.
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    connection.settimeout(20)
                    connection.recv(1)
                    return
            except OSError:
                time.sleep(0.01)
        raise AssertionError("HAProxy does not listen after 5 s")

    def table(self, port: int, rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Return the rows (Host header, path, name of the process) with the actual responses."""
        return [(host, path, ask(port, host, path).who) for host, path, _ in rows]

    def end(self) -> None:
        """Stop HAProxy and the processes, and delete the directory."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        for process in self.processes.values():
            process.end()
        shutil.rmtree(self.directory, ignore_errors=True)
