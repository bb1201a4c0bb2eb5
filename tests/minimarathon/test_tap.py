"""twistd's options, the addresses of tasks, and the demonstration's certificate."""

from __future__ import annotations

import socket
from pathlib import Path

from attrs import evolve
from cryptography import x509
from twisted.application.service import IService, IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.addresses import Addresses, NoPort, bindable, places
from minimarathon.certificate import ensure
from minimarathon.definitions import parse
from minimarathon.demo import Plan, Ports
from minimarathon.demo import parse as parse_demo
from minimarathon.tap import Options, makeService
from tests.minimarathon.clusters import app, task


class OptionTests(SynchronousTestCase):
    """`Options`."""

    def options(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(arguments)
        return options

    def test_plugin(self) -> None:
        """twistd finds the plugin."""
        self.assertIn("minimarathon", [one.tapname for one in getPlugins(IServiceMaker)])

    def test_values(self) -> None:
        """Each option reaches the service."""
        options = self.options(
            *("--port", "0", "--version", "1.4", "--credentials", "u:p", "--task-ports", "40000-40010"),
            *("--keep-alive", "0.5", "--no-processes"),
        )
        service = makeService(options)
        self.assertTrue(IService.providedBy(service))
        config = service.config
        self.assertEqual((0, (1, 4), "u:p"), (config.port, config.dialect.version, config.credentials))
        self.assertEqual(
            ((40000, 40010), 0.5, False), (config.task_ports, config.keep_alive, config.processes)
        )
        self.assertNotIn("u:p", repr(config))

    def test_wrong_values(self) -> None:
        """What is wrong is one line that names the option and the value, but never a password."""
        for option, value in (
            ("--port", "x"),
            ("--port", "70000"),
            ("--version", "1.3"),
            ("--task-ports", "5"),
            ("--task-ports", "10-5"),
            ("--keep-alive", "x"),
            ("--apps", "/nowhere.json"),
        ):
            error = self.assertRaises(UsageError, self.options, option, value)
            self.assertIn(option, str(error))
            self.assertIn(value, str(error))
        error = self.assertRaises(UsageError, self.options, "--credentials", "secret")
        self.assertNotIn("secret", str(error))


class AddressTests(SynchronousTestCase):
    """`Addresses`."""

    def test_free_ports(self) -> None:
        """Ports that cannot be bound are passed over, those that were given back come again, and the end is said."""
        addresses = Addresses(first=5, last=7, free=lambda host, port: port != 6)
        two = parse({"id": "/web", "cmd": "x", "ports": [0, 0]})
        address, ports = addresses.take(two)
        self.assertEqual(("127.0.0.1", (5, 7)), (address, ports))
        self.assertRaises(NoPort, addresses.take, two)
        addresses.give_back(ports)
        self.assertEqual({5, 7}, set(addresses.take(two)[1]))

    def test_shared(self) -> None:
        """For tasks without processes the range begins again at its end."""
        addresses = Addresses(first=5, last=6, share=True)
        self.assertEqual([5, 6, 5], [addresses.take(app())[1][0] for _ in range(3)])

    def test_wanted_ports(self) -> None:
        """requirePorts and hostPort are given as they are, and a mapping without hostPort takes none."""
        addresses = Addresses()
        own = parse({"id": "/web", "cmd": "x", "ports": [8080], "requirePorts": True})
        self.assertEqual((8080,), addresses.take(own)[1])
        mapped = parse(
            {
                "id": "/web",
                "cmd": "x",
                "networks": [{"mode": "container"}],
                "container": {
                    "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]
                },
            }
        )
        address, ports = addresses.take(mapped)
        self.assertEqual(("127.1.0.1", (8081,)), (address, ports))
        there = evolve(task("a"), address=address, ports=ports)
        self.assertEqual((("127.1.0.1", 80), ("127.0.0.1", 8081)), places(there, mapped))

    def test_bindable(self) -> None:
        """A port that somebody listens on is not free."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertFalse(bindable("127.0.0.1", port))
        self.assertTrue(bindable("127.0.0.1", port))


class CertificateTests(SynchronousTestCase):
    """`ensure`."""

    def test_made_once(self) -> None:
        """It is made for its owner alone, holds certificate and key, and is kept the next time."""
        path = Path(self.mktemp())
        self.assertTrue(ensure(path))
        first = path.read_bytes()
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        self.assertIn(b"PRIVATE KEY", first)
        names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertIn("*.example.com", names.value.get_values_for_type(x509.DNSName))
        self.assertFalse(ensure(path))
        self.assertEqual(first, path.read_bytes())

    def test_mended(self) -> None:
        """What is no certificate is made anew."""
        path = Path(self.mktemp())
        path.write_text("nonsense")
        self.assertTrue(ensure(path))
        self.assertFalse(ensure(path))


class PlanTests(SynchronousTestCase):
    """The demonstration's options."""

    def test_defaults_and_environment(self) -> None:
        """Ports come from the command line, else the environment, else they are the documented ones."""
        environ = {"HTTP_PORT": "1080", "MARATHON": "http://a, http://b"}
        plan = parse_demo(["--stats-port", "1090"], environ)
        self.assertEqual(Ports(http=1080, https=10443, stats=1090, appid=19091, marathon=18080), plan.ports)
        self.assertEqual(("http://a", "http://b"), plan.marathon)

    def test_sockets_have_room(self) -> None:
        """Where the directory's path is too long for a socket, the state lies in a short one, always the same."""
        ports = Ports(http=1, https=2, stats=3, appid=4, marathon=5)
        near = Plan(directory=Path("/x/run"), ports=ports)
        self.assertEqual(Path("/x/run/state"), near.state)
        far = Plan(directory=Path("/" + "x" * 100), ports=ports)
        self.assertLess(len(str(far.state)), 70)
        self.assertEqual(far.state, Plan(directory=far.directory, ports=ports).state)
