"""The model of the routing against a real HAProxy: the same requests to both."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import load_templates
from marathonlb.routing.explain.router_model import odd_host, route
from marathonlb.routing.names import backend_name
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.integration.haproxies import MORE, PACKAGE, WHEEL, free_port

BINARIES = tuple(binary for binary in (PACKAGE, WHEEL, *MORE) if binary)

HOSTS = ("a.example.com", "b.example.com", "x.b.example.com", "c.d.example.com", "example.com", "other.test")
WILDCARDS = ("*.example.com", "*.b.example.com", "*.test")
PATHS = ("", "/", "/cart", "/cart/", "/Cart/new", "/CART", "/c")

ODD = (
    "user@a.example.com",
    "user:secret@a.example.com:80",
    "a b.example.com",
    "a\tb.example.com",
    "\u00fc.example.com",
    "a.example.com,b.example.com",
    "other.test/cart",
    "other.test?x",
    "other.test#x",
    "a.example.com\\x",
    "a<b.example.com",
    "a\x7f.example.com",
    "a\0.example.com",
)
"""Host headers that no client of good will sends; older HAProxies would let them pass."""

REQUESTS = tuple(
    (host, path)
    for host in (
        *HOSTS,
        "A.Example.COM",
        "a.example.com:8443",
        "b.example.com:",
        "y.x.b.example.com",
        "deep.test:1",
        "test",
        "xexample.com",
        "a.example.com.",
        "A.example.com.:80",
        "y.b.example.com..",
        "a.example.com:80:90",
        "a.example.com:abc",
        "a.example.com:80.",
        "..a.example.com",
        "%61.example.com",
        "a.example.com;",
        ".",
        "[::1]:80",
        "::1",
        "",
        *ODD,
    )
    for path in (
        "/",
        "/c",
        "/cart",
        "/cart/new?x=/cart",
        "/Cart/new/thing",
        "/CART",
        "/cartoon",
        "/%63art",
        "//cart",
    )
)


def service(
    number: int, app_id: str = "", port: int = 0, overrides: Mapping[str, str] | None = None, **more: object
) -> Service:
    """A service whose backend answers its own name, whatever it is asked."""
    app_id, port = app_id or f"/app{number}", port or 10000 + number
    backend = backend_name(app_id, port)
    answer = f"  http-request return status 200 content-type text/plain string {backend}\n"
    texts = {"BACKEND_HTTP_OPTIONS": answer, **(overrides or {})}
    return evolve(Service(app_id, 0, port, backend, "http", overrides=texts), binds_port=False, **more)  # type: ignore[arg-type]


TABLE = (
    service(1, hosts=("a.example.com",)),
    service(2, hosts=("a.example.com",), paths=("/cart",)),
    service(3, hosts=("a.example.com", "b.example.com"), paths=("/cart/new",)),
    service(4, hosts=("*.example.com",)),
    service(5, hosts=("*.b.example.com",), paths=("/c",)),
    service(6, hosts=("c.d.example.com",), paths=("/CART",), ignore_path_case=True),
    service(7, hosts=("other.test",), weight=3),
    service(8, hosts=("*.test",), paths=("/cart",), weight=7),
)


OVERRIDES = {
    "HTTP_FRONTEND_ACL": (
        "  acl host_{cleanedUpHostname} hdr(host),host_only -i {hostname}\n"
        "  use_backend {backend} if host_{cleanedUpHostname}\n"
    )
}
"""As an operator of long ago wrote it."""

ALIKE = (
    service(1, "/x", 7, hosts=("a.example.com",), weight=1),
    service(2, "/com/x", 7, hosts=("a.example",), weight=2),
    service(3, "/y", 7, hosts=("b.example.com",), paths=("/c", "/cart"), weight=1),
    service(4, "/y/7", 1, hosts=("b.example.com",), paths=("/Cart",), weight=2),
    service(5, "/y/8", 2, hosts=("other.test",), paths=("/",), ignore_path_case=True),
    service(6, "/z", hosts=("c.d.example.com",), overrides=OVERRIDES, since="2"),
    service(7, "/com/z", hosts=("c.d.example",), overrides=OVERRIDES, since="1", weight=1),
)
"""Apps whose owners chose hosts, ids and ports so that names made of them look like those of other apps."""


def cluster(seed: int) -> tuple[Service, ...]:
    """Some services that get into each other's way."""
    chance = random.Random(seed)
    services = []
    for number in range(1, 9):
        hosts = chance.sample(HOSTS + WILDCARDS, chance.randint(1, 3))
        paths = [path for path in chance.sample(PATHS, chance.randint(1, 2)) if path]
        services.append(
            service(
                number,
                chance.choice(("", f"/team/app{number}")),
                hosts=tuple(hosts),
                paths=tuple(paths),
                ignore_path_case=bool(paths) and chance.random() < 0.2,
                weight=chance.choice((None, None, None, None, -1, 0, 1, 5)),
                since=chance.choice(("2020", "2021", "2022")),
            )
        )
    return tuple(services)


