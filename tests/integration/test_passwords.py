"""
What a password costs HAProxy, and how often a client may guess one, on each HAProxy that is here.

``MARATHON_LB_TEST_HAPROXY=/path/to/haproxy:/another`` adds others.
"""

from __future__ import annotations

import base64
import http.client
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from attrs import evolve

from marathonlb.config.counters import MOST_WRONG
from marathonlb.routing.lines.passwords import COMMAND
from tests.integration.haproxies import on_each
from tests.integration.worlds import World, ask

PASSWORD = "$1$salt$qJH7.N4xYta3aEG/dfqo/0"
"""crypt(3) of the word ``password``."""

COSTLY = (
    "$6$rounds=999999999$salt$hash",
    "$6$rounds=5000000$salt$hash",
    "$5$rounds=656000$salt$hash",
    "$2y$31$abcdefghijklmnopqrstuu5AdzzQm6.iBmY4a2nK3oHtDqpyyMHRO",
    "$y$jFT$k2XAnEHBqQ1Ct2aMXFKNa/$hash",
    "$7$GU..../....saltsalt$hash",
    "$sha1$4294967295$salt$hash",
    "$md5,rounds=4294963199$salt$$hash",
)


def basic(user: str, word: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


RIGHT, WRONG = basic("joe", "password"), basic("joe", "guess")


class PasswordsMixin:
    """The requests; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertLess: Any
    addCleanup: Any

    def world(
        self,
        bind: Callable[[int], str] = "127.0.0.1:{}".format,
        head: str = "",
        trusted_proxies: tuple[str, ...] = (),
        **apps: str,
    ) -> World:
        """
        A world of apps, each with a host of its name and this hash, once it serves.

        :param bind: where the http frontend listens.
        :param head: the operator's lines at its beginning.
        """
        made = World(self.binary)
        made.settings = evolve(made.settings, bind_http=bind(made.http), trusted_proxies=trusted_proxies)
        if head:
            text = f"frontend marathon_http_in\n  bind {bind(made.http)}\n  mode http\n  {head}\n"
            made.settings = evolve(made.settings, environment={"HAPROXY_HTTP_FRONTEND_HEAD": text})
        self.addCleanup(made.end)
        for name, passwd in apps.items():
            made.app(name, {"0_VHOST": f"{name}.test", "0_AUTH": f"r:joe:{passwd}"})
        made.app("plain", {"0_VHOST": "plain.test"})
        made.start()
        return made

    def asked(self, world: World, host: str, given: str = "", times: int = 1) -> list[int]:
        """The statuses of some requests."""
        more = {"Authorization": given} if given else {}
        return [ask(world.http, host, **more).status for _ in range(times)]

    def test_costly(self) -> None:
        """No hash makes HAProxy's check or a request slow: it is left out, and its host is closed, not open."""
        apps = {f"costly{number}": passwd for number, passwd in enumerate(COSTLY)}
        world = self.world(**apps)
        self.assertEqual(len(COSTLY), len(world.problems))
        for name, problem in zip(apps, world.problems, strict=True):
            self.assertEqual((f"/{name}", "***", False), (problem.app_id, problem.value, problem.fatal))
            self.assertIn(COMMAND, problem.reason)
            for given in ("", WRONG, basic("joe", ""), basic("joe", "hash")):
                self.assertEqual([401], self.asked(world, f"{name}.test", given))
            self.assertEqual(200, ask(world.ports[name], f"{name}.test").status)
        self.assertEqual([200], self.asked(world, "plain.test"))

    def test_command(self) -> None:
        """The command that the problem names makes a hash that is taken, and lets in whoever has the password."""
        made = subprocess.run(
            f"{COMMAND} -stdin", shell=True, input="password\n", text=True, capture_output=True, check=True
        )
        world = self.world(one=made.stdout.strip())
        self.assertEqual(world.problems, ())
        self.assertEqual(
            [200, 401], [*self.asked(world, "one.test", RIGHT), *self.asked(world, "one.test", WRONG)]
        )

    def test_guesses(self) -> None:
        """Whoever guesses too often is not listened to for a while, there; others are, and he is elsewhere."""
        world = self.world(one=PASSWORD, two=PASSWORD)
        self.assertEqual([401] * 40, self.asked(world, "one.test", times=40))
        self.locked_out(world, "127.0.0.1")
        self.assertEqual([429], self.asked(world, "one.test", RIGHT))
        self.assertEqual([401], self.asked(world, "one.test"))
        self.assertEqual([200], self.asked(world, "two.test", RIGHT))
        self.assertEqual(200, ask(world.ports["one"], "one.test", Authorization=WRONG).status)
        self.assertEqual(200, self.send(world, "127.0.0.2", RIGHT))

    def test_addresses(self) -> None:
        """A client of IPv4 counts by its address, also where the port listens for both; of IPv6 by its network."""
        world = self.world(one=PASSWORD, bind=lambda port: f"[::]:{port} v4v6")
        self.locked_out(world, "127.0.0.1")
        for source, status in (("127.0.0.1", 429), ("127.0.0.2", 200), ("::1", 200)):
            self.assertEqual(status, self.send(world, source, RIGHT), source)

    def test_networks(self) -> None:
        """A client of IPv6 counts by its network of 64 bits, one of IPv4 by its address, however that is written."""
        world = self.world(one=PASSWORD, bind="127.0.0.1:{} accept-proxy".format)
        guessing = ("2001:db8::1", "::ffff:10.0.0.1", "192.0.2.1")
        for source in guessing:
            answers = [self.by_proxy(world, source, WRONG) for _ in range(3 * MOST_WRONG)]
            self.assertEqual({401, 429}, set(answers), source)
        for source, status in (
            *((source, 429) for source in guessing),
            ("2001:db8::2:0:0:9", 429),
            ("2001:db8:0:1::1", 200),
            ("::ffff:10.0.0.2", 200),
            ("192.0.2.2", 200),
        ):
            self.assertEqual(status, self.by_proxy(world, source, RIGHT), source)

    def test_trusted_proxies(self) -> None:
        """Behind a proxy that is trusted one client's guesses shut out no other; who is no proxy is nobody else."""
        networks = (*(f"10.{number}.0.0/16" for number in range(45)), "127.0.0.1")
        world = self.world(one=PASSWORD, trusted_proxies=networks)

        def forwarded(source: str, client: str, given: str) -> int:
            return self.send(world, source, given, f"192.0.2.99, {client}")

        for source, other in (("127.0.0.1", 200), ("127.0.0.2", 429)):
            answers = {forwarded(source, "192.0.2.1", WRONG) for _ in range(3 * MOST_WRONG)}
            self.assertEqual({401, 429}, answers)
            self.assertEqual(429, forwarded(source, "192.0.2.1", RIGHT))
            self.assertEqual(other, forwarded(source, "192.0.2.2", RIGHT))

    def test_no_address(self) -> None:
        """Where nobody knows the client's address passwords are asked for all the same."""
        world = self.world(one=PASSWORD, bind="127.0.0.1:{} accept-proxy".format)
        statuses = [self.by_proxy(world, "", given) for given in (WRONG, RIGHT)]
        self.assertEqual([401, 200], statuses)

    def by_proxy(self, world: World, source: str, given: str) -> int:
        """The status of a request whose connection begins with the PROXY protocol."""
        family = "TCP6" if ":" in source else "TCP4"
        own = "::1" if ":" in source else "127.0.0.1"
        head = f"PROXY {family} {source} {own} 1000 80" if source else "PROXY UNKNOWN"
        lines = (
            head,
            "GET / HTTP/1.1",
            "Host: one.test",
            f"Authorization: {given}",
            "Connection: close",
            "",
            "",
        )
        with socket.create_connection(("127.0.0.1", world.http), 5) as connection:
            connection.sendall("\r\n".join(lines).encode())
            return int(connection.recv(65536).split()[1])

    def locked_out(self, world: World, source: str) -> None:
        """Guess until it is too often."""
        statuses = [self.send(world, source, WRONG)]
        while statuses[-1] == 401 and len(statuses) < 20 * MOST_WRONG:
            statuses.append(self.send(world, source, WRONG))
        self.assertEqual(429, statuses[-1])
        self.assertLess(MOST_WRONG, len(statuses))

    def send(self, world: World, source: str, given: str, forwarded: str = "") -> int:
        """The status of a request from this address of the machine; ``forwarded`` is its ``X-Forwarded-For``."""
        connection = http.client.HTTPConnection(
            "::1" if ":" in source else "127.0.0.1", world.http, 5, source_address=(source, 0)
        )
        more = {"X-Forwarded-For": forwarded} if forwarded else {}
        connection.request("GET", "/", headers={"Host": "one.test", "Authorization": given, **more})
        status = connection.getresponse().status
        connection.close()
        return status

    def test_right(self) -> None:
        """Whoever has the password may ask as often as he likes, and HAProxy has no word against the rules."""
        world = self.world(one=PASSWORD)
        said = [line for line in world.check().splitlines() if "WARNING" in line]
        # HAProxy 3.4 takes its time where a busy machine stops it meanwhile.
        self.assertEqual([], [line for line in said if "milliseconds to verify" not in line])
        self.assertEqual([200] * 3 * MOST_WRONG, self.asked(world, "one.test", RIGHT, 3 * MOST_WRONG))

    def test_long(self) -> None:
        """A password that is too long to be looked at is a wrong one, in whichever header it stands."""
        world = self.world(one=PASSWORD)
        for word in ("x" * 140, "x" * 8000):
            self.assertEqual([401], self.asked(world, "one.test", basic("joe", word)))
        for given in ("Bas " + RIGHT[6:], "Bearer " + RIGHT[6:], "Basic", ""):
            self.assertEqual([401], self.asked(world, "one.test", given))

    def test_forged(self) -> None:
        """Nobody else's rules can say that the password was right."""
        world = self.world(head="http-request set-var(txn.marathon_lb_auth) str(right)", one=PASSWORD)
        self.assertEqual(
            [401, 401, 200], [self.asked(world, "one.test", given)[0] for given in ("", WRONG, RIGHT)]
        )


on_each(PasswordsMixin, globals())
