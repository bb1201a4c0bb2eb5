"""What HAProxy cuts off, splits or leaves out where it is too long, and that nothing of one app gets there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve

from marathonlb.config.templates.loader import load_templates
from marathonlb.marathon.model import HealthCheck, Port
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.question import UrlQuestion
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.integration.haproxies import free_port, on_each
from tests.integration.settling import settled
from tests.integration.test_routing_model import Asked
from tests.integration.worlds import World, ask, certificate
from tests.routing.apps import app, task

PIECE = 16_383
"""Bytes that HAProxy reads of a map file at once."""

BANK = "bank.example.com"


def smuggling(host: str, length: int) -> str:
    """A path whose map line is so long with its host that what follows begins the next piece."""
    return f"/{'A' * (length - len(host) - 1)}{BANK}/"


class Unbounded(World):
    """A world whose app `/evil` has one path of any length, though its labels hold none."""

    path = ""

    def services(self) -> list[Service]:
        """The services, with that path."""
        found = super().services()
        return [evolve(s, paths=(self.path,)) if s.app_id == "/evil" and self.path else s for s in found]


class LimitsMixin:
    """Each limit, on each HAProxy."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    addCleanup: Any

    def world(self, kind: type[World] = World, **options: Any) -> Any:
        """A bank that asks for a password, and its neighbour."""
        world = kind(self.binary, **options)
        self.addCleanup(world.end)
        world.app(
            "bank", {"0_VHOST": BANK, "0_AUTH": "r:u:$5$rounds=1000$s$" + "a" * 43}, config_changed_at="2020"
        )
        return world

    def directory(self) -> Path:
        directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        return directory

    def test_paths(self) -> None:
        """A path in a label is bounded, so that no map line of it reaches the end of a piece."""
        world = self.world()
        lengths = (*range(PIECE - 2, PIECE + 3), 2 * PIECE, 2 * PIECE - 1)
        for number, length in enumerate(lengths):
            host = f"e{number}.test"
            world.app(
                f"evil{number}",
                {"0_VHOST": host, "0_PATH": smuggling(host, length)},
                config_changed_at="2021",
            )
        world.app("fair", {"0_VHOST": "fair.test", "0_PATH": "/" + "a" * 2047})
        world.start()
        self.assertEqual("401", ask(world.http, BANK, "/").who)
        self.assertEqual("401", ask(world.http, BANK, "/account").who)
        self.assertEqual("fair", ask(world.http, "fair.test", "/" + "a" * 2047).who)
        told = [(problem.app_id, problem.label) for problem in world.problems if problem.fatal]
        self.assertEqual([(f"/evil{number}", "HAPROXY_0_PATH") for number in range(len(lengths))], told)

    def test_lines_of_maps(self) -> None:
        """What came past the labels is left out of the map, and explanations know that."""
        for length in (PIECE - 1, PIECE, PIECE + 1):
            world = self.world(Unbounded)
            world.app("evil", {"0_VHOST": "e.test"}, config_changed_at="2021")
            world.path = smuggling("e.test", length)
            world.start()
            self.assertEqual("401", ask(world.http, BANK, "/").who, length)
            rendered = world.render()
            self.assertIn(("/evil", "HAPROXY_0_PATH"), [(p.app_id, p.label) for p in world.problems])
            state = State({}, world.settings, services=rendered.services, rules=rendered.rules)
            answer = explain(UrlQuestion("http", BANK, None, "/"), state)
            self.assertIn("leads to /bank port 0", answer.verdict)

    def test_pieces(self) -> None:
        """HAProxy reads map files in pieces of this length, whatever its buffer is."""
        for size in ("", "  tune.bufsize 8192\n", "  tune.bufsize 65536\n"):
            directory, port = self.directory(), free_port()
            look = f"%[path,map_str({directory}/word.map,none)]"
            answer = f'http-request return status 200 content-type text/plain lf-string "{look}"'
            text = f"global\n{size}defaults\n  mode http\n  timeout client 5s\nfrontend f\n  bind 127.0.0.1:{port}\n"
            (directory / "word.map").write_text(f"{'A' * PIECE}/next yes\n{'A' * (PIECE - 1)}/none yes\n")
            haproxy = Asked(self.binary, directory, f"{text}  {answer}\n", port)
            self.addCleanup(haproxy.end)
            self.assertEqual(
                ["yes", "none"], list(haproxy.answers([("a.test", "/next"), ("a.test", "/none")])), size
            )

    def test_largest(self) -> None:
        """HAProxy takes an app whose every value is as long as it may be, serves it, and names it in its answers."""
        world = self.world()
        file = certificate(world.directory / "c.pem", "a.test")
        links = [world.directory / f"{number}.pem" for number in range(20)]
        for link in links:
            link.symlink_to(file)
        label = "a" * 63
        host = ".".join([label, label, label, "b" * 61])
        name = "/".join(["n" * 100] * 5)[:505]
        paths = " ".join(f"/{number:04}/" + "p" * 2042 for number in range(20))
        world.app(
            name,
            {
                "0_VHOST": f"{host},*.{host}," + ",".join(f"h{number}.test" for number in range(300)),
                "0_PATH": paths,
                "0_HTTP_BACKEND_PROXYPASS_PATH": "/0001/" + "p" * 2042,
                "0_HTTP_BACKEND_REVPROXY_PATH": "/" + "r" * 2047,
                "0_HTTP_BACKEND_REDIR": "/" + "d" * 2047,
                "0_BALANCE": "url_param " + "u" * 990,
                "0_CORS": " ".join(f"https://{number:02}{host[2:]}" for number in range(40)),
                "0_BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.1 " + " ".join(f"::{n:x}" for n in range(1999)),
                "0_SSL_CERT": ",".join(map(str, links)),
                "0_BIND_OPTIONS": "ssl-min-ver TLSv1.2 " + "alpn h2,http/1.1 " * 4,
                "0_AUTH": f"{'R' * 255}:{'u' * 255}:$5$rounds=1000$s${'a' * 43}",
                "0_STICKY": "true",
            },
            health_checks=(HealthCheck(path="/" + "c" * 2047, port_index=0),),
        )
        world.start()
        self.assertEqual([], [problem for problem in world.problems if problem.fatal], world.problems)
        answer = ask(world.http, host, "/0001/" + "p" * 2042 + "/x")
        self.assertEqual(401, answer.status)
        self.assertEqual("401", ask(world.http, "h299.test", "/0019/" + "p" * 2042).who)

    def test_words(self) -> None:
        """More words than HAProxy takes on a line are the problem of the app that wrote them, and of nobody else."""
        many = " ".join(f"/{number}" for number in range(70))
        few = " ".join(f"/{number}" for number in range(50))
        rule = "  acl path_{backend} {pathMatch}\n"
        long = "  acl path_{backend} {pathMatch}" + " /x" * 20
        for labels, label in (
            ({"PATH": f"{many} {many}", "HTTP_FRONTEND_ACL_ONLY_WITH_PATH": rule}, ""),
            ({"PATH": many, "HTTP_FRONTEND_ACL_WITH_PATH": "  # mine\n"}, ""),
            ({"PATH": few, "HTTP_FRONTEND_ACL_ONLY_WITH_PATH": long}, "HTTP_FRONTEND_ACL_ONLY_WITH_PATH"),
            ({"BIND_OPTIONS": "alpn h2 " * 20, "SSL_CERT": "/a,/b,/c,/d,/e,/f"}, "BIND_OPTIONS"),
            ({"BACKEND_EXTRA": "  acl x path " + many}, "BACKEND_EXTRA"),
            ({"SERVER_EXTRA": "weight 1 " * 40}, "SERVER_EXTRA"),
            (
                {
                    "HTTP_BACKEND_REVPROXY_PATH": "/x",
                    "VHOST": ",".join(f"{'h' * 60}{n}.test" for n in range(950)),
                },
                "",
            ),
        ):
            directory = self.directory()
            settings = Settings(ssl_certs=(), state_dir=str(directory))
            texts = {f"0_{name}": text for name, text in {"VHOST": "e.test", **labels}.items()}
            apps = [
                app("/bank", {"0_VHOST": BANK}),
                app("/evil", texts, ports=(Port(10001),), tasks=(task(2),)),
            ]
            wanted, _ = settled(self.binary, directory, settings, load_templates("/nowhere", {}), apps)
            served = {each.app_id for each in wanted.services}
            told = [(problem.app_id, problem.label) for problem in wanted.problems]
            if label:
                self.assertEqual(({"/bank"}, [("/evil", f"HAPROXY_0_{label}")]), (served, told))
            self.assertIn("/bank", served)
            self.assertNotIn("/bank", [app_id for app_id, _ in told])

    def test_certificates(self) -> None:
        """The certificates of many apps of one host have room on one line, beside the options of the oldest one."""
        directory = self.directory()
        file = certificate(directory / "c.pem", "a.test")
        for number in range(60):
            (directory / f"{number}.pem").symlink_to(file)
        apps = [
            app(
                f"/team/app{number}",
                {
                    "0_VHOST": "a.test",
                    "0_PATH": f"/{number}",
                    "0_SSL_CERT": ",".join(f"{directory}/{15 * number + each}.pem" for each in range(15)),
                    **({"0_BIND_OPTIONS": "alpn h2,http/1.1 " * 10} if number == 0 else {}),
                },
                ports=(Port(10000 + number),),
                config_changed_at=f"202{number}",
            )
            for number in range(4)
        ]
        settings = Settings(ssl_certs=(), state_dir=str(directory), group_https_by_vhost=True)
        wanted, checks = settled(self.binary, directory, settings, load_templates("/nowhere", {}), apps)
        self.assertEqual(1, checks)
        told = [(problem.app_id, problem.label) for problem in wanted.problems]
        self.assertEqual([(f"/team/app{number}", "HAPROXY_0_SSL_CERT") for number in (1, 2, 3)], told)
        (own,) = wanted.rendered.sni.ended
        self.assertEqual([f"{directory}/{number}.pem" for number in range(15)], list(own.certs))


on_each(LimitsMixin, globals())
