"""
The labels that no other load balancer of Marathon's has, by real requests through each HAProxy that is here.

``MARATHON_LB_TEST_HAPROXY=/path/to/haproxy:/another`` adds others.
"""

from __future__ import annotations

import http.client
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, Port, Task
from marathonlb.routing.offers import Offers
from marathonlb.routing.services.model import Service
from tests.integration.haproxies import free_port, on_each
from tests.integration.worlds import Answer, World, ask

REQUEST = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


class Cluster(World):
    """A world whose apps are offered as in a cluster, deployment groups joined."""

    def services(self) -> list[Service]:
        offers = Offers(self.settings, PER_APP_NAMES, lambda host: host)
        apps = {app.id: app for app in self.apps}
        offers.update(apps, apps)
        self.problems = tuple(offers.problems())
        return list(offers.services())

    def listener(self, name: str, labels: dict[str, str]) -> socket.socket:
        """An app whose only task is this listening socket, which answers nothing by itself."""
        heard = socket.create_server(("127.0.0.1", 0))
        heard.settimeout(5)
        self.ports[name] = free_port()
        texts = {"0_BIND_ADDR": "127.0.0.1", **labels}
        task = Task(f"{name}.0", host="127.0.0.1", ports=(heard.getsockname()[1],), state="TASK_RUNNING")
        labels = {f"HAPROXY_{label}": text for label, text in texts.items()}
        self.apps.append(App(f"/{name}", labels, ports=(Port(self.ports[name]),), tasks=(task,)))
        return heard


@contextmanager
def connected(port: int, said: bytes = REQUEST) -> Iterator[socket.socket]:
    """A connection on which something was said."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(said)
        yield connection


def send(port: int, method: str, source: str = "127.0.0.1", **headers: str) -> Answer:
    """A request with this method, from this address; ``X_Y`` becomes ``X-Y``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 5, source_address=(source, 0))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/", headers={"Host": "a.test", **named})
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    answer = Answer(response.status, found, response.read())
    connection.close()
    return answer


def cross(headers: dict[str, str]) -> dict[str, str]:
    """Of an answer's headers those that a browser reads about other origins."""
    prefix = "access-control-allow-"
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


