"""Random clusters: plain apps, and one app whose owner controls everything that is his and means harm."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from attrs import evolve, frozen

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, HealthCheck, Networking, Port, Task
from marathonlb.routing.labels.parse import PER_APP, PER_PORT
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.settings import Settings
from tests.config.test_anything import GOOD
from tests.fuzz.reader import PIECE
from tests.routing.lines.test_allowed import HARMFUL, HARMLESS

LB = "192.0.2.1"
"""The address of the load balancer's machine."""

HASH = "$1$salt$qJH7.N4xYta3aEG/dfqo/0"

VALUE_LABELS = tuple(sorted(name for name, row in PER_PORT.items() if not row.template))
"""The labels whose values are no text of HAProxy's configuration."""

STRICT = policy_of(
    f"""
[defaults]
templates = []
hosts = []
ports = ["20000-29999"]
addresses = ["{LB}"]
deployment_groups = []

[apps."/bank"]
hosts = ["*"]
ports = ["*"]
addresses = ["*"]
deployment_groups = ["*"]
templates = ["*"]
""",
    PER_APP_NAMES,
)
OFTEN = ("VHOST", "PATH", "PATH", "AUTH", "BIND_ADDR", "PORT", "BACKEND_WEIGHT")
"""The labels that claim what others have; they are tried more often."""

LINES = policy_of('[defaults]\ntemplates = "lines"\n[apps."/bank"]\ntemplates = ["*"]\n', PER_APP_NAMES)
POLICIES: Mapping[str, Policy] = {"none": OPEN, "strict": STRICT, "lines": LINES}


@frozen
class Cluster:
    """
    One case.

    :param policy: the name of one of `POLICIES`.
    :param hostile: the app that means harm; it is younger than all others.
    """

    settings: Settings
    policy: str
    plain: tuple[App, ...]
    hostile: App


def plain_apps() -> tuple[App, ...]:
    """Apps that want nothing but to be served: hosts, paths, wildcards, passwords, ports, certificates, TCP, groups."""
    rows: tuple[tuple[str, int, dict[str, str]], ...] = (
        ("/bank/web", 10000, {"0_VHOST": "bank.test", "0_AUTH": f"Bank:joe:{HASH}", "0_STICKY": "true"}),
        ("/bank/pay", 10001, {"0_VHOST": "bank.test", "0_PATH": "/pay", "0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8"}),
        ("/bank/all", 10002, {"0_VHOST": "*.bank.test,www.bank.test"}),
        ("/bank/case", 10003, {"0_VHOST": "case.test", "0_PATH": "-i /Api"}),
        ("/bank/tcp", 10004, {"0_MODE": "tcp"}),
        ("/bank/tls", 10005, {"0_VHOST": "tls.test", "0_SSL_CERT": "/etc/ssl/tls.pem"}),
        ("/bank/weighty", 10006, {"0_VHOST": "weight.test", "0_BACKEND_WEIGHT": "3"}),
        ("/bank/bound", 10007, {"0_VHOST": "bound.test", "0_BIND_ADDR": LB}),
        ("/bank/blue", 10008, {"DEPLOYMENT_GROUP": "colours", "0_VHOST": "colour.test"}),
        ("/bank/redirect", 10009, {"0_VHOST": "secure.test", "0_REDIRECT_TO_HTTPS": "true"}),
        ("/bank/own", 10010, {"0_VHOST": "own.test", "0_HTTP_FRONTEND_ACL": OWN_ACL}),
    )  # fmt: skip
    return tuple(
        App(
            app_id,
            {f"HAPROXY_{label}": text for label, text in labels.items()},
            ports=(Port(port),),
            tasks=(Task(f"{app_id}.1", host="10.0.0.1", ports=(31000 + port % 100,), state="TASK_RUNNING"),),
            config_changed_at="2020-01-01T00:00:00.000Z",
        )
        for app_id, port, labels in rows
    )


