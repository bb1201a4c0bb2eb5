"""The text of a backend, taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.config.text.server_lines import (
    Backend,
    Inherited,
    ServerLine,
    inherited,
    parse,
    parse_server,
)


def section(text: str, kind: str = "backend", name: str = "shop") -> Section:
    return Section(kind, name, (Chunk(text, Owner()),))


def backend(*lines: str) -> Backend:
    return parse(section("backend shop\n" + "".join(f"  {line}\n" for line in lines)))


PROBLEMS = {
    "server a db.example.com:80": "has the address db.example.com:80, which is not a numeric address with a port",
    "server a 10.0.0.1": "has the address 10.0.0.1, which is not a numeric address with a port",
    "server a 10.0.0.1:+80": "has the address 10.0.0.1:+80, which is not a numeric address with a port",
    "server a 10.0.0.300:80": "has the address 10.0.0.300:80, which is not a numeric address with a port",
    "server a 0.0.0.0:80": "has the address 0.0.0.0:80, which is not a numeric address with a port",
    "server a ::1:80": "has the address ::1:80, which is not a numeric address with a port",
    "server a unix@/run/a.sock": "has the address unix@/run/a.sock, which is not a numeric address with a port",
    "server a 10.0.0.1:80 track other/b": "has the argument track",
    "server a 10.0.0.1:80 check disabled": "has the argument disabled",
    "server a 10.0.0.1:80 crt /etc/a.pem": "has the argument crt",
    "server a 10.0.0.1:80 ssl": "has ssl without a ca-file or verify none",
    "server a 10.0.0.1:80 ssl verify required": "has ssl without a ca-file or verify none",
    "server a 10.0.0.1:80 check check-ssl": "has ssl without a ca-file or verify none",
    "server a 10.0.0.1:80 weight 50%": "has the weight 50%",
    "server a 10.0.0.1:80 id": "has the id ",
    "server a 10.0.0.1:80 cookie 'a b'": "has 'a b', which the runtime API cannot take",
    "server a 10.0.0.1:80 cookie x\\_y": "has 'x\\\\_y', which the runtime API cannot take",
    "server a 10.0.0.1:80 cookie a;b": "has 'a;b', which the runtime API cannot take",
    'server a "$HOST:80"': "names an environment variable",
    "server a": "has no address",
    "server": "has no address",
}

SPOKEN = {
    "server a 10.0.0.1:80": "10.0.0.1:80",
    "server a 10.0.0.1:80 id 7 check inter 2s": "10.0.0.1:80 id 7 check inter 2s",
    "server a 10.0.0.1:80 check weight 5 id 7": "10.0.0.1:80 id 7 weight 5 check",
    "server a 10.0.0.1:80 weight 0": "10.0.0.1:80 weight 0",
    "server a [2001:DB8::1]:80": "[2001:db8::1]:80",
    "server a 10.0.0.1:80 cookie x\\x5fy # why": "10.0.0.1:80 cookie x_y",
    "server a 10.0.0.1:80 ssl verify none": "10.0.0.1:80 ssl verify none",
    "server a 10.0.0.1:80 ssl verify none check": "10.0.0.1:80 ssl verify none check check-ssl",
    "server a 10.0.0.1:80 check-ssl ssl verify none check": "10.0.0.1:80 check-ssl ssl verify none check",
    "server a 10.0.0.1:80 ssl verify none check port 81": "10.0.0.1:80 ssl verify none check port 81",
    "server a 10.0.0.1:80 ssl verify required ca-file /ca.pem sni req.hdr(host)": (
        "10.0.0.1:80 ssl verify required ca-file /ca.pem sni req.hdr(host)"
    ),
    "server a 10.0.0.1:80 send-proxy check": "10.0.0.1:80 send-proxy check check-send-proxy",
    "server a 10.0.0.1:80 send-proxy-v2 check addr 10.0.0.2": "10.0.0.1:80 send-proxy-v2 check addr 10.0.0.2",
}


class ServerTests(SynchronousTestCase):
    """One server line."""

    def test_problems(self) -> None:
        """What cannot be said at runtime is named."""
        for line, problem in PROBLEMS.items():
            self.assertEqual(parse_server(line).problem, problem, line)

    def test_spoken(self) -> None:
        """What can be said makes the server that the line makes, its checks' transport included."""
        for line, spoken in SPOKEN.items():
            server = parse_server(line)
            self.assertEqual((server.problem, server.add_arguments()), ("", spoken), line)

    def test_parts(self) -> None:
        """A line's address, port, weight and id are told from its other arguments."""
        self.assertEqual(
            parse_server("  server a [::1]:8080 id 5 check port 9 weight 20 backup\n"),
            ServerLine("a", "::1", 8080, 20, 5, ("check", "port", "9", "backup")),
        )

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """No text makes the parser fail."""
        parse_server(f"server {text}")


class BackendTests(SynchronousTestCase):
    """A whole backend."""

    def test_parts(self) -> None:
        """ServerLine lines are told from the rest."""
        parsed = backend(
            "balance leastconn", "server a 10.0.0.1:80", "option httpchk", "server b 10.0.0.2:80"
        )
        self.assertEqual(list(parsed.servers), ["a", "b"])
        self.assertEqual(parsed.rest, "backend shop\n  balance leastconn\n  option httpchk\n")
        self.assertEqual((parsed.balance, parsed.problem), ("leastconn", ""))

    def test_known_lines(self) -> None:
        """A line that was there before is not taken apart again."""
        before = backend("server a 10.0.0.1:80", "server b 10.0.0.2:80")
        text = "backend shop\n  server b 10.0.0.2:80\n  server c 10.0.0.3:80\n"
        after = parse(section(text), before)
        self.assertIs(after.servers["b"], before.servers["b"])
        self.assertEqual(list(after.servers), ["b", "c"])

    def test_problems(self) -> None:
        """What keeps all servers of a backend from being changed is named."""
        for lines, problem in {
            ("balance source",): "has balance source",
            ("balance static-rr",): "has balance static-rr",
            ("balance uri whole",): "has balance uri",
            ("balance roundrobin", "balance hash src"): "has balance hash",
            ("balance random(2)",): "",
            ("balance first",): "",
            ("default-server check",): "has default-server",
            ("server-template w 3 10.0.0.1:80",): "has server-template",
            ("cookie A insert dynamic",): "has cookie A insert dynamic",
            ("cookie A insert indirect nocache",): "",
            (".if defined(A)", ".endif"): "has .if",
            ("server a 10.0.0.1:80", "server a 10.0.0.2:80"): "has two servers a",
        }.items():
            self.assertEqual(backend(*lines).problem, problem, lines)

    def test_two_sections(self) -> None:
        """A template that opens a section of its own is not a backend alone."""
        text = "backend shop\n  server a 10.0.0.1:80\nbackend other\n  server a 10.0.0.1:81\n"
        self.assertEqual(parse(section(text)).problem, "has two servers a")
        self.assertEqual(parse(section("backend shop\nuserlist u\n")).problem, "holds more than one section")

    def test_inherited(self) -> None:
        """A default-server of any defaults, wherever they stand, concerns every backend; a fixed balance some."""
        for text, found in {
            "global\n  maxconn 5\ndefaults\n  mode http\n": Inherited(),
            "defaults\n  default-server inter 5s\n": Inherited("the defaults have a default-server"),
            "defaults\n  balance source\n": Inherited("", "source"),
            "defaults\n  balance leastconn\n": Inherited(),
            "backend x\n  default-server check\n": Inherited(),
        }.items():
            sections = [section("frontend f\n", "frontend"), section(text, "head")]
            self.assertEqual(inherited(sections), found, text)