class Asked:
    """A HAProxy that runs a configuration in the foreground, and one connection to it after another."""

    def __init__(self, binary: str, directory: Path, text: str, port: int) -> None:
        config = directory / "haproxy.cfg"
        config.write_text(text, encoding="utf-8")
        self._port = port
        with (directory / "haproxy.log").open("wb") as log:
            self._process = subprocess.Popen([binary, "-db", "-f", str(config)], stdout=log, stderr=log)
        for _ in range(200):
            if self._process.poll() is not None:
                raise AssertionError((directory / "haproxy.log").read_text())
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def answers(self, requests: Iterable[tuple[str, str]]) -> Iterator[str]:
        """For each Host header and target the backend that answered; empty where none did."""
        for host, target in requests:
            with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
                connection.sendall(
                    f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
                )
                heard = b""
                while part := connection.recv(65536):
                    heard += part
            head, _, body = heard.partition(b"\r\n\r\n")
            yield body.decode().strip() if head.startswith(b"HTTP/1.1 200") else head.split()[1].decode()

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()


class ModelTests(SynchronousTestCase):
    """The routing model, compared with HAProxy."""

    skip = None if BINARIES else "there is no haproxy"

    def render(self, services: Iterable[Service], *, maps: bool) -> tuple[Rendered, Settings, Path]:
        directory = Path(self.mktemp()).resolve()
        directory.mkdir(parents=True)
        settings = Settings(
            haproxy_map=maps,
            haproxy_config=str(directory / "haproxy.cfg"),
            state_dir=f"/tmp/mlb-model-{free_port()}",
            bind_http=f"127.0.0.1:{free_port()}",
            bind_appid=f"127.0.0.1:{free_port()}",
            bind_stats=f"127.0.0.1:{free_port()}",
            ssl_certs=(),
        )
        Path(settings.state_dir).mkdir()
        self.addCleanup(_remove, Path(settings.state_dir))
        rendered = Renderer(settings, load_templates("/nonexistent", {})).render(services)
        for name, text in rendered.config.map_texts().items():
            (directory / name).write_text(text, encoding="utf-8")
        return rendered, settings, directory

    def compare(
        self,
        services: Iterable[Service],
        requests: Iterable[tuple[str, str]] = REQUESTS,
        *,
        maps: bool,
        binary: str = "",
    ) -> list[str]:
        """Ask both, and return what HAProxy answered."""
        rendered, settings, directory = self.render(services, maps=maps)
        port = int(settings.bind_http.rpartition(":")[2])
        haproxy = Asked(binary or BINARIES[0], directory, rendered.config.text(str(directory)), port)
        try:
            said = list(haproxy.answers(requests))
        finally:
            haproxy.end()
        for (host, target), answer in zip(requests, said, strict=True):
            match = route(rendered.rules, host, target.partition("?")[0])
            expected = match.service.backend if match else "400" if odd_host(host) else "503"
            self.assertEqual(expected, answer, f"Host {host!r}, {target}, maps={maps}")
        return said

    def test_table(self) -> None:
        """Exact names, wildcards, prefixes, weights, case and ports are as the model says, by maps and by ACLs."""
        for binary in BINARIES:
            by_maps = self.compare(TABLE, maps=True, binary=binary)
            self.assertEqual(by_maps, self.compare(TABLE, maps=False, binary=binary))
            self.assertLessEqual({each.backend for each in TABLE} | {"400", "503"}, set(by_maps))
            answered = dict(zip(REQUESTS, by_maps, strict=True))
            self.assertEqual({answered[host, "/cart"] for host in ODD}, {"400"})
            self.assertEqual(answered["a.example.com.", "/cart"], answered["a.example.com", "/cart"])

    def test_names_alike(self) -> None:
        """Nobody reaches or takes what is another app's by names that are written alike."""
        asked = {
            ("a.example.com", "/"): "x_7",
            ("a.example", "/"): "com_x_7",
            ("b.example.com", "/cart"): "y_7",
            ("b.example.com", "/Cart"): "y_7_1",
            ("b.example.com", "/other"): "503",
            ("other.test", "/cart"): "y_8_2",
            ("c.d.example.com", "/"): "z_10006",
            ("c.d.example", "/"): "com_z_10007",
        }
        for binary in BINARIES:
            for maps in (True, False):
                self.assertEqual(
                    dict(zip(asked, self.compare(ALIKE, asked, maps=maps, binary=binary), strict=True)), asked
                )

    def test_clusters(self) -> None:
        """So it is for services thrown together at random."""
        for seed in range(6):
            services = cluster(seed)
            self.assertEqual(self.compare(services, maps=True), self.compare(services, maps=False), services)


def _remove(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