OWN_ACL = (
    "  acl host_{cleanedUpHostname} hdr(host),host_only -i {hostname}\n"
    "  use_backend {backend} if host_{cleanedUpHostname}\n"
)

HOSTS = (
    "bank.test", "BANK.test", "bank.test.", "*.bank.test", "*.test", "www.bank.test", "pay.bank.test", "case.test",
    "tls.test", "weight.test", "own.test", "colour.test", "secure.test", "evil.test", "*", "*.", "", "localhost",
    "bank\uff0etest", "b\u00e4nk.test", "xn--bnk-qla.test", "bank.test/pay", "bank.test:80", "http://bank.test/",
    "bank.test\t", "bank.test#", "bank_test", "_.bank.test", "a" * 63 + ".test", "a" * 64 + ".test", "[::1]",
    "10.0.0.1", "shared",
)  # fmt: skip
PATHS = (
    "/", "/pay", "/PAY", "/Api", "/api", "-i /", "-i /pay", "-i /API", "/pa", "/p", "//", "/%2f", "/pay/", "/a b",
    "pay", "/#", "/\"", "/'", "/\\", "/$HOME", "/%[env(HOME)]", "/?x", "/bank.test/", "/\u00e9", "/.",
)  # fmt: skip
TRICKS = (
    "\n", "\r", "\0", "\t", " ", "#", "'", '"', "\\", "$HOME", "${HOME}", "%[env(HOME)]", "{", "}", "{backend}", ",",
    "\u2028", "\x85", "\x1b[2J", "\n  server evil 10.9.9.9:80\n", "\nbackend bank_web_10000\n", "bank_web_10000", "*",
    "-i", "-f /etc/passwd", "!", "if", "unless", "use_backend bank_web_10000", "\u202e", "\U0001f600", "\ufeff", "\x7f",
    "bank.test", "bank.test/ evil\n", ":", "::", "0.0.0.0", "[::]", "::ffff:0.0.0.0", LB, "127.0.0.1", "abns@x", "fd@3",
    "unix@/tmp/x", "10000", "443", "80", "9090", "user_bank_web_10000", "-1", "0", "65536", "1e3", "\u0661", "true",
)  # fmt: skip
IDS = (
    "/evil", "/bank_web", "/bank.web", "/bank-web", "/bank_web_10000", "/bank/web/10000", "/bank_web_10000_in",
    "/bank_web_in", "/marathon/http", "/marathon_http_in", "/marathon_https_in", "/stats", "/user_bank_web", "/colours",
    "/bank_colours", "/a", "/" + "a" * 250, "/" + "a" * 2000, "/" + "a" * PIECE, "/e\u00e9", "/e'\"#\\{$HOME}",
    "/e/../bank/web",     "/marathon_lb_rates", "/marathon_lb", "/BANK/web", "/bank%2fweb",
)  # fmt: skip
"""None is in the parent group of the plain apps: those who may write there are one team."""

BOUNDARIES = (
    253,
    254,
    255,
    256,
    1023,
    1024,
    2047,
    2048,
    2049,
    4096,
    8192,
    *range(16_381, 16_386),
    32_766,
    65_535,
)


