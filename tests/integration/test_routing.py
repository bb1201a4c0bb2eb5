"""
What a client sees: real requests through a real HAProxy that runs what we render, on each HAProxy that is here.

``MARATHON_LB_TEST_HAPROXY=/path/to/haproxy:/another`` adds others.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import time
from typing import Any
from unittest import SkipTest

from marathonlb.marathon.model import HealthCheck
from tests.integration.haproxies import free_port, on_each
from tests.integration.worlds import World, ask, certificate, trusting
from tests.routing.apps import changed

PASSWORD = "$1$salt$qJH7.N4xYta3aEG/dfqo/0"
"""crypt(3) of the word ``password``, light enough that HAProxy 3.4 does not warn of it on a busy machine."""


def basic(word: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(word.encode()).decode()


class RoutingMixin:
    """The requests; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    addCleanup: Any

    def world(self, **options: Any) -> World:
        """An empty world that ends with the test."""
        made = World(self.binary, **options)
        self.addCleanup(made.end)
        return made

    def served(self, world: World, *problems: str) -> World:
        """The world once it serves, with no other problems than these labels."""
        world.start()
        self.assertEqual([problem.label for problem in world.problems], list(problems))
        return world

    def test_hosts_and_paths(self) -> None:
        """Maps and ACLs answer alike: host, case, port, longest path, wildcard, weight, ignored case, overrides."""
        rows = (
            ("one.example.com", "/", "one"),
            ("ONE.example.COM", "/", "one"),
            ("one.example.com:8080", "/", "one"),
            ("one.example.com", "/cart", "cart"),
            ("one.example.com", "/cart/", "cart"),
            ("one.example.com", "/cartoon?a=b", "cart"),
            ("one.example.com", "/Cart", "one"),
            ("one.example.com", "/cart/new/1?x=/cart", "cart-new"),
            ("two.example.com", "/cart/new", "cart-new"),
            ("two.example.com", "/cart", "wild"),
            ("three.example.com", "/", "several"),
            ("four.example.com", "/", "several"),
            ("deep.sub.example.com", "/", "wild"),
            ("other.example.com", "/cart", "wild"),
            ("x.sub.example.com", "/deep/x", "wild-path"),
            ("example.com", "/", "503"),
            ("xexample.com", "/", "503"),
            ("weight.test", "/a/b", "heavy"),
            ("weight.test", "/", "light"),
            ("weight.test", "/a/b/c", "heavy"),
            ("case.test", "/API/v1", "case"),
            ("case.test", "/api", "case"),
            ("case.test", "/other", "case-rest"),
            ("special.test", "/", "special"),
            ("special.test", "/part", "part"),
            ("odd.test", "/a$b'c\"d%20e", "odd"),
            ("odd.test", "/a", "503"),
            ("unknown.test", "/", "503"),
            ("", "/", "503"),
        )
        acl = "  acl mine hdr(host) -i {hostname}\n  use_backend {backend} if mine { path / }\n"
        for maps in (True, False):
            world = self.world(haproxy_map=maps)
            world.app("one", {"0_VHOST": "One.EXAMPLE.com"})
            world.app("cart", {"0_VHOST": "one.example.com", "0_PATH": "/cart"})
            world.app("cart-new", {"0_VHOST": "one.example.com,two.example.com", "0_PATH": "/cart/new"})
            world.app("several", {"0_VHOST": "three.example.com, four.example.com"})
            world.app("wild", {"0_VHOST": "*.example.com"})
            world.app("wild-path", {"0_VHOST": "*.sub.example.com", "0_PATH": "/deep"})
            world.app("heavy", {"0_VHOST": "weight.test", "0_PATH": "/a", "0_BACKEND_WEIGHT": "5"})
            world.app("deeper", {"0_VHOST": "weight.test", "0_PATH": "/a/b"})
            world.app("light", {"0_VHOST": "weight.test"})
            world.app("case", {"0_VHOST": "case.test", "0_PATH": "-i /Api"})
            world.app("case-rest", {"0_VHOST": "case.test"})
            world.app("special", {"0_VHOST": "special.test", "0_HTTP_FRONTEND_ACL": acl})
            world.app("part", {"0_VHOST": "special.test", "0_PATH": "/part"})
            world.app("odd", {"0_VHOST": "odd.test", "0_PATH": "/a$b'c\"d%20e"})
            self.served(world)
            self.assertEqual(world.table(world.http, rows), list(rows), f"maps: {maps}")

    def test_override_that_catches_more(self) -> None:
        """An override with a negative weight takes what nobody else has, whatever it matches, with maps and without."""
        acl = "  acl all_{cleanedUpHostname} req.hdr(host),host_only -m end {hostname}\n"
        acl += "  use_backend {backend} if all_{cleanedUpHostname}\n"
        for maps, weight in ((True, "-1"), (False, "-1"), (True, "-3"), (False, "-3")):
            star = "all" if weight == "-1" else "star"
            rows = (
                ("a.test", "/", "all"), ("other.a.test", "/", "all"), ("shop.a.test", "/", "shop"),
                ("api.a.test", "/v1", "api"), ("api.a.test", "/", "all"), ("x.dev.a.test", "/", star),
                ("a.test", "/part", "part"), ("x.test", "/", "else"),
            )  # fmt: skip
            world = self.world(haproxy_map=maps)
            world.app("all", {"0_VHOST": "a.test", "0_BACKEND_WEIGHT": weight, "0_HTTP_FRONTEND_ACL": acl})
            world.app("shop", {"0_VHOST": "shop.a.test"})
            world.app("api", {"0_VHOST": "api.a.test", "0_PATH": "/v1"})
            world.app("star", {"0_VHOST": "*.dev.a.test"})
            world.app("else", {"0_VHOST": "x.test"})
            world.app("part", {"0_VHOST": "a.test", "0_PATH": "/part"})
            self.served(world)
            self.assertEqual(world.table(world.http, rows), list(rows), f"maps: {maps}, {weight}")

    def test_which_ports(self) -> None:
        """A port is bound where its label says so, and one of another group or that is switched off is not."""
        world = self.world(groups=frozenset({"external"}))
        moved = free_port()
        world.app("moved", {"GROUP": "external", "0_PORT": str(moved), "0_MODE": "http"})
        world.app("two", {"GROUP": "internal", "0_GROUP": "other, external"}, words=("shown", "hidden"))
        world.app("off", {"GROUP": "external", "0_ENABLED": "no", "0_VHOST": "off.test"})
        world.app("none", {"0_VHOST": "none.test"})
        self.served(world)
        self.assertEqual(ask(moved, "x").who, "moved")
        self.assertEqual(ask(world.app_id, "x", X_Marathon_App_Id="/moved").who, "moved")
        self.assertEqual(ask(world.ports["shown"], "x").who, "shown")
        for name in ("moved", "hidden", "off", "none"):
            with self.refused():
                ask(world.ports[name], "x")
        self.assertEqual([ask(world.http, f"{name}.test").status for name in ("off", "none")], [503, 503])

    def test_balance(self) -> None:
        """The algorithm is the label's, with its arguments, else each server has its turn."""
        world = self.world()
        world.app("turns", {"0_VHOST": "turns.test"}, tasks=3)
        world.app("hashed", {"0_VHOST": "hashed.test", "0_BALANCE": "hdr(X-User)"}, tasks=3)
        self.served(world)
        self.assertEqual(len({ask(world.http, "turns.test").who for _ in range(9)}), 3)
        for user in ("joe", "jane"):
            self.assertEqual(len({ask(world.http, "hashed.test", X_User=user).who for _ in range(6)}), 1)

    def test_ports_of_one_app(self) -> None:
        """Two services of one app that share their first host keep their own other hosts and paths."""
        rows = (
            ("a.test", "/x", "left"), ("b.test", "/x", "left"), ("c.test", "/x", "503"),
            ("a.test", "/y", "right"), ("c.test", "/y", "right"), ("b.test", "/y", "503"),
        )  # fmt: skip
        for maps in (True, False):
            world = self.world(haproxy_map=maps)
            labels = {"0_VHOST": "a.test,b.test", "0_PATH": "/x", "1_VHOST": "a.test,c.test", "1_PATH": "/y"}
            world.app("both", labels, words=("left", "right"))
            self.served(world)
            self.assertEqual(world.table(world.http, rows), list(rows), f"maps: {maps}")

    def test_service_port(self) -> None:
        """A service port reaches its service whatever the host, plain TCP too, on the bind address alone."""
        world = self.world()
        world.app("web", {"0_VHOST": "a.test"})
        world.app("tcp")
        self.served(world)
        self.assertEqual(ask(world.ports["web"], "else.test").who, "web")
        self.assertEqual(ask(world.ports["tcp"], "any").who, "tcp")
        self.assertNotIn("x-forwarded-for", ask(world.ports["tcp"], "any").said["headers"])
        with self.refused():
            socket.create_connection(("127.0.0.2", world.ports["web"]), 1)

    def test_ipv6(self) -> None:
        """Tasks at IPv6 addresses are served and checked, and a service port is bound to one."""
        if not socket.has_dualstack_ipv6():
            raise SkipTest("this machine has no IPv6")
        world = self.world()
        check = HealthCheck(path="/up", interval_seconds=1)
        labels = {"0_VHOST": "a.test", "0_BIND_ADDR": "::1", "0_BACKEND_NETWORK_ALLOWED_ACL": "::1 127.0.0.1"}
        world.app("web", labels, address="::1", tasks=2, health_checks=(check,))
        self.served(world)
        self.assertEqual({ask(world.http, "a.test").who for _ in range(4)}, {"web.0", "web.1"})
        with socket.create_connection(("::1", world.ports["web"]), 5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            self.assertTrue(connection.recv(9999).startswith(b"HTTP/1.1 200 "))
        with self.refused():
            socket.create_connection(("127.0.0.1", world.ports["web"]), 1)

    def refused(self) -> Any:
        """A context in which a connection is refused."""
        return self.assertRaises(ConnectionRefusedError)  # type: ignore[attr-defined]

    def test_forwarded(self) -> None:
        """A process learns the client's address and the port it came by."""
        world = self.world()
        world.app("web", {"0_VHOST": "a.test"})
        self.served(world)
        headers = ask(world.http, "a.test").said["headers"]
        self.assertEqual(headers["x-forwarded-for"], "127.0.0.1")
        self.assertEqual(headers["x-forwarded-port"], str(world.http))
        self.assertEqual(headers["host"], "a.test")

    def test_redirect_to_https(self) -> None:
        """Plain requests are sent to https, with its port where it is not 443, path and query kept."""
        world = self.world()
        world.app(
            "secure", {"0_VHOST": "a.test,b.test", "0_REDIRECT_TO_HTTPS": "true", "0_AUTH": f"r:u:{PASSWORD}"}
        )
        world.app("part", {"0_VHOST": "c.test", "0_PATH": "/p", "0_REDIRECT_TO_HTTPS": "1"})
        world.app("plain", {"0_VHOST": "c.test"})
        self.served(world)
        for host in ("a.test", "b.test", "a.test:8080"):
            answer = ask(world.http, host, "/x%20y?z=1")
            self.assertEqual(answer.status, 301)
            name = host.partition(":")[0]
            self.assertEqual(answer.location, f"https://{name}:{world.https}/x%20y?z=1")
        self.assertEqual(ask(world.http, "c.test", "/p/x").status, 301)
        self.assertEqual(ask(world.http, "c.test", "/x").who, "plain")
        self.assertEqual(ask(world.ports["secure"], "a.test").who, "secure")

    def test_redirect_to_443(self) -> None:
        """The port of https is not named where it is 443."""
        world = self.world(bind_https="127.0.0.1:443")
        world.app("secure", {"0_VHOST": "a.test", "0_REDIRECT_TO_HTTPS": "true"})
        self.served(world)
        self.assertEqual(ask(world.http, "a.test:81", "/x").location, "https://a.test/x")

    def test_redirect_override(self) -> None:
        """An override of the redirect stands behind its host's ACL, and an empty one switches it off."""
        text = "  redirect location https://elsewhere.test if host_{cleanedUpHostname}\n"
        world = self.world()
        labels = {"0_VHOST": "a.test", "0_REDIRECT_TO_HTTPS": "true"}
        world.app("moved", {**labels, "0_BACKEND_REDIRECT_HTTP_TO_HTTPS": text})
        world.app("off", {**labels, "0_VHOST": "b.test", "0_BACKEND_REDIRECT_HTTP_TO_HTTPS": "false"})
        self.served(world)
        self.assertEqual(ask(world.http, "a.test").location, "https://elsewhere.test")
        self.assertEqual(ask(world.http, "b.test").who, "off")

    def test_tls(self) -> None:
        """The certificate follows the name in the handshake, the service follows the Host header."""
        world = self.world()
        paths = tuple(certificate(world.directory / f"{name}.pem", name) for name in ("a.test", "b.test"))
        world = self.again(world, ssl_certs=paths)
        world.app("a", {"0_VHOST": "a.test", "0_REDIRECT_TO_HTTPS": "true", "0_USE_HSTS": "true"})
        world.app("b", {"0_VHOST": "b.test", "0_PATH": "/p"})
        world.app("wild", {"0_VHOST": "*.test"})
        self.served(world)
        for name in ("a.test", "b.test"):
            self.assertIn(name.encode(), self.peer_certificate(world.https, name))
        answer = ask(world.https, "a.test", tls="a.test")
        self.assertEqual(answer.who, "a")
        self.assertEqual(answer.said["headers"]["x-forwarded-proto"], "https")
        self.assertEqual(answer.headers["strict-transport-security"], "max-age=15768000")
        rows = (
            ("a.test", "/", "a"),
            ("b.test", "/p", "b"),
            ("b.test:1", "/", "wild"),
            ("c.test", "/", "wild"),
        )
        for host, path, who in rows:
            self.assertEqual(ask(world.https, host, path, tls="a.test").who, who)

    def again(self, world: World, **options: Any) -> World:
        """A new world; the old one's files stay until the end of the test."""
        return self.world(**options)

    def peer_certificate(self, port: int, name: str) -> bytes:
        """The certificate that is shown to who asks for a name."""
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            found = (
                trusting(["http/1.1"]).wrap_socket(plain, server_hostname=name).getpeercert(binary_form=True)
            )
        assert found is not None
        return found

    def test_http2(self) -> None:
        """The https frontend speaks HTTP/2, and routes each request of a shared connection by its own authority."""
        for maps in (True, False):
            world = self.world()
            world = self.again(
                world, haproxy_map=maps, ssl_certs=(certificate(world.directory / "c.pem", "*.test"),)
            )
            world.app("a", {"0_VHOST": "a.test"})
            world.app("b", {"0_VHOST": "b.test", "0_PATH": "/p"})
            self.served(world)
            self.assertEqual(http2(world.https, ("a.test", "/"), ("b.test:443", "/p")), ["a", "b"])

    def test_service_port_with_tls(self) -> None:
        """A service port ends TLS with its own certificate and takes bind options."""
        world = self.world()
        path = certificate(world.directory / "own.pem", "own.test")
        world.app("own", {"0_SSL_CERT": path, "0_BIND_OPTIONS": "alpn http/1.1", "0_MODE": "http"})
        self.served(world)
        self.assertEqual(ask(world.ports["own"], "own.test", tls="own.test").who, "own")

    def test_sticky(self) -> None:
        """A cookie keeps a client on its server, whatever the order of the tasks; a stranger's cookie does no harm."""
        world = self.world()
        world.app("sticky", {"0_VHOST": "a.test", "0_STICKY": "true"}, tasks=3)
        world.app("free", {"0_VHOST": "b.test"}, tasks=2)
        self.served(world)
        first = ask(world.http, "a.test")
        cookie = first.headers["set-cookie"].partition(";")[0]
        self.assertEqual(cookie.partition("=")[0], "mesosphere_server_id")
        self.assertEqual({ask(world.http, "a.test", Cookie=cookie).who for _ in range(5)}, {first.who})
        self.assertEqual(ask(world.http, "a.test", Cookie="mesosphere_server_id=x").status, 200)
        self.assertNotIn("set-cookie", ask(world.http, "b.test").headers)
        self.assertEqual({ask(world.http, "b.test").who for _ in range(4)}, {"free.0", "free.1"})
        before = world.render().config.template
        world.apps[0] = changed(world.apps[0], tasks=world.apps[0].tasks[::-1])
        self.assertEqual(world.render().config.template, before)

    def test_app_id(self) -> None:
        """The frontend by app id leads to the app that the header names, overrides of other rules or not."""
        for maps in (True, False):
            world = self.world(haproxy_map=maps)
            world.app("a-b", {"0_VHOST": "a.test", "0_AUTH": f"r:u:{PASSWORD}"})
            world.app("a_b", {"0_MODE": "http"})
            world.app("tcp")
            world.app("host", {"0_VHOST": "b.test", "0_HTTP_FRONTEND_ACL": ""})
            rule = "  use_backend {backend} if { req.hdr(x-other) {appId} }\n"
            world.app("own", {"0_MODE": "http", "0_HTTP_FRONTEND_APPID_ACL": rule})
            self.served(world)
            who = {
                name: ask(world.app_id, "any", X_Marathon_App_Id=f"/{name}").who
                for name in ("a-b", "a_b", "tcp", "host", "own", "none")
            }
            wanted = {"a-b": "a-b", "a_b": "a_b", "tcp": "503", "host": "host", "own": "503", "none": "503"}
            self.assertEqual(who, wanted)
            self.assertEqual(ask(world.app_id, "any", X_Other="/own").who, "own")
            two = [
                ask(world.app_id, "any", X_Marathon_App_Id=ids).who for ids in ("/a-b,/host", "/none, /host")
            ]
            self.assertEqual(two, ["host", "host"])  # the last one, as everywhere in HAProxy
            self.assertEqual(ask(world.http, "b.test").who, "503")

    def test_health_check(self) -> None:
        """A server whose check fails gets no more requests."""
        check = HealthCheck(path="/up", interval_seconds=1, max_consecutive_failures=0, timeout_seconds=1)
        world = self.world()
        world.app("web", {"0_VHOST": "a.test"}, tasks=2, health_checks=(check,))
        self.served(world)
        self.assertEqual({ask(world.http, "a.test").who for _ in range(4)}, {"web.0", "web.1"})
        world.processes["web.0"].fall_sick()
        deadline = time.monotonic() + 40
        while {ask(world.http, "a.test").who for _ in range(4)} != {"web.1"} and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual({ask(world.http, "a.test").who for _ in range(6)}, {"web.1"})

    def test_health_check_of_another_port(self) -> None:
        """A server is as well as the port of its task that the label names."""
        check = HealthCheck(
            path="/up", port_index=0, interval_seconds=1, max_consecutive_failures=0, timeout_seconds=1
        )
        world = self.world()
        labels = {"0_VHOST": "a.test", "0_BACKEND_HEALTHCHECK_PORT_INDEX": "1"}
        world.app("web", labels, words=("web", "admin"), health_checks=(check,))
        self.served(world)
        self.assertEqual(ask(world.http, "a.test").who, "web")
        world.processes["admin"].fall_sick()
        deadline = time.monotonic() + 40
        while ask(world.http, "a.test").who != "503" and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(ask(world.http, "a.test").who, "503")

    def test_health_check_with_an_override(self) -> None:
        """What an override of something else says of the check's answer stands beside the default's request."""
        check = HealthCheck(path="/up", interval_seconds=1, max_consecutive_failures=0, timeout_seconds=1)
        world = self.world()
        options = "  option forwardfor\n  http-check expect status 500\n"
        labels = {"0_VHOST": "a.test", "0_BACKEND_HTTP_OPTIONS": options}
        world.app("web", labels, tasks=2, health_checks=(check,))
        world.processes["web.0"].fall_sick()
        self.served(world)
        deadline = time.monotonic() + 40
        while {ask(world.http, "a.test").who for _ in range(4)} != {"web.0"} and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual({ask(world.http, "a.test").who for _ in range(6)}, {"web.0"})

    def test_dead_server(self) -> None:
        """A request to a process that died is given to another one."""
        world = self.world()
        world.app("web", {"0_VHOST": "a.test"}, tasks=2)
        self.served(world)
        world.processes.pop("web.0").end()
        self.assertEqual({ask(world.http, "a.test").who for _ in range(6)}, {"web.1"})

    def test_auth(self) -> None:
        """A password guards the virtual host, on its paths alone; the realm is shown as it was written."""
        realm = 'My $HOME "x" \\ realm'
        for maps in (True, False):
            world = self.world(haproxy_map=maps)
            world.app(
                "guarded", {"0_VHOST": "a.test,c.test", "0_PATH": "/g", "0_AUTH": f"{realm}:joe:{PASSWORD}"}
            )
            world.app("open", {"0_VHOST": "a.test"})
            world.app("all", {"0_VHOST": "b.test", "0_AUTH": f'r:o"e#:{PASSWORD}'})
            self.served(world)
            answer = ask(world.http, "a.test", "/g")
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.headers["www-authenticate"], 'Basic realm="My $HOME \\"x\\" \\\\ realm"')
            self.assertEqual(
                ask(world.http, "a.test", "/g", Authorization=basic("joe:password")).who, "guarded"
            )
            self.assertEqual(
                ask(world.http, "c.test", "/g", Authorization=basic("joe:password")).who, "guarded"
            )
            self.assertEqual(ask(world.http, "a.test", "/g", Authorization=basic("joe:wrong")).status, 401)
            self.assertEqual(ask(world.http, "a.test", "/g", Authorization=basic("jim:password")).status, 401)
            self.assertEqual(ask(world.http, "a.test", "/").who, "open")
            self.assertEqual(ask(world.http, "b.test", "/").status, 401)
            self.assertEqual(ask(world.http, "b.test", Authorization=basic('o"e#:password')).who, "all")

    def test_auth_override(self) -> None:
        """Overrides of the password's rules work with the names that the other templates give."""
        text = '  http-request auth realm "{realm}" if host_{cleanedUpHostname} !auth_{cleanedUpHostname}\n'
        labels = {"0_VHOST": "a.test,b.test", "0_AUTH": f"mine:joe:{PASSWORD}"}
        text = "  acl auth_{cleanedUpHostname} http_auth(user_{backend})\n" + text
        text += "  use_backend {backend} if host_{cleanedUpHostname}\n"
        world = self.world()
        world.app("guarded", {**labels, "0_HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH": text})
        self.served(world)
        for host in ("a.test", "b.test"):
            self.assertEqual(ask(world.http, host).headers["www-authenticate"], 'Basic realm="mine"')
            self.assertEqual(ask(world.http, host, Authorization=basic("joe:password")).who, "guarded")

    def test_auth_override_of_https(self) -> None:
        """
        On the https frontend the request for a password may be a text of its own, and so may the routing.

        They may name the hosts' ACL, though what matches by the name in the handshake defines none.
        """
        by_sni = (
            "  use_backend {backend} if {{ ssl_fc_sni {hostname} }} path_{backend} auth_{cleanedUpHostname}\n"
        )
        asks = '  http-request auth realm "{realm}" if host_{cleanedUpHostname} !auth_{cleanedUpHostname}\n'
        host = "  acl host_{cleanedUpHostname} req.hdr(host) -i {hostname}\n"
        routes = "  use_backend {backend} if host_{cleanedUpHostname} path_{backend}\n"
        labels = {"0_VHOST": "a.test", "0_AUTH": f"mine:joe:{PASSWORD}"}
        world = self.world()
        own = certificate(world.directory / "a.pem", "a.test")
        world = self.again(world, ssl_certs=(own,))
        world.app(
            "guarded",
            {
                **labels,
                "0_HTTPS_FRONTEND_ACL_WITH_AUTH": host
                + "  use_backend {backend} if host_{cleanedUpHostname}\n",
                "0_HTTPS_FRONTEND_AUTH_REQUEST_ONLY": asks,
            },
        )
        world.app(
            "narrow",
            {
                **labels,
                "0_VHOST": "b.test",
                "0_PATH": "/in",
                "0_HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH": by_sni,
                "0_HTTPS_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH": asks.replace(
                    "!auth", "path_{backend} !auth"
                )
                + routes,
                "0_HTTPS_FRONTEND_AUTH_REQUEST_ONLY": asks,
            },
        )
        world.app("open", {"0_VHOST": "b.test"})
        self.served(world)
        for name, path, who in (("a.test", "/", "guarded"), ("b.test", "/in", "narrow")):
            refused = ask(world.https, name, path, tls=name)
            self.assertEqual(refused.headers["www-authenticate"], 'Basic realm="mine"', name)
            good = ask(world.https, name, path, tls=name, Authorization=basic("joe:password"))
            self.assertEqual(good.who, who)
        self.assertEqual(ask(world.https, "b.test", "/", tls="b.test").who, "open")

    def test_networks(self) -> None:
        """Only clients of the allowed networks are served, in both modes."""
        world = self.world()
        world.app(
            "near", {"0_VHOST": "a.test", "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8 127.0.0.0/8 ::1"}
        )
        world.app("far", {"0_VHOST": "b.test", "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8"})
        world.app("tcp-near", {"0_BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.1"})
        world.app("tcp-far", {"0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.1"})
        self.served(world)
        self.assertEqual(ask(world.http, "a.test").who, "near")
        self.assertEqual(ask(world.http, "b.test").who, "403")
        self.assertEqual(ask(world.ports["tcp-near"], "x").who, "tcp-near")
        with self.assertRaises((ConnectionError, OSError)):  # type: ignore[attr-defined]
            ask(world.ports["tcp-far"], "x")

    def rewriting(self, **labels: str) -> World:
        """A service with these labels of the paths' rewriting."""
        world = self.world()
        world.app(
            "web", {"0_VHOST": "a.test,*.w.test", **{f"0_HTTP_BACKEND_{n}": t for n, t in labels.items()}}
        )
        return self.served(world)

    def test_proxypass(self) -> None:
        """The prefix is cut off the path, and of nothing that only begins alike; Host is the virtual host."""
        world = self.rewriting(PROXYPASS_PATH="/a.b$/")
        rows = {
            "/a.b$": "/", "/a.b$/": "/", "/a.b$/x/y?q=/a.b$": "/x/y?q=/a.b$", "/a.b$x": "/a.b$x", "/axb$/x": "/axb$/x",
            "/x/a.b$/": "/x/a.b$/",
        }  # fmt: skip
        for path, wanted in rows.items():
            self.assertEqual(ask(world.http, "a.test", path).said["path"], wanted)
        self.assertEqual(ask(world.ports["web"], "else:80").said["headers"]["host"], "a.test")

    def test_proxypass_without_host(self) -> None:
        """Without a virtual host the path is cut and Host stays."""
        world = self.world()
        world.app("web", {"0_MODE": "http", "0_HTTP_BACKEND_PROXYPASS_PATH": "/p"})
        self.served(world)
        said = ask(world.ports["web"], "else.test", "/p/x").said
        self.assertEqual((said["path"], said["headers"]["host"]), ("/x", "else.test"))

    def test_revproxy(self) -> None:
        """A Location of the service's own goes below the root path, once; a foreign one stays."""
        world = self.rewriting(REVPROXY_PATH="/ro%ot")
        rows = {
            "/login?a=b": "/ro%ot/login?a=b",
            "/": "/ro%ot/",
            "http://a.test/login": "/ro%ot/login",
            "https://a.test:8443/login": "/ro%ot/login",
            "http://x.w.test/login": "/ro%ot/login",
            "http://10.0.0.7:31000/login": "/ro%ot/login",
            "/ro%ot/login": "/ro%ot/login",
            "http://a.test/ro%ot": "http://a.test/ro%ot",
            "/ro%otten": "/ro%ot/ro%otten",
            "https://sso.else.test/login": "https://sso.else.test/login",
            "//else.test/login": "//else.test/login",
            "relative": "relative",
        }
        for location, wanted in rows.items():
            self.assertEqual(ask(world.http, "a.test", X_Answer_Location=location).location, wanted)

    def test_redir(self) -> None:
        """The root of the host is redirected, nothing else, and what is cut down to the root neither."""
        world = self.rewriting(REDIR="/ho%me#x'\"$y", PROXYPASS_PATH="/app")
        answer = ask(world.http, "a.test", "/")
        self.assertEqual((answer.status, answer.location), (301, "/ho%me#x'\"$y"))
        self.assertEqual(ask(world.http, "a.test", "/?q").status, 301)
        self.assertEqual(ask(world.http, "a.test", "/app").said["path"], "/")
        self.assertEqual(ask(world.http, "a.test", "/x").said["path"], "/x")

    def test_redir_template(self) -> None:
        """The label that names both is a template where it is no path."""
        world = self.rewriting(REDIR="  http-request redirect location /t if { path /from }\n")
        self.assertEqual(ask(world.http, "a.test", "/from").location, "/t")

    def test_stats(self) -> None:
        """The stats listener answers health checks, the statistics and Prometheus."""
        world = self.world()
        world.app("web", {"0_VHOST": "a.test"})
        self.served(world)
        self.assertEqual(ask(world.stats, "x", "/_haproxy_health_check").status, 200)
        self.assertIn(b"Statistics Report", ask(world.stats, "x", "/haproxy?stats").body)
        self.assertIn(b"web_", ask(world.stats, "x", "/haproxy?stats;csv").body)
        self.assertIn(b"haproxy_process_", ask(world.stats, "x", "/metrics").body)

    def test_no_http(self) -> None:
        """With ``--dont-bind-http-https`` service ports and the app-id frontend serve alone."""
        world = self.world(dont_bind_http_https=True)
        world.app("web", {"0_VHOST": "a.test"})
        self.served(world)
        self.assertEqual(ask(world.ports["web"], "a.test").who, "web")
        self.assertEqual(ask(world.app_id, "x", X_Marathon_App_Id="/web").who, "web")
        with self.refused():
            ask(world.http, "a.test")

    def test_quiet(self) -> None:
        """HAProxy finds nothing to warn about in the default templates, whatever the labels."""
        for maps, grouped in ((True, False), (False, False), (True, True)):
            world = self.world()
            own = certificate(world.directory / "c.pem", "x")
            world = self.again(
                world, haproxy_map=maps, group_https_by_vhost=grouped, ssl_certs=(own,), system_ca=own
            )
            everything = {
                "0_VHOST": "a.test,*.b.test", "0_STICKY": "1", "0_REDIRECT_TO_HTTPS": "1", "0_USE_HSTS": "1",
                "0_AUTH": f"a realm:u:{PASSWORD}", "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8 ::1",
                "0_HTTP_BACKEND_PROXYPASS_PATH": "/p", "0_HTTP_BACKEND_REVPROXY_PATH": "/r",
                "0_HTTP_BACKEND_REDIR": "/x", "0_BALANCE": "leastconn", "0_BIND_OPTIONS": "name x",
                "0_RATE_LIMIT": "9/s", "0_CORS": "https://a.test", "0_MAXCONN": "9", "0_BACKEND_SSL": "verify",
                "0_BACKEND_PROTO": "h2", "0_MAINTENANCE": "1", "0_TIMEOUT_SERVER": "9s", "0_TIMEOUT_TUNNEL": "9m",
                "0_SSL_CERT": own,
            }  # fmt: skip
            checks = [
                HealthCheck(protocol=p, path="/a b#")
                for p in ("HTTP", "HTTPS", "TCP", "MESOS_TCP", "COMMAND")
            ]
            checks.append(
                HealthCheck(interval_seconds=10**9, timeout_seconds=0, max_consecutive_failures=10**9)
            )
            for number, check in enumerate(checks):
                paths = {"0_PATH": "-i /p" if number % 2 else "/p"}
                world.app(
                    f"h{number}",
                    {**everything, **paths, "0_VHOST": f"h{number}.test"},
                    health_checks=(check,),
                )
                world.app(f"t{number}", {"0_MODE": "tcp"}, health_checks=(check,))
            world.app("plain", everything)
            world.app("through", {"0_VHOST": "vault.test", "0_TLS_PASSTHROUGH": "1"})
            world.render()
            self.assertEqual(world.check(), "")
            self.assertEqual([str(each) for each in world.problems if each.fatal], [])


