"""The configuration that runs while one of the past is pinned."""

from __future__ import annotations

import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.rollback.override import PinOverride
from marathonlb.haproxy.rollback.pin import Pin, Pins
from tests.haproxy.rollback.pasts import HERE, backend, labelled, moved, nobody, servers, then, wanted
from tests.reconciling import web


class PinOverrideTests(SynchronousTestCase):
    """`PinOverride`."""

    def setUp(self) -> None:
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.pins = Pins(directory)
        self.override = PinOverride(self.pins, HERE)

    def test_nothing_pinned(self) -> None:
        """Without a pin today's configuration stands, before the first pin and after its release."""
        today = wanted(web("shop"))
        self.assertIsNone(self.override.over(today, nobody))
        self.pins.put(Pin("4", 0.0, then(web("shop"))))
        self.assertIsNotNone(self.override.over(today, nobody))
        self.pins.release()
        self.assertIsNone(self.override.over(today, nobody))

    def test_nothing_differs(self) -> None:
        """Where the pinned text is today's, today's configuration itself runs, and nothing waits."""
        today = wanted(moved(web("shop"), 31001))
        self.pins.put(Pin("4", 0.0, then(web("shop"))))
        override = self.override.over(today, nobody)
        assert override is not None
        self.assertIs(override.config, today)
        self.assertEqual(override.pending, "")

    def test_old_text(self) -> None:
        """The old text runs with today's tasks, and the change that waits is named."""
        self.pins.put(Pin("4", 0.0, then(web("shop"))))
        today = wanted(labelled(moved(web("shop"), 31001), HAPROXY_0_BALANCE="first"))
        override = self.override.over(today, nobody)
        assert override is not None
        self.assertIn("balance roundrobin", backend(override.config, "shop_10000"))
        self.assertEqual(servers(override.config, "shop_10000"), ["127.0.0.1:31001"])
        self.assertEqual(override.pending, "backend shop_10000 differs")

    def test_another_pin(self) -> None:
        """Another pin in the place of the first one takes effect at once."""
        today = wanted(web("shop"))
        self.pins.put(Pin("4", 0.0, then(labelled(web("shop"), HAPROXY_0_BALANCE="first"))))
        first = self.override.over(today, nobody)
        self.pins.put(Pin("5", 0.0, then(labelled(web("shop"), HAPROXY_0_BALANCE="leastconn"))))
        second = self.override.over(today, nobody)
        assert first is not None
        assert second is not None
        self.assertEqual((first.pin.name, second.pin.name), ("4", "5"))
        self.assertIn("balance leastconn", backend(second.config, "shop_10000"))

    def test_without_a_pin(self) -> None:
        """What a pin would lead to can be asked for before it is put."""
        pin = Pin("4", 0.0, then(web("shop", tasks=2)))
        config = self.override.instead(pin, wanted(web("b", 10001)), lambda *where: where[2] == 41001)
        self.assertEqual(servers(config, "shop_10000"), ["127.0.0.1:41001"])
        self.assertIsNone(self.pins.current())