class Hostile:
    """
    Makes apps that mean harm.

    :param chance: decides everything, so that one seed makes one app.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def app(self, templates: bool) -> App:
        """
        An app.

        :param templates: its labels may hold templates too.
        """
        chance = self._chance
        count = chance.choice((1, 1, 1, 2, 3))
        labels: dict[str, str] = {}
        if chance.random() < 0.8:
            labels["HAPROXY_0_VHOST"] = chance.choice((self._hosts(), self._hosts(), "evil.test"))
        for _ in range(chance.choice((1, 2, 3, 5))):
            index = chance.randrange(count)
            name = chance.choice(
                (*VALUE_LABELS, "VHOST", "PATH", "PATH", "AUTH", "BIND_ADDR", "PORT", "BACKEND_WEIGHT")
            )
            value = self._value(name)
            if name == "HTTP_BACKEND_REDIR":  # what begins with anything else is a template
                value = f"/{value}"
            labels[f"HAPROXY_{index}_{name}"] = value
        if chance.random() < 0.3:
            name = chance.choice(sorted(PER_APP))
            labels[f"HAPROXY_{name}"] = self._value(name)
        if templates:
            for _ in range(chance.choice((1, 2))):
                name, text = chance.choice(chance.choice((HARMLESS, HARMFUL)))
                labels[f"HAPROXY_0_{name}"] = self._mutated(text) if chance.random() < 0.3 else text
        if chance.random() < 0.1:
            labels |= self._tls()
        if chance.random() < 0.05:
            labels |= {
                f"HAPROXY_{chance.randrange(9)}_{self._word()}{n}": "x"
                for n in range(chance.choice((9, 600)))
            }
        ports = tuple(self._port() for _ in range(count))
        return App(
            chance.choice((*IDS, "/evil", "/evil", "/team/evil")),
            labels,
            networking=chance.choice((*Networking, Networking.HOST)),
            ports=ports,
            tasks=tuple(self._task(number, count) for number in range(chance.choice((1, 1, 2)))),
            health_checks=tuple(self._check() for _ in range(chance.choice((0, 0, 1, 2)))),
            config_changed_at="2021-01-01T00:00:00.000Z",
        )

    def _port(self) -> Port:
        chance = self._chance
        number = chance.choice(
            (20000, 20001, 10000, 10000, 10004, 10007, 80, 443, 9090, 9091, 0, 65535, 70000, -1)
        )
        return Port(number, container_port=chance.choice((80, 0)), on_host=chance.random() < 0.8)

    def _task(self, number: int, count: int) -> Task:
        chance = self._chance
        host = chance.choice(
            ("10.0.0.9", "10.0.0.9", "10.0.0.1", "evil.test", "127.0.0.1", "::1", "a b", "x" * 300)
        )
        ports = tuple(31900 + 10 * number + n for n in range(count))
        return Task(f"evil.{number}", host=host, ports=ports, addresses=("10.9.0.1",), state="TASK_RUNNING")

    def _check(self) -> HealthCheck:
        chance = self._chance
        return HealthCheck(
            protocol=chance.choice(("HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "odd\nprotocol")),
            path=chance.choice((None, self._value("PATH"), self._value("PATH"), "/up")),
            port_index=chance.choice((None, 0, 9, -1)),
            port=chance.choice((None, 22, 70000)),
            interval_seconds=chance.choice((5, 0, -1, 2**40)),
            max_consecutive_failures=chance.choice((3, 0, 2**40)),
        )

    def _hosts(self) -> str:
        chance = self._chance
        found = [chance.choice(HOSTS) for _ in range(chance.choice((1, 1, 2, 5)))]
        return chance.choice((",", ", ", " ")).join(found)

    def _value(self, name: str) -> str:
        chance = self._chance
        kind = chance.random()
        if kind < 0.1 and name == "PATH":
            return self._second_line()
        if kind < 0.4:
            if name == "VHOST":
                return self._hosts()
            if name == "PATH":
                return " ".join(chance.choice(PATHS) for _ in range(chance.choice((1, 1, 2))))
            if name == "DEPLOYMENT_GROUP":
                return chance.choice(("colours", "/colours", "bank", "bank/web", "bank_web", "a" * 300))
            if name == "PORT":
                return chance.choice(("10000", "10004", "10007", "80", "443", "9090", "20005"))
            if name == "BIND_ADDR":
                return chance.choice(
                    (LB, "*", "0.0.0.0", "::", "::ffff:192.0.2.1", "localhost", "127.0.0.1", "192.0.2.2")
                )
            return chance.choice(GOOD.get(name, TRICKS))
        if kind < 0.6:
            return self._boundary(name)
        if kind < 0.8:
            return self._mutated(chance.choice(GOOD.get(name, HOSTS)))
        return "".join(chance.choice(TRICKS) for _ in range(chance.randrange(1, 5)))

    def _boundary(self, name: str) -> str:
        """A value whose length, alone or in its line, is where something may be cut off."""
        chance = self._chance
        length = chance.choice(BOUNDARIES)
        head = chance.choice(("/", "a", "10.0.0.0/8 ", "realm:user:", "hdr(", '"', "$6$rounds=", "/x "))
        tail = chance.choice(
            ("", "bank.test/ ", "bank.test/", "bank.test bank_web_10000", "\n", ")", "/bank/web x")
        )
        less = chance.choice(
            (0, 0, len("evil.test"), len("evil.test/"), len("bank.test"), len(head), len(tail))
        )
        if name == "VHOST" and chance.random() < 0.5:
            return ",".join(f"h{number}.test" for number in range(length // 8))
        letter = chance.choice(("A", "a", "\u00e9", "/", "\\", '"', "\n", ".", ",", " ", "a "))
        return head + letter * max(0, length - less - len(head)) + tail

    def _tls(self) -> dict[str, str]:
        """A part of somebody's host, or a name of ours, with other TLS than it has."""
        chance = self._chance
        name, text = chance.choice(
            (
                ("SSL_CERT", "/etc/ssl/evil.pem"),
                ("BIND_OPTIONS", "verify required ca-file /etc/ssl/evil.pem"),
                ("TLS_PASSTHROUGH", "true"),
            )
        )
        host, path = chance.choice((*HOSTS[:13], "shared")), chance.choice(("/", "/e", "/pay/x", "-i /E"))
        return {"HAPROXY_0_VHOST": host, "HAPROXY_0_PATH": path, f"HAPROXY_0_{name}": text}

    def _second_line(self) -> str:
        """A path whose end would be an entry of its own, where a map file is read in pieces."""
        chance = self._chance
        host = chance.choice(("evil.test", "evil.test", "own.test", "*.test"))
        times = chance.choice((1, 1, 1, 2))
        filled = times * PIECE - len(host) - 1 + chance.choice((0, 0, 0, -1, 1, -2, 2))
        return (
            "/"
            + chance.choice(("A", "a/")) * filled
            + chance.choice(("bank.test/", "bank.test/pay", "www.bank.test/"))
        )

    def _mutated(self, text: str) -> str:
        chance = self._chance
        for _ in range(chance.choice((1, 1, 2))):
            here = chance.randrange(len(text) + 1)
            text = text[:here] + chance.choice(TRICKS) + text[here:]
        return text

    def _word(self) -> str:
        return "".join(self._chance.choice("VHOSTPATHAU_TH") for _ in range(self._chance.randrange(3, 9)))


