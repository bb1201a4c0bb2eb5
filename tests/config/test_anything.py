"""Whatever the labels hold: no exception, no line that a value smuggled in, no word that a value ended early."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck as Check
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import defaults_directory, load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, HealthCheck, Networking, Port
from marathonlb.routing.labels.parse import PER_APP, PER_PORT
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.config.haproxylines import words
from tests.routing.apps import app, task

TEMPLATES = load_templates("/nowhere", {})

KINDS = {"acl", "use_backend", "peers", "peer"} | {
    line.split()[0]
    for path in defaults_directory().glob("HAPROXY_*.j2")
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.lstrip().startswith("{")
}
"""The keywords with which our own lines begin."""

TRICKS = st.sampled_from(
    (
        "\n", "\r", "\0", "\u2028", "\x85", "\t", " ", "#", "'", '"', "\\", "$HOME", "${HOME}", "%[env(HOME)]",
        "{", "}", "{backend}", "{{ 7 * 7 }}", "backend evil", "\n  server evil 10.9.9.9:80\n", "*", "*.", "/", "-i",
        ",", ":", "::1", "a.example.com", "/path", "http://", "tcp", "http", "true", "10.0.0.0/8", "roundrobin",
        "hdr(", ")", "80", "é", "%", "realm:user:$1$x$y", "1", "0", ".", "\U0001f600", "ssl", "crt /etc/shadow",
    )
)  # fmt: skip
VALUES = st.one_of(
    st.lists(TRICKS, max_size=5).map("".join),
    st.lists(TRICKS, max_size=4).map(" ".join),
    st.text(max_size=12),
)
GOOD = {
    "VHOST": ("a.example.com", "*.example.com,b.test", "http://x.test:80/"),
    "PATH": ("/a", "-i /B /c", "/$x\"'\\#%[env(HOME)]"),
    "MODE": ("http", "tcp"),
    "STICKY": ("true",),
    "REDIRECT_TO_HTTPS": ("true",),
    "USE_HSTS": ("yes",),
    "AUTH": ("r:u:$1$x$y", 'my "$HOME" \'#\\ realm:u"\'#\\$:$1$a$b'),
    "PORT": ("80", "10000", "10001"),
    "BIND_ADDR": ("127.0.0.1", "::1", "*"),
    "BIND_OPTIONS": ("name 'x # y'", "ssl"),
    "BACKEND_WEIGHT": ("0", "-1", "7"),
    "BALANCE": ("leastconn", "hdr(X-A)"),
    "SSL_CERT": ("/a.pem,/b.pem",),
    "TLS_PASSTHROUGH": ("true",),
    "BACKEND_SSL": ("true", "verify", "/ca.pem"),
    "BACKEND_PROTO": ("h1", "h2"),
    "BACKEND_NETWORK_ALLOWED_ACL": ("10.0.0.0/8 ::1",),
    "BACKEND_HEALTHCHECK_PORT_INDEX": ("0", "1"),
    "WEIGHT": ("0", "256"),
    "MAXCONN": ("0", "10"),
    "RATE_LIMIT": ("5/s", "1 / m"),
    "MAINTENANCE": ("true",),
    "CORS": ("*", "https://*.a.test,http://[::1]:80"),
    "TIMEOUT_SERVER": ("30s", "24d"),
    "TIMEOUT_TUNNEL": ("1ms",),
    "HTTP_BACKEND_PROXYPASS_PATH": ("/a.b*#\"'\\$", "/"),
    "HTTP_BACKEND_REVPROXY_PATH": ("/%[env(HOME)]#\"'\\$", "/"),
    "HTTP_BACKEND_REDIR": ("/%[env(HOME)]#\"'\\$",),
}
VALUE_LABELS = sorted(name for name, row in PER_PORT.items() if not row.template)
"""Those whose values are no lines of their owner's."""

IDS = st.sampled_from(("/a", "/a/b", "/a.b-c", "/a/b#\"'\\{$HOME}", "/é"))


