"""Differences, sorted by what the runtime API can do about them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.diff import Difference, differences
from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.difference_kinds import (
    DifferenceKinds,
    leaves_alone_what_serves,
    only_adds_ways,
    unmentioned,
)
from tests.haproxy.installation import S
from tests.haproxy.samples import backend, config, frontend

SHOP, SHOP_WITH_TWO = backend("shop", S[1]), backend("shop", S[1], S[2])
WIKI = backend("wiki", S[1])


def found(running: Config, wanted: Config) -> tuple[Difference, ...]:
    return differences(running, wanted)


class DifferenceKindsTests(SynchronousTestCase):
    """`DifferenceKinds`."""

    def kinds(self, running: Config, wanted: Config, *, creates: bool = True) -> DifferenceKinds:
        return DifferenceKinds.of(found(running, wanted), creates_backends=creates)

    def test_changed(self) -> None:
        """A backend that stays is changed, with both of its sections."""
        kinds = self.kinds(config(SHOP), config(SHOP_WITH_TWO))
        self.assertEqual({"shop": (SHOP, SHOP_WITH_TWO)}, kinds.changed)
        self.assertEqual(([], [], [], []), (kinds.new, kinds.gone, kinds.maps, kinds.others))

    def test_new_and_gone(self) -> None:
        """A HAProxy that creates backends gets new ones and loses old ones; another is reloaded for them."""
        kinds = self.kinds(config(SHOP), config(WIKI))
        self.assertEqual((["wiki"], ["shop"]), ([d.name for d in kinds.new], [d.name for d in kinds.gone]))
        self.assertEqual([], kinds.others)
        old = self.kinds(config(SHOP), config(WIKI), creates=False)
        self.assertEqual(([], [], {"shop", "wiki"}), (old.new, old.gone, {d.name for d in old.others}))

    def test_frontend(self) -> None:
        """A frontend that differs takes a reload."""
        kinds = self.kinds(
            config(frontend("shop", "bind :10000", "use_backend shop")),
            config(frontend("shop", "bind :10001", "use_backend shop")),
        )
        self.assertEqual(["shop"], [difference.name for difference in kinds.others])

    def test_withdrawable(self) -> None:
        """A backend that a rule still names is not withdrawn."""
        kinds = self.kinds(config(SHOP, WIKI), config(WIKI))
        self.assertEqual(("shop",), kinds.withdrawable(config(WIKI)))
        named = config(frontend("shop", "bind :10000", "use_backend shop"), WIKI)
        self.assertEqual((), kinds.withdrawable(named))


class UnmentionedTests(SynchronousTestCase):
    """`unmentioned`."""

    def test_whole_names(self) -> None:
        """A name counts as a whole word alone."""
        there = config(backend("shop_10000", S[1]))
        self.assertFalse(unmentioned(["shop_10000"], there))
        self.assertTrue(unmentioned(["shop_1000"], there))
        self.assertTrue(unmentioned([], there))


class ReloadTests(SynchronousTestCase):
    """What a reload for some differences does to what serves."""

    def test_leaves_alone_what_serves(self) -> None:
        """Sections that come and go leave the others alone; one that changes does not."""
        self.assertTrue(leaves_alone_what_serves(found(config(SHOP), config(WIKI))))
        self.assertFalse(leaves_alone_what_serves(found(config(SHOP), config(SHOP_WITH_TWO))))

    def test_only_adds_ways(self) -> None:
        """A new frontend only adds a way; one that goes takes a way."""
        with_frontend = config(frontend("shop", "bind :10000", "use_backend shop"), SHOP)
        self.assertTrue(only_adds_ways(found(config(SHOP), with_frontend)))
        self.assertFalse(only_adds_ways(found(with_frontend, config(SHOP))))