def cluster(seed: int) -> Cluster:
    """The case of a seed."""
    chance = random.Random(seed)
    policy = chance.choice(("none", "none", "strict", "lines"))
    options: dict[str, Any] = {
        "haproxy_map": chance.random() < 0.7,
        "group_https_by_vhost": chance.random() < 0.3,
        "ssl_certs": ("/etc/ssl/shared.pem",),
        "state_dir": "/run/mlb",
        "groups": frozenset("*"),
    }
    return Cluster(Settings(**options), policy, plain_apps(), Hostile(chance).app(templates=policy != "none"))


def smaller(case: Cluster) -> Sequence[Cluster]:
    """The case with one label, port, task or check less, for a search of the smallest one that fails."""
    app = case.hostile
    found: list[App] = [
        msgspec.structs.replace(app, labels={k: v for k, v in app.labels.items() if k != name})
        for name in app.labels
    ]
    if app.health_checks:
        found.append(msgspec.structs.replace(app, health_checks=app.health_checks[1:]))
    if len(app.ports) > 1:
        found.append(msgspec.structs.replace(app, ports=app.ports[:-1]))
    if len(app.tasks) > 1:
        found.append(msgspec.structs.replace(app, tasks=app.tasks[:1]))
    return [evolve(case, hostile=each) for each in found]
