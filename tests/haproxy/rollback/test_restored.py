"""A configuration of the past with today's tasks."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.haproxy.rollback.restored import RestoredConfig, is_task
from marathonlb.marathon.model import HealthCheck
from tests.haproxy.rollback.pasts import HERE, backend, labelled, moved, nobody, servers, then, wanted
from tests.reconciling import web


class RestoredConfigTests(SynchronousTestCase):
    """`RestoredConfig.with_tasks_of`."""

    def test_nothing_differs(self) -> None:
        """Where nothing but tasks has changed, today's configuration itself holds, so nothing needs to be done."""
        today = wanted(moved(web("shop"), 31001, 31002), web("b", 10001))
        pinned = RestoredConfig(then(web("shop"), web("b", 10001)), HERE)
        self.assertIs(pinned.with_tasks_of(today, nobody), today)

    def test_old_text_new_tasks(self) -> None:
        """What was changed since is as it was, and the servers are today's."""
        shop = web("shop")
        pinned = RestoredConfig(then(shop, web("b", 10001)), HERE)
        changed = labelled(moved(shop, 31001, 31002), HAPROXY_0_BALANCE="leastconn", HAPROXY_0_VHOST="wrong")
        held = pinned.with_tasks_of(wanted(changed, web("b", 10001)), nobody)
        self.assertIn("balance roundrobin", backend(held, "shop_10000"))
        self.assertEqual(servers(held, "shop_10000"), ["127.0.0.1:31001", "127.0.0.1:31002"])
        self.assertIn("shop.example.com shop_10000\n", held.map_texts()["domain2backend.map"])

    def test_only_what_differs(self) -> None:
        """Sections that read alike are today's own, so steps lead on where nothing else has changed."""
        shop, b = web("shop"), web("b", 10001)
        today = wanted(labelled(shop, HAPROXY_0_BALANCE="leastconn"), b)
        held = RestoredConfig(then(shop, b), HERE).with_tasks_of(today, nobody)
        differ = [one.name for one, other in zip(held, today, strict=True) if one is not other]
        self.assertEqual(differ, ["shop_10000"])

    def test_arguments_of_then(self) -> None:
        """Today's servers have the arguments that the old text gave its own; number, weight and cookie are theirs."""
        check = HealthCheck(port_index=0, path="/", interval_seconds=7)
        sticky = {"HAPROXY_0_STICKY": "true"}
        shop = msgspec.structs.replace(web("shop", **sticky), health_checks=(check,))
        now = moved(msgspec.structs.replace(shop, health_checks=(), labels={"HAPROXY_0_VHOST": "x"}), 31001)
        today = wanted(now)
        self.assertNotIn("check", backend(today, "shop_10000"))
        held = RestoredConfig(then(shop), HERE).with_tasks_of(today, nobody)
        (line,) = [each for each in backend(held, "shop_10000").splitlines() if "  server " in each]
        again = wanted(moved(shop, 31001))
        self.assertIn(line, backend(again, "shop_10000").splitlines())

    def test_drained(self) -> None:
        """A server that is drained today is drained in the old text."""
        shop = web("shop")
        today = wanted(moved(labelled(shop, HAPROXY_0_BALANCE="first"), 31001))
        text = backend(today, "shop_10000")
        drained = text.replace(" id ", " weight 0 id ")
        sections = [
            type(each)(each.kind, each.name, (type(each.chunks[0])(drained, each.chunks[0].owner),))
            if each.text == text
            else each
            for each in today
        ]
        held = RestoredConfig(then(shop), HERE).with_tasks_of(Config(tuple(sections), today.maps), nobody)
        self.assertIn(" weight 0 ", backend(held, "shop_10000"))
        self.assertNotIn("balance first", backend(held, "shop_10000"))

    def test_service_that_is_gone(self) -> None:
        """A backend that nobody offers today keeps its tasks that still run; another port may be anybody's."""
        pinned = RestoredConfig(then(web("shop", tasks=2), web("b", 10001)), HERE)
        held = pinned.with_tasks_of(
            wanted(web("b", 10001)), lambda *where: where == ("shop_10000", "127.0.0.1", 41001)
        )
        self.assertEqual(servers(held, "shop_10000"), ["127.0.0.1:41001"])
        self.assertIn("shop.example.com shop_10000\n", held.map_texts()["domain2backend.map"])

    def test_own_servers(self) -> None:
        """Servers that a template names otherwise stay as they were."""
        extra = "  server spare 10.9.9.9:80 backup\n"
        pinned = RestoredConfig(then(web("shop"), BACKEND_EXTRA=extra), HERE)
        held = pinned.with_tasks_of(wanted(moved(web("shop"), 31001)), nobody)
        self.assertEqual(servers(held, "shop_10000"), ["10.9.9.9:80", "127.0.0.1:31001"])
        self.assertFalse(is_task("  server controller unix@/run/web.sock check\n"))

    def test_head(self) -> None:
        """The head is the old one where it has changed, also where it opens other sections."""
        old = "global\n  maxconn 100\n\ndefaults\n  timeout connect 1s\n\nbackend mine\n  server a_1 10.0.0.1:1\n"
        pinned = RestoredConfig(then(web("shop"), HEAD=old), HERE)
        held = pinned.with_tasks_of(wanted(moved(web("shop"), 31001)), nobody)
        self.assertEqual(held.sections[0].kind, "head")
        self.assertTrue(held.template.startswith(old))
        self.assertEqual(servers(held, "shop_10000"), ["127.0.0.1:31001"])

    def test_comments(self) -> None:
        """Comments before a section belong to it, so a section after which one came reads alike."""
        note = "\n# of {backend}\nbackend {backend}\n  mode http\n"
        shop, b = web("shop"), web("b", 10001, tasks=0)
        pinned = RestoredConfig(then(shop, b, BACKEND_HEAD=note, BACKEND_EXTRA="  # its own\n"), HERE)
        today = wanted(moved(shop, 31001), b, BACKEND_HEAD=note, BACKEND_EXTRA="  # its own\n")
        self.assertIs(pinned.with_tasks_of(today, nobody), today)

    def test_maps_lie_where_they_are_read(self) -> None:
        """The text names its map files where they are today, staged ones too, wherever they lay then."""
        pinned = RestoredConfig(then(web("shop"), directory="/old/place"), "/new")
        today = wanted(labelled(web("shop"), HAPROXY_0_BALANCE="first"))
        text = pinned.with_tasks_of(today, nobody).text("/staged")
        self.assertIn("(/staged/domain2backend.map)", text)
        self.assertNotIn("/old/place", text)
