"""The pin in the planner: which tasks of the past still run, and what waits for its release."""

from __future__ import annotations

import shutil
import tempfile

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.hold import Hold, pin_problem
from marathonlb.errors import Complaint, InvalidConfiguration
from marathonlb.haproxy.rollback.pin import Pin, Pins
from tests.controller.test_planner import planner
from tests.haproxy.rollback.pasts import HERE, labelled, line_of, moved, servers, then, wanted
from tests.reconciling import web


class HoldTests(SynchronousTestCase):
    """`Hold`: the pin in the planner."""

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.pins = Pins(self.directory)
        self.hold = Hold(self.pins, HERE, lambda host: host)

    def test_nothing_pinned(self) -> None:
        """Without a pin nothing is held."""
        self.assertIsNone(self.hold.over(wanted(web("shop")), {}))

    def test_back(self) -> None:
        """What waits for the release is told, in the words of a reload's reason."""
        self.pins.put(Pin("4", 1_700_000_000.0, then(web("shop"))))
        held = self.hold.over(wanted(labelled(web("shop"), HAPROXY_0_BALANCE="first")), {})
        assert held is not None
        self.assertEqual(held.pending, "backend shop_10000 differs")
        self.assertIn("pin: configuration 4 is pinned", str(pin_problem(held)))
        self.assertIn("2023-11-14 22:13 UTC", str(pin_problem(held)))

    def test_head_held_back(self) -> None:
        """Of a head that waits the sections are told that differ."""
        self.pins.put(
            Pin("4", 0.0, then(web("shop"), HEAD="global\n  maxconn 100\n\ndefaults\n  retries 1\n"))
        )
        held = self.hold.over(
            wanted(web("shop"), HEAD="global\n  maxconn 200\n\ndefaults\n  retries 1\n"), {}
        )
        assert held is not None
        self.assertEqual(held.pending, "global differs")

    def test_alive(self) -> None:
        """Whether a task still runs is known by the app whose backend it is, not by its address alone."""
        self.pins.put(Pin("4", 0.0, then(web("shop", tasks=2))))
        shop = msgspec.structs.replace(moved(web("shop"), 41001), labels={})
        thief = moved(web("other", 10001), 41000)
        held = self.hold.over(wanted(thief), {"/shop": shop, "/other": thief})
        assert held is not None
        self.assertEqual(servers(held.config, "shop_10000"), ["127.0.0.1:41001"])

    def test_planner(self) -> None:
        """The planner wants the pinned text, and what is refused under a pin condemns nobody."""
        made = planner(web("shop"))
        made._hold = self.hold
        self.pins.put(Pin("4", 0.0, then(labelled(web("shop"), HAPROXY_0_BALANCE="first"))))
        found = made.plan(0)
        self.assertIn("balance first", found.config.template)
        self.assertIn("balance roundrobin", found.rendered.config.template)
        self.assertEqual([each.label for each in found.problems], ["pin"])
        place = next(n for n in range(1, 999) if "balance first" in line_of(found.config, n))
        owner = found.config.locate(place)
        assert owner is not None
        complaint = Complaint(message="no", line=place, owner=owner[1].owner)
        self.assertFalse(made.blame(InvalidConfiguration(complaints=(complaint,)), found, Clock()))

    def test_costs_what_changed(self) -> None:
        """While a pin holds, other tasks of an app cost a look at that app, whether something waits or nothing does."""
        shop, b, new = web("shop"), web("b", 10001), web("new", 10002)
        for now in ((shop, b), (labelled(shop, HAPROXY_0_BALANCE="first"), b), (shop, b, new), (shop,)):
            self.pins.put(Pin("4", 0.0, then(shop, b)))
            apps = {each.id: each for each in now}
            made = planner(*now)
            made._hold = self.hold
            before = made.plan(0)
            for which, *ports in (("/shop", 31001), ("/shop", 31002, 31003), (now[-1].id, 31004), ("/shop",)):
                apps[which] = moved(apps[which], *ports)
                made.update(apps, [which])
                found = made.plan(0)
                whole = planner(*apps.values())
                whole._hold = Hold(self.pins, HERE, lambda host: host)
                expected = whole.plan(0)
                self.assertEqual(found.config.template, expected.config.template)
                self.assertEqual(found.config.map_texts(), expected.config.map_texts())
                assert found.held is not None
                assert expected.held is not None
                self.assertEqual(found.held.pending, expected.held.pending)
                if len(now) > 1:
                    same = found.config is before.config
                    self.assertEqual(same, which == "/new")
                    self.assertTrue(same or found.config.places_that_differ(before.config) is not None)
                before = found

    def test_old_text_again(self) -> None:
        """Where a team goes back by itself, what waited waits no more; and then again."""
        shop = web("shop", tasks=2)
        self.pins.put(Pin("4", 0.0, then(shop)))
        made = planner(shop)
        made._hold = self.hold
        for app, back in (
            (shop, ""),
            (labelled(shop, HAPROXY_0_BALANCE="first"), "backend shop_10000 differs"),
            (moved(labelled(shop, HAPROXY_0_BALANCE="first"), 31009), "backend shop_10000 differs"),
            (moved(shop, 31009), ""),
            (moved(shop, 31010), ""),
        ):
            made.update({"/shop": app}, ["/shop"])
            held = made.plan(0).held
            assert held is not None
            self.assertEqual(held.pending, back)
