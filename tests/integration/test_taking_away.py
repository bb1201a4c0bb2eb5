"""What a younger app tries to take from an older one of another team by its labels: requests on a real HAProxy."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.offers import Offers
from marathonlb.routing.services.model import Service
from tests.integration.haproxies import free_port, on_each
from tests.integration.worlds import World, ask, certificate, trusting

OLD, YOUNG = "2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"


class Teams(World):
    """Apps that are offered as the controller offers them, deployment groups included."""

    def services(self) -> list[Service]:
        """The services of all apps, and of their groups."""
        offers = Offers(self.settings, PER_APP_NAMES, lambda host: host)
        offers.update({app.id: app for app in self.apps}, [app.id for app in self.apps])
        self.problems = tuple(offers.problems())
        return list(offers.services())


class TakingAwayMixin:
    """The attempts, each beside an app that has served before."""

    binary = ""
    assertEqual: Any
    addCleanup: Any

    def world(self, **options: Any) -> Teams:
        made = Teams(self.binary, **options)
        self.addCleanup(made.end)
        return made

    def answers(
        self, port: int, host: str = "x", path: str = "/", address: str = "127.0.0.1"
    ) -> dict[str, int]:
        """Return the number of responses by task, for 24 new connections."""
        found: Counter[str] = Counter()
        for _ in range(24):
            connection = http.client.HTTPConnection(address, port, timeout=10)
            connection.request("GET", path, headers={"Host": host, "Connection": "close"})
            body = connection.getresponse().read().decode()
            found[body.partition('"who": "')[2].partition('"')[0]] += 1
            connection.close()
        return dict(found)

    def test_addresses(self) -> None:
        """Who has a port on every address keeps it on each of them, and who has it on one keeps that one."""
        for theirs, mine in (
            ("*", "127.0.0.1"),
            ("0.0.0.0", "[::ffff:127.0.0.1]"),
            ("*", "localhost"),
            ("127.0.0.1", "*"),
            ("127.0.0.1", "[::]"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ):
            world = self.world()
            world.app("bank/web", {"0_BIND_ADDR": theirs, "0_MODE": "http"}, config_changed_at=OLD)
            port = str(world.ports["bank/web"])
            world.app(
                "evil/x", {"0_BIND_ADDR": mine, "0_PORT": port, "0_MODE": "http"}, config_changed_at=YOUNG
            )
            world.start()
            self.assertEqual(self.answers(int(port)), {"bank/web": 24}, (theirs, mine))
            told = [(problem.app_id, problem.label) for problem in world.problems]
            self.assertEqual(told, [("/evil/x", "HAPROXY_0_PORT")])
            world.end()

    def test_ports_of_the_load_balancer(self) -> None:
        """Its own ports, and those that the operator's text binds, are taken on no address."""
        shared, written = free_port(), free_port()
        world = self.world(bind_http=f"0.0.0.0:{shared}")
        templates = world.directory / "templates"
        templates.mkdir()
        (templates / "HAPROXY_HTTP_FRONTEND_HEAD").write_text(
            f"\nfrontend marathon_http_in\n  bind 0.0.0.0:{shared}\n  bind 0.0.0.0:{written}\n  mode http\n"
        )
        world.app("bank/web", {"0_VHOST": "bank.test"}, config_changed_at=OLD)
        for name, port in (("evil/x", shared), ("evil/y", written)):
            world.app(name, {"0_PORT": str(port), "0_MODE": "http"}, config_changed_at="2019")
        world.start()
        for port in (shared, written):
            self.assertEqual(self.answers(port, "bank.test"), {"bank/web": 24})

    def test_stats_socket(self) -> None:
        """Nor is a port on which the operator has HAProxy take commands, however it is quoted."""
        for quote in ("", '"'):
            port = free_port()
            world = self.world()
            templates = world.directory / "templates"
            templates.mkdir()
            (templates / "HAPROXY_HEAD").write_text(
                f"global\n  stats socket {quote}ipv4@127.0.0.1:{port}{quote} level admin\n"
                "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n"
                f"listen stats\n  bind 127.0.0.1:{world.stats}\n  stats enable\n"
            )
            world.app("evil/x", {"0_PORT": str(port), "0_MODE": "http"})
            world.start()
            for _ in range(12):
                with socket.create_connection(("127.0.0.1", port), 10) as connection:
                    connection.sendall(b"show info\n\n\r\n")
                    self.assertEqual(connection.recv(5), b"Name:")
            self.assertEqual([problem.label for problem in world.problems], ["HAPROXY_0_PORT"])
            world.end()

    def test_names(self) -> None:
        """Apps whose backends would have one name are all served, each by its own tasks."""
        for maps in (True, False):
            world = self.world(haproxy_map=maps)
            port, names = str(free_port()), ("bank/web", "bank_web", "bank.web/a_b", "bank.web_a/b")
            for number, name in enumerate(names):
                host, age = f"h{number}.test", f"20{20 + number}"
                world.app(name, {"0_PORT": port, "0_VHOST": host, "0_STICKY": "true"}, config_changed_at=age)
            world.start()
            rows = [(f"h{number}.test", "/", name) for number, name in enumerate(names)]
            self.assertEqual(world.table(world.http, rows), rows)
            for name in names:
                said = ask(world.app_id, "x", X_Marathon_App_Id=f"/{name}")
                self.assertEqual(said.who, name)
            self.assertEqual(self.answers(int(port)), {"bank/web": 24})
            world.end()

    def test_hosts(self) -> None:
        """Neither the path of everything nor any weight takes a host or a path of it."""
        for maps in (True, False):
            for labels in (
                {"0_VHOST": "bank.test", "0_PATH": "/"},
                {"0_VHOST": "bank.test", "0_PATH": "-i /", "0_BACKEND_WEIGHT": "1000"},
                {"0_VHOST": "bank.test", "0_BACKEND_WEIGHT": "1000"},
                {"0_VHOST": "*.test", "0_BACKEND_WEIGHT": "1000"},
                {"0_VHOST": "*.test", "0_PATH": "/c /", "0_BACKEND_WEIGHT": "2147483647"},
                {"0_VHOST": "*.test", "0_PATH": "/"},
            ):
                world = self.world(haproxy_map=maps)
                for name, more in (("bank/web", {}), ("bank/cart", {"0_PATH": "/cart"})):
                    world.app(name, {"0_VHOST": "bank.test,*.bank.test", **more}, config_changed_at=OLD)
                world.app("evil/x", labels, config_changed_at=YOUNG)
                world.start()
                for host in ("bank.test", "www.bank.test"):
                    for path, name in (("/", "bank/web"), ("/cart/1", "bank/cart")):
                        self.assertEqual(
                            self.answers(world.http, host, path), {name: 24}, (labels, host, path)
                        )
                self.assertEqual({problem.app_id for problem in world.problems} - {"/evil/x"}, set())
                world.end()

    def test_tls_of_a_host(self) -> None:
        """A path of a host, or the name of a section of ours, gives nobody a say in another owner's TLS."""
        directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        ours, mine = (certificate(directory / f"{word}.pem", word) for word in ("bank.test", "evil.test"))
        for labels in (
            {"0_VHOST": "bank.test", "0_PATH": "/e", "0_SSL_CERT": mine},
            {"0_VHOST": "bank.test", "0_PATH": "/e", "0_BIND_OPTIONS": f"verify required ca-file {mine}"},
            {"0_VHOST": "shared", "0_SSL_CERT": mine},
        ):
            world = self.world(group_https_by_vhost=True, ssl_certs=(ours,))
            world.app("bank/web", {"0_VHOST": "bank.test"}, config_changed_at=OLD)
            world.app("evil/x", labels, config_changed_at=YOUNG)
            world.start()
            with (
                socket.create_connection(("127.0.0.1", world.https), 5) as plain,
                trusting(["http/1.1"]).wrap_socket(plain, server_hostname="bank.test") as secured,
            ):
                shown = secured.getpeercert(binary_form=True) or b""
            self.assertEqual(
                ssl.DER_cert_to_PEM_cert(shown).strip(),
                Path(ours).read_text().split("-----BEGIN PRIV")[0].strip(),
            )
            self.assertEqual(ask(world.https, "bank.test", tls="bank.test").who, "bank/web", labels)
            world.end()

    def test_deployment_group(self) -> None:
        """A copied name of a deployment group gets no request, whatever else the app claims of it."""
        for group in ("shop", "/bank/shop"):
            world = self.world()
            host = {"0_VHOST": "bank.test", "DEPLOYMENT_GROUP": "shop", "0_MODE": "http"}
            world.app("bank/blue", host, tasks=2, config_changed_at=OLD)
            port = str(world.ports["bank/blue"])
            claims = {
                "0_PORT": port, "DEPLOYMENT_GROUP": group, "DEPLOYMENT_STARTED_AT": "2019-01-01", "0_WEIGHT": "256",
                "DEPLOYMENT_TARGET_INSTANCES": "1",
            }  # fmt: skip
            world.app("evil/x", {**host, **claims}, tasks=5, config_changed_at=YOUNG)
            world.start()
            for found in (self.answers(world.http, "bank.test"), self.answers(int(port))):
                self.assertEqual(found, {"bank/blue.0": 12, "bank/blue.1": 12})
            told = {(problem.app_id, problem.label.removeprefix("HAPROXY_")) for problem in world.problems}
            mine = "/evil/shop" if group == "shop" else "/evil/x"
            lost = {(mine, "0_PORT"), (mine, "0_VHOST"), ("/evil/x", "DEPLOYMENT_GROUP")}
            self.assertEqual(told, lost)
            world.end()

    def test_https_port(self) -> None:
        """Who has the https port because nothing else was there keeps it from a younger app's passed connections."""
        world = self.world()
        world.app("bank/web", {"0_PORT": str(world.https), "0_MODE": "http"}, config_changed_at=OLD)
        passed = {"0_VHOST": "evil.test", "0_TLS_PASSTHROUGH": "true"}
        world.app("evil/x", passed, config_changed_at=YOUNG)
        world.start()
        self.assertEqual(self.answers(world.https), {"bank/web": 24})
        self.assertEqual([p.app_id for p in world.problems], ["/evil/x"])


on_each(TakingAwayMixin, globals())
