"""Definitions compared with previous ones."""

from __future__ import annotations

from itertools import islice

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.changes import free_service_ports, versioned, with_service_ports
from minimarathon.model import Port
from tests.minimarathon.clusters import app


class ServicePortTests(SynchronousTestCase):
    """The assignment of service ports."""

    def test_free(self) -> None:
        """Unused ports come in order from 10000."""
        self.assertEqual([10000, 10002, 10003], list(islice(free_service_ports({10001}), 3)))

    def test_assigned(self) -> None:
        """A port keeps its own number, else that of the previous definition, else gets a free one."""
        ports = (Port(service_port=80), Port(), Port())
        previous = (Port(service_port=1), Port(service_port=2))
        assigned = with_service_ports(ports, previous, iter([10000]))
        self.assertEqual([80, 2, 10000], [port.service_port for port in assigned])


class VersionTests(SynchronousTestCase):
    """`versioned`."""

    def test_kinds(self) -> None:
        """A new app is scaled up, a changed one restarted, a resized one scaled, and an equal one left alone."""
        old = evolve(app(), version="1", config_version="1", scaled_version="1")
        rows = [
            ("new", None, app(), False, "ScaleApplication", ("2", "2", "2")),
            ("equal", old, app(), False, None, ("1", "1", "1")),
            ("restart", old, app(), True, "RestartApplication", ("2", "2", "2")),
            ("resized", old, app(instances=2), False, "ScaleApplication", ("2", "1", "2")),
            ("changed", old, app(cmd="other"), False, "RestartApplication", ("2", "2", "2")),
        ]
        for name, previous, definition, restart, kind, versions in rows:
            found, result = versioned(previous, definition, "2", restart)
            self.assertEqual(kind, found, name)
            self.assertEqual(versions, (result.version, result.config_version, result.scaled_version), name)