@st.composite
def apps(draw: st.DrawFn) -> App:
    """An app whose labels hold anything, about half of them what they should."""
    labels = draw(
        st.sampled_from(({"0_VHOST": "a.test"}, {"0_VHOST": "*.test,b.test"}, {"0_MODE": "http"}, {}))
    )
    often = (
        "AUTH",
        "PATH",
        "HTTP_BACKEND_PROXYPASS_PATH",
        "HTTP_BACKEND_REVPROXY_PATH",
        "HTTP_BACKEND_REDIR",
    )
    for name in draw(st.lists(st.sampled_from((*VALUE_LABELS, *often)), max_size=6, unique=True)):
        good = st.sampled_from(GOOD[name]) if name in GOOD else VALUES
        text = draw(good | good | VALUES)
        if (
            name == "HTTP_BACKEND_REDIR"
        ):  # what begins with anything else is a template, whose lines are its owner's
            text = "/" + text
        labels = labels | {f"{draw(st.sampled_from((0, 0, 0, 1)))}_{name}": text}
    for name in draw(st.lists(st.sampled_from(sorted(PER_APP)), max_size=1)):
        labels[name] = draw(VALUES)
    checks = draw(
        st.lists(
            st.builds(
                HealthCheck,
                protocol=st.sampled_from(("HTTP", "HTTPS", "TCP", "COMMAND", "odd\nprotocol")),
                path=st.none() | VALUES,
                port_index=st.sampled_from((None, 0, 1, 9, -1)),
                port=st.sampled_from((None, 9000)),
                interval_seconds=st.integers(-(2**40), 2**40),
                max_consecutive_failures=st.integers(-(2**40), 2**40),
            ),
            max_size=2,
        )
    )
    return app(
        draw(IDS),
        labels,
        networking=draw(st.sampled_from(tuple(Networking))),
        ports=(
            Port(draw(st.integers(-1, 70000)), container_port=80),
            Port(draw(st.integers(0, 3)), on_host=False),
        ),
        tasks=(task(1, addresses=("9.0.0.1",)), task(2, addresses=("fd00::2",), ports=(31000, 31001))),
        health_checks=tuple(checks),
    )


def rendered(some: list[App], maps: bool, grouped: bool = False) -> Rendered:
    """What these apps come to."""
    chosen = Settings(groups=frozenset("*"), haproxy_map=maps, group_https_by_vhost=grouped)
    offers = Offers(chosen, PER_APP_NAMES, lambda host: host)
    by_id = {each.id: each for each in some}
    offers.update(by_id, by_id)
    for problem in offers.problems():
        str(problem)
    return Renderer(chosen, TEMPLATES).render(offers.services())


class AnythingTests(SynchronousTestCase):
    """Any label value at all."""

    def check(self, made: Rendered) -> None:
        text = made.config.text("/etc/haproxy")
        self.assertFalse(set(text) & set("\0\r\t\x0b\x0c\x1b\x7f\x85\u2028\u2029"))
        owned: dict[Any, list[str]] = {}
        for section in made.config:
            self.assertEqual(
                section.text.strip().count("\n\n"), 0 if section.kind != "head" else 2, section.text
            )
            for chunk in section.chunks:
                owned.setdefault(chunk.owner.app_id, []).append(chunk.text)
        for line in text.split("\n"):
            found = words(line.replace('"$HAPROXY_LOCALPEER"', "ours"))
            self.assertIsNotNone(found, line)
            if found:
                self.assertIn(found[0], KINDS, line)
                for evil in ("evil", "/etc/shadow"):
                    as_host = evil == "evil" and found[0] == "acl"  # a VHOST may be so called
                    if evil in found and found[0] not in ("bind", "balance") and not as_host:
                        self.fail(line)
        for name, lines in made.config.map_texts().items():
            for line in lines.splitlines():
                self.assertEqual(len(line.split()), 2, (name, line))
                self.assertFalse(line.startswith("#"))

    @settings(max_examples=400, deadline=None, suppress_health_check=[Check.too_slow])
    @given(st.lists(apps(), max_size=3), st.booleans(), st.booleans())
    @example([app("/x", {"0_VHOST": "a\n  server evil 10.9.9.9:80"})], True, False)
    @example([app("/x", {"0_VHOST": "a", "0_AUTH": 'r" if TRUE #:u:abc'})], False, False)
    def test_any_labels(self, some: list[App], maps: bool, grouped: bool) -> None:
        """Every line begins with a word of ours, and holds no comment and no open quote."""
        self.check(rendered(some, maps, grouped))

    def test_the_reader(self) -> None:
        """The reader of lines knows words, quotes, backslashes and comments, so that these tests can fail."""
        table: dict[str, list[str] | None] = {
            'a b\\ c \'d $e # \\\' "f\\"g"': ["a", "b c", "d $e # \\", 'f"g'],
            "a # b": None,
            "a\\#b \\$c": ["a#b", "\\$c"],
            "a 'b": None,
            'a "b': None,
            "a \\": None,
            'a "$b"': None,
            'a "\\$b" ""': ["a", "$b", ""],
            "  ": [],
        }
        for line, wanted in table.items():
            self.assertEqual(words(line), wanted, line)