def http2(port: int, *requests: tuple[str, str]) -> list[str]:
    """Return who responds to requests, each an authority and a path, on one HTTP/2 connection."""
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        connection = trusting(["h2"]).wrap_socket(plain, server_hostname="shared.test")
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        for number, (authority, path) in enumerate(requests):
            fields = ((":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path))
            block = b"".join(literal(name) + literal(value, b"") for name, value in fields)
            connection.sendall(frame(1, 0x5, 2 * number + 1, block))
        bodies = {2 * number + 1: b"" for number in range(len(requests))}
        open_streams, heard = set(bodies), b""
        while open_streams:
            heard += connection.recv(65536)
            while len(heard) >= 9 and len(heard) >= 9 + int.from_bytes(heard[:3], "big"):
                size = int.from_bytes(heard[:3], "big")
                kind, flags, stream = struct.unpack("!BBI", heard[3:9])
                if kind == 0:
                    bodies[stream] += heard[9 : 9 + size]
                if kind in (0, 1) and flags & 1:
                    open_streams.discard(stream)
                heard = heard[9 + size :]
        return [str(json.loads(body)["who"]) for body in bodies.values()]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


def literal(text: str, prefix: bytes = b"\0") -> bytes:
    """A name or a value, neither indexed nor compressed (RFC 7541, 6.2.2)."""
    return prefix + bytes([len(text)]) + text.encode()


on_each(RoutingMixin, globals())
