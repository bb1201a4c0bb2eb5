"""What labels hold: every good form is understood, every bad one is a `ValueError` with words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.labels import values
from marathonlb.routing.labels.balance import balance
from marathonlb.routing.labels.bind_options import bind_options

LONG = "a" * 64
PORT = lambda text: values.integer(text, 1, 65535)  # noqa: E731

GOOD: tuple[tuple[Callable[[str], Any], str, Any], ...] = (
    *((values.boolean, word, True) for word in ("true", "T", "yes", "Y", "1", "on", " On ")),
    *((values.boolean, word, False) for word in ("false", "F", "no", "n", "0", "OFF", "", " ")),
    (PORT, " 80 ", 80),
    (PORT, "65535", 65535),
    (lambda text: values.integer(text, -5, 5), "-3", -3),
    (values.words, " a, b,,c ,", ("a", "b", "c")),
    (values.hosts, "Shop.Example.COM", ("shop.example.com",)),
    (values.hosts, "a.example.com, b.example.com a.example.com", ("a.example.com", "b.example.com")),
    (values.hosts, "*.example.com", ("*.example.com",)),
    (values.hosts, "a.example.com.", ("a.example.com",)),
    (values.hosts, "bücher.example, xn--bcher-kva.example", ("xn--bcher-kva.example",)),
    (values.hosts, "https://user@a.example.com:8443/path", ("a.example.com",)),
    (values.hosts, "a.example.com:80,b_c.example.com/x", ("a.example.com", "b_c.example.com")),
    (values.hosts, "192.0.2.17", ("192.0.2.17",)),
    (values.hosts, "", ()),
    (values.address, "", "*"),
    (values.address, "*", "*"),
    (values.address, " 10.0.0.1 ", "10.0.0.1"),
    (values.address, "::1", "[::1]"),
    (values.address, "[2001:DB8::1]", "[2001:db8::1]"),
    (values.address, "LocalHost", "127.0.0.1"),
    (values.networks, "10.0.0.1 10.1.2.3/8,2001:db8::/32", ("10.0.0.1", "10.0.0.0/8", "2001:db8::/32")),
    (values.networks, "  ", ()),
    (values.paths, "/a  /b /a", (("/a", "/b"), False)),
    (values.paths, "-i /a", (("/a",), True)),
    (values.paths, "", ((), False)),
    (values.one_path, " /a%20b ", "/a%20b"),
    (balance, "leastconn", "leastconn"),
    (balance, " url_param user check_post ", "url_param user check_post"),
    (balance, "hdr(X-User)", "hdr(X-User)"),
    (values.mode, " HTTP ", "http"),
    (values.mode, "tcp", "tcp"),
    (values.credentials, "My realm:joe:$6$ab$cd/ef.", ("My realm", "joe", "$6$ab$cd/ef.")),
    (values.credentials, 'a "b":joe:$1$a$b', ('a "b"', "joe", "$1$a$b")),
    (values.credentials, "a:b:$2y$05$abc", ("a", "b", "$2y$05$abc")),
    (values.credentials, "a:b:$y$j9T$s$h", ("a", "b", "$y$j9T$s$h")),
    (values.credentials, "a:b:abJnggxhB/yWI", ("a", "b", "abJnggxhB/yWI")),
    (values.credentials, "a:b:_J9..rasmBYk8r9AiWNc", ("a", "b", "_J9..rasmBYk8r9AiWNc")),
    (values.duration, "30s", "30s"),
    (values.duration, "24d", "24d"),
    (values.origins, "https://A.test http://b.test:8080,*", ("https://a.test", "http://b.test:8080", "*")),
    (
        values.origins,
        "https://*.example.com, http://[::1]:3000",
        ("https://*.example.com", "http://[::1]:3000"),
    ),
    (values.origins, " ", ()),
    (values.rate, "100/s", (100, "1s")),
    (values.rate, " 6 / m ", (6, "1m")),
    (values.file_list, "/a.pem, /b/c.pem", ("/a.pem", "/b/c.pem")),
    (bind_options, ' ciphers "A:B # no comment" ', 'ciphers "A:B # no comment"'),
    (bind_options, "name it\\'s", "name it\\'s"),
)

BAD: tuple[tuple[Callable[[str], Any], str], ...] = (
    *((values.boolean, word) for word in ("maybe", "2", "tru e", "wahr")),
    *((PORT, word) for word in ("", "0", "65536", "http", "1.5", "0x50", "٣", "99999999999999", "8 0", "+1")),
    *(
        (values.hosts, text)
        for text in (
            "a b!",
            "<public-agent-ip>",
            "-a.example.com",
            "a..b",
            "*",
            "*.",
            "a.*.b",
            f"{LONG}.example.com",
            "http://[::1",
            "http://",
            "a.example.com#x",
            "a'b",
            'a"b',
            "$HOST",
            "a\\b",
            "é" * 200,
        )
    ),
    *(
        (values.address, text)
        for text in ("10.0.0", "300.0.0.1", "*.example.com", "a b", "[::1]x", "a:80", "http://x")
    ),
    (values.address, "slow.example.com"),
    (values.address, "lb"),
    (values.address, "fe80::1%eth0 ssl crt /etc/shadow"),
    *((values.credentials, text) for text in ("a:b:{SHA}x", "a:b:$")),
    *((values.networks, text) for text in ("somewhere", "10.0.0.0/33", "10.0.0.256", "::1%a", "!10.0.0.1")),
    *((values.paths, text) for text in ("cart", "/a -i", "-I /a", "http://a/b")),
    *((values.one_path, text) for text in ("", "a", "/a b")),
    *((balance, text) for text in ("", "fastest", "round robin", "uri # x", 'hdr("x', "source \\")),
    *((values.mode, text) for text in ("", "health", "https", "udp")),
    *(
        (values.credentials, text)
        for text in ("", "a:b", ":b:c", "a::c", "a:b:", "a:b c:$1$a$b", "a:b:$1$x y", "a:b:$1$a${x}")
    ),
    *(
        (values.duration, text)
        for text in ("", "500", "1 s", "s", "-1s", "1w", "9999999999s", "0s", "25d", "1us")
    ),
    *(
        (values.origins, text)
        for text in ("null", "a.test", "https://a.test/", "https://a test", "https://a.*")
    ),
    *((values.rate, text) for text in ("", "0/s", "10", "10/h", "x/s", "-1/s")),
    *((values.file_list, text) for text in ("cert.pem", "/a b.pem", "/a'.pem", '/"', "/a#", "/a\\b")),
    *((bind_options, text) for text in ("ssl # x", 'a "b', "a 'b", "a \\", 'a "$HOME"')),
)

PARSERS = tuple(dict.fromkeys(parse for parse, *_ in (*GOOD, *BAD) if parse is not PORT))
CONTROLS = "\n\r\0\t\x0b\x0c\x1b\x7f\x85\u2028\u2029"


def flat(value: object) -> str:
    """All text in a value."""
    return "".join(map(flat, value)) if isinstance(value, tuple) else str(value)


class TableTests(SynchronousTestCase):
    """The tables above."""

    def test_good(self) -> None:
        """Every good value becomes what it means."""
        for parse, text, wanted in GOOD:
            self.assertEqual(parse(text), wanted, (parse, text))

    def test_bad(self) -> None:
        """Every bad value is refused with a reason in words."""
        for parse, text in BAD:
            error = self.assertRaises(ValueError, parse, text)
            self.assertIn(" ", str(error), (parse, text))
            self.assertNotIn("\n", str(error))

    def test_control_characters(self) -> None:
        """No value takes a control character or a line separator in its middle."""
        texts = {
            values.networks: "10.0.0.1{}10.0.0.2",
            balance: "hdr(a){}b",
            values.credentials: "a{}:b:cd",
        }
        for parse in PARSERS:
            for character in CONTROLS:
                text = texts.get(parse, "/a{}b").format(character)
                self.assertRaises(ValueError, parse, text)

    def test_host_warning(self) -> None:
        """A host with a port, a path or a scheme is taken with a warning; a plain one without."""
        for text in ("http://a.example.com", "a.example.com/x", "a.example.com:80"):
            self.assertIn("'a.example.com'", values.host_warning(text) or "")
        self.assertIsNone(values.host_warning("a.example.com"))


class AnyTextTests(SynchronousTestCase):
    """Whatever is written."""

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(PARSERS), st.text())
    def test_any(self, parse: Callable[[str], Any], text: str) -> None:
        """Any text is a value without control characters or a `ValueError`."""
        try:
            value = parse(text)
        except ValueError as error:
            self.assertTrue(str(error))
        else:
            self.assertFalse(set("\n\r\0") & set(flat(value)), value)


class ForgeryTests(SynchronousTestCase):
    """What HAProxy would repeat, and others would take for its own words."""

    def test_speaks(self) -> None:
        """A level behind a line break, however the two are written."""
        for text in (
            r"x\n[ALERT] (1) : y",
            r"x\r\n[ALERT]",
            r"x\n\ \ [WARNING]",
            r"x\x0a\x5bALERT]",
            r"x\x0A'['\ALERT]",
            'fine\n  "x\\n"[ALERT]',
        ):
            self.assertTrue(values.speaks_for_haproxy(text), text)

    def test_is_silent(self) -> None:
        """Line breaks that protocols need, and lines of a template that begin with a bracket."""
        for text in (
            r"tcp-check send *1\r\n$4\r\nPING\r\n",
            r"option httpchk GET / HTTP/1.1\r\nHost:\ [::1]",
            "acl a hdr(x) -m reg \\[a-z]\n[development] nothing",
            r"tcp-check expect string [ALERT]\r\n",
            r"body [1,\n2]",
        ):
            self.assertFalse(values.speaks_for_haproxy(text), text)