class OwnLabelsMixin:
    """The effect of each label; a subclass for each binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    assertLess: Any
    assertRaises: Any
    addCleanup: Any

    def cluster(self, **options: Any) -> Cluster:
        """An empty cluster that ends with the test."""
        made = Cluster(self.binary, **options)
        self.addCleanup(made.end)
        return made

    def serve(self, cluster: Cluster) -> Cluster:
        """The cluster once it serves, without a warning from HAProxy about its configuration."""
        cluster.start()
        self.assertEqual(cluster.problems, ())
        self.assertEqual(cluster.check(), "")
        return cluster

    def test_rate_limit(self) -> None:
        """Past the limit a client is answered 429, and no other client is, nor any other service."""
        cluster = self.cluster()
        cluster.app("limited", {"0_VHOST": "a.test", "0_RATE_LIMIT": "3/m", "0_STICKY": "true"})
        cluster.app("free", {"0_VHOST": "b.test"})
        self.serve(cluster)
        statuses = [send(cluster.http, "GET").status for _ in range(5)]
        self.assertEqual(statuses, [200, 200, 200, 429, 429])
        self.assertEqual(ask(cluster.ports["limited"], "a.test").status, 429)
        self.assertEqual(send(cluster.http, "GET", "127.0.0.2").status, 200)
        self.assertEqual({ask(cluster.http, "b.test").status for _ in range(5)}, {200})

    def test_rate_within_a_second(self) -> None:
        """A limit by the second lets the client in again after a second or two."""
        cluster = self.cluster()
        cluster.app("limited", {"0_VHOST": "a.test", "0_RATE_LIMIT": "2/s"})
        self.serve(cluster)
        statuses = {send(cluster.http, "GET").status for _ in range(20)}
        self.assertEqual(statuses, {200, 429})
        sleep(2.1)  # refused requests count, too: a client has to keep quiet for a while
        self.assertEqual(send(cluster.http, "GET").status, 200)

    def test_maintenance(self) -> None:
        """A page instead of the service, on all its ways in, before it is asked for a password; others serve on."""
        cluster = self.cluster()
        labels = {"0_VHOST": "a.test", "0_MAINTENANCE": "true", "0_AUTH": "r:u:$1$x$y"}
        cluster.app("down", labels)
        cluster.app("up", {"0_VHOST": "b.test"})
        cluster.app("plain", {"0_MAINTENANCE": "yes"})
        self.serve(cluster)
        for port in (cluster.http, cluster.ports["down"]):
            answer = send(port, "GET")
            self.assertEqual((answer.status, answer.headers["content-type"][:9]), (503, "text/html"))
            self.assertIn(b"maintenance", answer.body)
            self.assertIn("retry-after", answer.headers)
        self.assertEqual(ask(cluster.http, "b.test").who, "up")
        with connected(cluster.ports["plain"]) as connection:
            try:
                self.assertEqual(connection.recv(100), b"")
            except ConnectionResetError:
                return

    def test_maintenance_page(self) -> None:
        """The operator's own page takes the place of ours."""
        page = '  http-request return status 503 content-type text/plain string "back at {appId}" if TRUE\n'
        cluster = self.cluster(environment={"HAPROXY_BACKEND_MAINTENANCE": page})
        cluster.app("down", {"0_VHOST": "a.test", "0_MAINTENANCE": "true"})
        self.serve(cluster)
        self.assertEqual(send(cluster.http, "GET").body, b"back at /down")

    def test_cors(self) -> None:
        """A preflight is answered without the app, the headers are set for named origins alone, errors included."""
        cluster = self.cluster()
        origins = "https://app.test, https://*.wild.test"
        cluster.app("api", {"0_VHOST": "a.test", "0_CORS": origins, "0_AUTH": "r:u:$1$x$y"})
        self.serve(cluster)
        for origin in ("https://app.test", "https://x.y.wild.test", "HTTPS://APP.test"):
            asked = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "x-a, x-b"}
            answer = send(cluster.http, "OPTIONS", Origin=origin, **asked)
            self.assertEqual(answer.status, 204)
            found = cross(answer.headers)
            self.assertIn("PUT", found.pop("methods"))
            wanted = {"origin": origin, "credentials": "true", "headers": "x-a, x-b"}
            self.assertEqual(found, wanted)
            answer = send(cluster.http, "GET", Origin=origin)
            self.assertEqual(answer.status, 401)
            self.assertEqual(cross(answer.headers), {"origin": origin, "credentials": "true"})
            self.assertEqual(answer.headers["vary"], "Origin")
        for origin in (
            "http://app.test",
            "https://app.test.evil",
            "https://xapp.test",
            "https://wild.test",
            "null",
        ):
            self.assertEqual(cross(send(cluster.http, "GET", Origin=origin).headers), {})
            preflight = send(cluster.http, "OPTIONS", Origin=origin, Access_Control_Request_Method="PUT")
            self.assertEqual(preflight.status, 401)
        self.assertEqual(cross(send(cluster.http, "GET").headers), {})

    def test_cors_for_all(self) -> None:
        """``*`` lets any origin read, without credentials; an OPTIONS that is no preflight is the app's."""
        cluster = self.cluster()
        cluster.app("api", {"0_VHOST": "a.test", "0_CORS": "*"})
        self.serve(cluster)
        answer = send(cluster.http, "GET", Origin="https://any.test")
        self.assertEqual((answer.who, cross(answer.headers)), ("api", {"origin": "https://any.test"}))
        self.assertEqual(send(cluster.http, "OPTIONS", Origin="https://any.test").status, 501)

    def test_timeouts(self) -> None:
        """A server that is silent costs 504 after the label's time, a silent tunnel ends after its own."""
        cluster = self.cluster()
        silent = cluster.listener("silent", {"0_VHOST": "a.test", "0_TIMEOUT_SERVER": "100ms"})
        tunnel = cluster.listener("tunnel", {"0_MODE": "http", "0_TIMEOUT_TUNNEL": "100ms"})
        plain = cluster.listener("plain", {"0_TIMEOUT_SERVER": "100ms", "0_TIMEOUT_TUNNEL": "100ms"})
        self.serve(cluster)
        begun = monotonic()
        with silent:
            self.assertEqual(send(cluster.http, "GET").status, 504)
        upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: word\r\n\r\n"
        with tunnel, connected(cluster.ports["tunnel"], upgrade) as client, tunnel.accept()[0] as server:
            server.recv(1000)
            server.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: word\r\n\r\n"
            )
            self.assertEqual(client.recv(12), b"HTTP/1.1 101")
            while client.recv(1000):
                pass
        with plain, connected(cluster.ports["plain"]) as client, plain.accept()[0]:
            self.assertEqual(client.recv(100), b"")
        self.assertLess(monotonic() - begun, 20)  # the default is 30 s

    def test_maxconn(self) -> None:
        """No server has more connections at once than the label says; what is more waits for its turn."""
        cluster = self.cluster()
        listener = cluster.listener("busy", {"0_VHOST": "a.test", "0_MAXCONN": "1"})
        self.serve(cluster)
        with listener, connected(cluster.http) as first, connected(cluster.http) as second:
            server, _ = listener.accept()
            listener.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                listener.accept()
            listener.settimeout(5)
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            with server:
                server.recv(1000)
                server.sendall(answer)
            with listener.accept()[0] as server:
                server.recv(1000)
                server.sendall(answer)
            for each in (first, second):
                self.assertEqual(each.recv(12), b"HTTP/1.1 200")

    def test_weight(self) -> None:
        """Two apps of a group share the traffic by their weights; who names none has 100."""
        for weight, wanted in (("25", 8), ("100", 20), ("0", 0)):
            cluster = self.cluster()
            group = {"DEPLOYMENT_GROUP": "shop", "0_VHOST": "a.test"}
            cluster.app("blue", {**group, "DEPLOYMENT_STARTED_AT": "2026-01-01T00:00:00Z"}, instances=1)
            dial = {"DEPLOYMENT_STARTED_AT": "2026-01-02T00:00:00Z", "0_WEIGHT": weight}
            cluster.app("green", {**group, **dial}, instances=1)
            self.serve(cluster)
            served = Counter(ask(cluster.http, "a.test").who for _ in range(40))
            self.assertEqual(served, Counter({"blue": 40 - wanted, "green": wanted}), weight)
            cluster.end()

    def test_extras(self) -> None:
        """Extra text stands beside the defaults, with the service's and the server's variables."""
        cluster = self.cluster()
        cluster.app(
            "more",
            {
                "0_VHOST": "a.test",
                "0_FRONTEND_EXTRA": "  http-request set-header X-Front {frontend}",
                "0_BACKEND_EXTRA": "  http-request set-header X-Back {backend}\n  fullconn 10",
                "0_SERVER_EXTRA": "\n   maxconn 10\n   pool-max-conn 0 # {serverName}\n",
            },
        )
        cluster.app("off", {"0_VHOST": "b.test", "0_SERVER_EXTRA": "disabled"})
        self.serve(cluster)
        port = cluster.ports["more"]
        headers = ask(port, "a.test").said["headers"]
        self.assertEqual((headers["x-front"], headers["x-back"]), (f"more_{port}_in", f"more_{port}"))
        self.assertNotIn("x-front", ask(cluster.http, "a.test").said["headers"])
        self.assertEqual(ask(cluster.http, "b.test").status, 503)

    def test_extra_for_all(self) -> None:
        """The operator's extra text holds for each service that has none of its own."""
        cluster = self.cluster(
            environment={"HAPROXY_BACKEND_EXTRA": "  http-request set-header X-All {appId}"}
        )
        cluster.app("one", {"0_VHOST": "a.test"})
        cluster.app("two", {"0_VHOST": "b.test", "0_BACKEND_EXTRA": ""})
        self.serve(cluster)
        self.assertEqual(ask(cluster.http, "a.test").said["headers"]["x-all"], "/one")
        self.assertNotIn("x-all", ask(cluster.http, "b.test").said["headers"])


on_each(OwnLabelsMixin, globals())
