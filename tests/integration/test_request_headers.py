"""
The headers that reach a task, whatever a client sends: on each HAProxy that is here, and whatever templates say.
"""

from __future__ import annotations

import http.client
import tempfile
from pathlib import Path
from typing import Any

from tests.integration.haproxies import on_each
from tests.integration.worlds import Answer, World, ask, certificate

SEC_KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

OLD_OPTIONS = "  http-request add-header X-Forwarded-Proto https if { ssl_fc }\n"
"""The usual overrides of HAPROXY_BACKEND_HTTP_OPTIONS in older installations."""


def sent(port: int, host: str, *lines: str) -> dict[str, str]:
    """The headers that the task sees of a request with these header lines."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.putrequest("GET", "/", skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    for line in lines:
        connection.putheader(*line.split(": "))
    connection.endheaders()
    response = connection.getresponse()
    answer = Answer(response.status, {}, response.read())
    connection.close()
    return dict(answer.said["headers"])


class HeadersMixin:
    """Requests to every kind of frontend; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertNotIn: Any
    addCleanup: Any

    def world(self, **options: Any) -> World:
        """A world whose https port has a certificate, and that ends with the test."""
        world = World(self.binary, **options)
        self.addCleanup(world.end)
        return world

    def seen(self, world: World, **headers: str) -> list[dict[str, str]]:
        """Return the headers that the task receives by host, by host over HTTPS, by service port and by app id."""
        answers = (
            ask(world.http, "web.test", **headers),
            ask(world.https, "web.test", tls="web.test", **headers),
            ask(world.ports["web"], "any", **headers),
            ask(world.app_id, "any", X_Marathon_App_Id="/web", **headers),
        )
        return [dict(answer.said["headers"]) for answer in answers]

    def test_scheme(self) -> None:
        """A client cannot say that it asked by https, nor an override of old let it."""
        directory = tempfile.TemporaryDirectory(prefix="mlb-", dir="/tmp")
        self.addCleanup(directory.cleanup)
        cert = certificate(Path(directory.name) / "web.pem", "web.test")
        for labels in ({}, {"0_BACKEND_HTTP_OPTIONS": OLD_OPTIONS}):
            for options in ({}, {"group_https_by_vhost": True}):
                world = self.world(ssl_certs=(cert,), **options)
                world.app("web", {"0_VHOST": "web.test", **labels})
                world.start()
                self.assertEqual(world.problems, ())
                for said in ("https", "HTTPS", "http"):
                    found = [
                        each.get("x-forwarded-proto") for each in self.seen(world, X_Forwarded_Proto=said)
                    ]
                    self.assertEqual(found, [None, "https", None, None], (labels, options, said))
                world.end()

    def test_underscores(self) -> None:
        """A name that CGI takes for a forwarded header reaches no task; HAProxy's own headers do."""
        world = self.world()
        world.app("web", {"0_VHOST": "web.test"})
        world.start()
        names = ("X_FORWARDED_PROTO", "x-forwarded_proto", "X_Forwarded-For", "X_Forwarded_Port")
        for port in (world.http, world.ports["web"]):
            found = sent(port, "web.test", *(f"{name}: 1.2.3.4" for name in names))
            self.assertEqual([name for name in found if "_" in name], [])
            self.assertNotIn("x-forwarded-proto", found)
            self.assertEqual(found["x-forwarded-for"], "127.0.0.1")

    def test_other_names(self) -> None:
        """No other header by which frameworks are told the scheme reaches a task from a client; a proxy's do."""
        names = (
            "X-Forwarded-Protocol",
            "X-Forwarded-Scheme",
            "X-Forwarded-Ssl",
            "X-Url-Scheme",
            "Front-End-Https",
        )
        lines = (*(f"{name}: https" for name in names), "Forwarded: proto=https")
        for networks, expected in (((), set()), (("127.0.0.0/8",), {*map(str.lower, names), "forwarded"})):
            world = self.world(trusted_proxies=networks)
            world.app("web", {"0_VHOST": "web.test"})
            world.start()
            found = sent(world.http, "web.test", *lines)
            self.assertEqual({*map(str.lower, names), "forwarded"} & found.keys(), expected)
            world.end()

    def test_trusted_proxy(self) -> None:
        """A proxy of --trusted-proxies says by which scheme its client asked; no other client does."""
        many = tuple(f"10.{number}.0.0/16" for number in range(100))
        for networks, expected in (((*many, "127.0.0.0/8"), "https"), (many, None)):
            world = self.world(trusted_proxies=networks)
            world.app("web", {"0_VHOST": "web.test"})
            world.start()
            for port in (world.http, world.ports["web"]):
                said = ask(port, "web.test", X_Forwarded_Proto="https").said
                self.assertEqual(said["headers"].get("x-forwarded-proto"), expected, networks[-1])
            world.end()

    def test_operators_head(self) -> None:
        """An operator's head that says what the scheme is keeps its word."""
        head = "\nfrontend marathon_http_in\n  bind 127.0.0.1:{port}\n  mode http\n"
        line = "  http-request set-header X-Forwarded-Proto https\n"
        for more, expected in ((line, "https"), ("", None)):
            world = self.world()
            (world.directory / "templates").mkdir()
            text = head.replace("{port}", str(world.http)) + more
            (world.directory / "templates" / "HAPROXY_HTTP_FRONTEND_HEAD").write_text(text)
            world.app("web", {"0_VHOST": "web.test"})
            world.start()
            found = ask(world.http, "web.test", X_Forwarded_Proto="https").said["headers"]
            self.assertEqual(found.get("x-forwarded-proto"), expected)
            world.end()

    def test_cleartext_upgrade(self) -> None:
        """An upgrade to HTTP/2 without TLS, which would be a tunnel, reaches no task; that to a WebSocket does."""
        world = self.world()
        world.app("web", {"0_VHOST": "web.test"})
        world.start()
        for port in (world.http, world.ports["web"]):
            for value in ("h2c", "H2C", "websocket, h2c", "foo,h2c"):
                lines = (f"Upgrade: {value}", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", SEC_KEY)
                found = sent(port, "web.test", "Connection: Upgrade, HTTP2-Settings", *lines)
                self.assertNotIn("h2c", found.get("upgrade", "").lower(), value)
            two = ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", SEC_KEY)
            self.assertNotIn("h2c", sent(port, "web.test", *two).get("upgrade", ""))
            found = sent(port, "web.test", "Connection: Upgrade", "Upgrade: websocket", SEC_KEY)
            self.assertEqual(found["upgrade"].lower(), "websocket")


on_each(HeadersMixin, globals())
