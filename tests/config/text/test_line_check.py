"""The lines of maps and of the configuration, checked where they are written, whatever let them through."""

from __future__ import annotations

import time

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.text.line_check import LINE, MAP_LINE, NAME, room_of_maps
from marathonlb.routing.explain.router_model import route
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, service, task

DEFAULTS = load_templates("/nowhere", {})
BANK = service("bank", 10001, hosts=("bank.example.com",))


def rendered(*services: Service, head: str = "", **options: object) -> Rendered:
    """The configuration for these services."""
    templates = load_templates("/nowhere", {"HAPROXY_HEAD": head}) if head else DEFAULTS
    settings = Settings(**{"ssl_certs": (), **options})  # type: ignore[arg-type]
    return Renderer(settings, templates).render(services)


def labelled(labels: dict[str, str], tasks: int = 1, **options: object) -> Rendered:
    """The configuration for an app with these labels, beside another one."""
    made = app("/evil", labels, tasks=tuple(task(number) for number in range(tasks)))
    return rendered(*offered(made).services, BANK, **options)


class MapTests(SynchronousTestCase):
    """Map files."""

    def test_boundaries(self) -> None:
        """An entry that is too long for a piece is left out, the rules know it not, and its owner is told."""
        lengths = (MAP_LINE - 1, MAP_LINE, MAP_LINE + 1, *range(16_381, 16_386), 32_767, 65_535)
        for length in lengths:
            for letter in "aä":
                fixed = len("e.test evil_10000\n") + 1
                size = limits.size(letter)
                path = "/" + letter * ((length - fixed) // size) + "b" * ((length - fixed) % size)
                evil = service("evil", paths=(path,), hosts=("e.test",))
                found = rendered(evil, BANK)
                lines = found.config.map_texts()["path2backend.map"].encode().splitlines(keepends=True)
                self.assertEqual([length] if length <= MAP_LINE else [], [len(line) for line in lines])
                told = [(p.app_id, p.label, p.fatal) for p in found.problems]
                self.assertEqual([] if lines else [("/evil", "HAPROXY_0_PATH", False)], told)
                self.assertEqual(bool(lines), route(found.rules, "e.test", path) is not None)
                self.assertEqual("/bank", route(found.rules, "bank.example.com", "/").service.app_id)

    def test_each_map(self) -> None:
        """Hosts, wildcards and app ids, whose lines end in a backend's name as well."""
        long = "x" * 5000
        for evil, label in (
            (service("evil", hosts=(f"{long}.test",)), "HAPROXY_0_VHOST"),
            (service("evil", hosts=(f"*.{long}.test",)), "HAPROXY_0_VHOST"),
            (service(long, mode="http"), "id"),
            (evolve(service("evil", hosts=("e.test",)), backend=long), "HAPROXY_0_VHOST"),
        ):
            found = rendered(evil, BANK)
            self.assertIn((evil.app_id, label), [(p.app_id, p.label) for p in found.problems])
            for text in found.config.map_texts().values():
                self.assertTrue(all(len(line) < MAP_LINE for line in text.splitlines()))
            self.assertIn("bank.example.com bank_10001\n", found.config.map_texts()["domain2backend.map"])

    def test_buffer(self) -> None:
        """A smaller buffer leaves less room, a larger one no more: HAProxy reads map files in the same pieces."""
        for text, room in (
            ("", MAP_LINE),
            ("global\n  tune.bufsize 65536\n", MAP_LINE),
            ("global\n  tune.bufsize 1024\n", 768),
            ("global\n\ttune.bufsize  2k # small\n  tune.bufsize 32k\n", 1792),
            ('global\n  tune.bufsize "1024"\n', 768),
            ("global\n  tune.bufsize 100\n", 0),
            ("global\n  # tune.bufsize 100\n  tune.bufsize.small 100\n", MAP_LINE),
        ):
            self.assertEqual(room, room_of_maps(text), text)
        evil = service("evil", paths=("/" + "a" * 1000,), hosts=("e.test",))
        found = rendered(evil, BANK, head="global\n  tune.bufsize 1024\n")
        self.assertEqual((), found.config.maps["path2backend.map"])
        self.assertEqual(["HAPROXY_0_PATH"], [problem.label for problem in found.problems])


class TextTests(SynchronousTestCase):
    """The text that an app's labels write."""

    def refused(self, found: Rendered, label: str, words: str) -> None:
        self.assertEqual(["/bank"], [each.app_id for each in found.services])
        ((app_id, name, reason),) = [(p.app_id, p.label, p.reason) for p in found.problems]
        self.assertEqual(("/evil", f"HAPROXY_0_{label}"), (app_id, name))
        self.assertIn(words, reason)

    def test_lines(self) -> None:
        """A line has so many bytes at most, and a name fewer."""
        for label, good, bad, words in (
            ("BACKEND_EXTRA", "#" * LINE, "#" * (LINE + 1), "line 1 of its text has 16001 bytes"),
            (
                "BACKEND_EXTRA",
                "#\n" * 100 + "ä" * 8000,
                "#\n" * 100 + "ä" * 8001,
                "line 101 of its text",
            ),
            ("BACKEND_HEAD", "backend " + "b" * NAME, "backend " + "b" * (NAME + 1), "a name of 751 bytes"),
            (
                "FRONTEND_EXTRA",
                "acl " + "b" * NAME + " path /",
                "acl " + "b" * (NAME + 1) + " path /",
                "a name of",
            ),
            (
                "BACKEND_SERVER_OPTIONS",
                "server {serverName}" + "s" * 700 + " {host_ipv4}:{port}\n",
                "server {serverName}" + "s" * 750 + " {host_ipv4}:{port}\n",
                "a name of",
            ),
        ):
            self.assertEqual(2, len(labelled({f"0_{label}": good}).services), (label, len(good)))
            self.refused(labelled({f"0_{label}": bad}), label, words)
        self.assertEqual(2, len(labelled({"0_BACKEND_EXTRA": " " * 16000}).services))

    def test_variables(self) -> None:
        """What a text comes to with its variables, and with all servers, is bounded before it is made."""
        paths = " ".join(f"/{number}" for number in range(9900))
        hosts = {"0_VHOST": "e.test", "0_PATH": paths}
        begun = time.process_time()
        self.refused(
            labelled({**hosts, "0_BACKEND_EXTRA": "#{path}\n" * 7000}), "BACKEND_EXTRA", "with its variables"
        )
        self.refused(
            labelled({"0_SERVER_EXTRA": "check " * 2500}, tasks=250), "SERVER_EXTRA", "with all servers"
        )
        long = {"0_VHOST": "e.test", "0_PATH": "/" + "p" * 2000}
        texts = {f"0_{name}_EXTRA": "#{path}\n" * 100 for name in ("FRONTEND", "BACKEND")}
        self.refused(labelled({**long, **texts}), "BACKEND_EXTRA", "with the service's other labels")
        networks = " ".join(f"10.0.{number // 250}.{number % 250}" for number in range(2000))
        acl = {"0_BACKEND_NETWORK_ALLOWED_ACL": networks, "0_TCP_BACKEND_NETWORK_ALLOWED_ACL": "#\n" * 30000}
        self.refused(labelled(acl), "TCP_BACKEND_NETWORK_ALLOWED_ACL", "with the service's other labels")
        self.assertLess(time.process_time() - begun, 2)
        self.assertEqual(2, len(labelled({"0_SERVER_EXTRA": "maxconn 10"}, tasks=250).services))

    def test_beside_the_maps(self) -> None:
        """Rules that every request goes past are few, those that a younger app's weight puts there not counted."""
        hosts = ",".join(f"h{number}.test" for number in range(100))
        paths = " ".join(f"/{number}" for number in range(30))
        plain = labelled({"0_VHOST": hosts, "0_PATH": paths})
        self.assertEqual((3000, ()), (len(plain.rules.paths), plain.problems))
        many = ",".join(f"*.w{number}.test" for number in range(1100))
        for labels in (
            {"0_VHOST": hosts, "0_PATH": f"-i {paths}"},
            {"0_VHOST": hosts, "0_PATH": paths, "0_BACKEND_WEIGHT": "1"},
            {"0_VHOST": "*.e.test", "0_PATH": " ".join(f"/{number}" for number in range(1100))},
            {"0_VHOST": many, "0_BACKEND_WEIGHT": "1"},
        ):
            found = labelled(labels)
            rules = (*found.rules.first, *found.rules.later)
            self.assertEqual(limits.ACL_RULES, sum(len(rule.hosts) for rule in rules), labels)
            (problem,) = found.problems
            self.assertEqual(("/evil", False), (problem.app_id, problem.fatal))
            self.assertEqual("/bank", route(found.rules, "bank.example.com", "/").service.app_id)
        wild = service("bank/wild", 10002, hosts=("*.bank.test",), weight=5, since="2020")
        names = tuple(f"h{number}.bank.test" for number in range(1500))
        found = rendered(wild, service("evil/x", 10003, hosts=names, since="2021"))
        self.assertLessEqual(sum(len(rule.hosts) for rule in found.rules.first), limits.ACL_RULES + 1)
        self.assertEqual({"/evil/x"}, {problem.app_id for problem in found.problems})
        self.assertEqual("/bank/wild", route(found.rules, "h7.bank.test", "/").service.app_id)

    def test_rules(self) -> None:
        """What labels write in the shared frontends, once for each host, is bounded in all of them together."""
        hosts = ",".join(f"h{number}.test" for number in range(4000))
        for options in ({}, {"group_https_by_vhost": True}):
            found = labelled(
                {
                    "0_VHOST": hosts,
                    "0_SSL_CERT": "/x",
                    "0_HTTPS_FRONTEND_ACL": "#" * 5000,
                    "0_HTTP_FRONTEND_ACL": "#" * 5000,
                },
                ssl_certs=("/c",),
                **options,
            )
            told = [
                problem
                for problem in found.problems
                if "in all rules of the shared frontends" in problem.reason
            ]
            self.assertEqual({"/evil"}, {problem.app_id for problem in told})
            self.assertLess(len(found.config.template), 20_000_000)

    def test_operators(self) -> None:
        """An operator's own lines are as long as the operator likes."""
        templates = load_templates("/nowhere", {"HAPROXY_BACKEND_HTTP_OPTIONS": "#" * 20_000})
        found = Renderer(Settings(ssl_certs=()), templates).render([BANK])
        self.assertEqual((1, ()), (len(found.services), found.problems))


class TimeTests(SynchronousTestCase):
    """The https port of thousands of hosts is written in a time that grows with their number."""

    def test_grouped(self) -> None:
        """Hosts with certificates of their own, wildcards, weights and client certificates."""
        for host, more in (
            ("h{}.test", {}),
            ("*.h{}.test", {}),
            ("h{}.test", {"0_BACKEND_WEIGHT": "3"}),
            ("h{}.test", {"0_BIND_OPTIONS": "ca-file /x verify required"}),
            ("h{}.test", {"0_TLS_PASSTHROUGH": "true"}),
        ):
            hosts = ",".join(host.format(number) for number in range(4000))
            begun = time.process_time()
            found = labelled(
                {"0_VHOST": hosts, "0_SSL_CERT": "/x", **more}, group_https_by_vhost=True, ssl_certs=("/c",)
            )
            self.assertLess(time.process_time() - begun, 4, (host, more))
            self.assertLess(len(found.config.template), 10_000_000)

    def test_certificates_of_several(self) -> None:
        """The oldest apps' certificates of a host come first, and one that has no room more is a problem of its app."""
        owners = [
            Service(
                f"/team/app{number}",
                0,
                10000 + number,
                f"app{number}",
                "http",
                hosts=("h.test",),
                paths=(f"/{number}",),
                ssl_certs=tuple(f"/{number}.{each}.pem" for each in range(9)),
                since=str(number),
            )
            for number in range(4)
        ]
        found = rendered(*owners, group_https_by_vhost=True)
        (own,) = found.sni.ended
        self.assertEqual([f"/{n}.{each}.pem" for n in range(2) for each in range(9)], list(own.certs))
        self.assertEqual(["/team/app2", "/team/app3"], [problem.app_id for problem in found.problems])
