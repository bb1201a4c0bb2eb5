"""A rendered configuration, and copies of it with other backends."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.rendered import Rendered
from marathonlb.config.text.model import Chunk, Config, Owner, Section
from marathonlb.config.text.rows import BLOCK
from tests.routing.apps import service

HEAD = Section("head", "", (Chunk("global\n", Owner()),))


def backend(name: str, lines: str = "") -> Section:
    """A backend with these lines."""
    return Section("backend", name, (Chunk(f"backend {name}\n{lines}", Owner()),))


def rendered(count: int = 2) -> Rendered:
    """A configuration of a head and one backend for each service."""
    services = [service(f"app{number}") for number in range(count)]
    return Rendered(
        Config((HEAD, *(backend(f"app{number}") for number in range(count)))),
        services=services,
        places={one.key: place for place, one in enumerate(services)},
        first_backend=1,
    )


class RenderedTests(SynchronousTestCase):
    """`Rendered`."""

    def test_holds(self) -> None:
        """It holds the services that have a place in it, and no others."""
        whole = rendered()
        self.assertTrue(whole.holds(whole.services[1].key))
        self.assertFalse(whole.holds(("/elsewhere", 0)))

    def test_with_backends(self) -> None:
        """A copy has the changed service and its backend in their places, and everything else as before."""
        whole = rendered()
        moved = service("app1", weight=3)
        copy = whole.with_backends({1: (moved, backend("app1", "  server a 10.0.0.1:80\n"))})
        self.assertEqual(
            copy.config.text("/etc"), "global\nbackend app0\nbackend app1\n  server a 10.0.0.1:80\n"
        )
        self.assertEqual(tuple(copy.services), (whole.services[0], moved))
        self.assertEqual(whole.config.text("/etc"), "global\nbackend app0\nbackend app1\n")
        self.assertEqual(copy.config.places_that_differ(whole.config), [2])

    def test_shares_blocks(self) -> None:
        """A copy shares the blocks of services without a change, so that it costs what has changed."""
        whole = rendered(BLOCK + 1)
        copy = whole.with_backends({BLOCK: (whole.services[BLOCK], backend("other"))})
        self.assertIs(copy.services.blocks[0], whole.services.blocks[0])
        self.assertIsNot(copy.services.blocks[1], whole.services.blocks[1])
