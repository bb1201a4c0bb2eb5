"""A configuration of the past with the tasks of today, and the file that keeps it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.controller.hold import Hold, pin_problem
from marathonlb.errors import Complaint, InvalidConfiguration
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.rollback.pin import FILE, Pin, Pins
from marathonlb.haproxy.rollback.restored import RestoredConfig, is_task
from marathonlb.marathon.model import App, HealthCheck, Task
from tests.controller.test_planner import planner
from tests.reconciling import web

HERE = "/etc/haproxy"


def wanted(*apps: App, **overrides: str) -> Config:
    """What is wanted for these apps."""
    return planner(*apps, **overrides).wanted(0).rendered.config


def then(*apps: App, directory: str = HERE, **overrides: str) -> Published:
    """The texts of a configuration of the past."""
    config = wanted(*apps, **overrides)
    return Published(config.text(directory), config.map_texts())


def nobody(backend: str, address: str, port: int) -> bool:
    return False


def moved(app: App, *ports: int) -> App:
    """The app with other tasks."""
    tasks = tuple(Task(f"{app.id}.{port}", host="127.0.0.1", ports=(port,)) for port in ports)
    return msgspec.structs.replace(app, tasks=tasks)


def labelled(app: App, **labels: str) -> App:
    """The app with more labels."""
    return msgspec.structs.replace(app, labels={**app.labels, **labels})


def backend(config: Config, name: str) -> str:
    """The text of a backend."""
    return next(each.text for each in config if (each.kind, each.name) == ("backend", name))


def servers(config: Config, name: str) -> list[str]:
    """The addresses in a backend."""
    return [line.split()[2] for line in backend(config, name).splitlines() if line.startswith("  server ")]


def line_of(config: Config, number: int) -> str:
    """A line, counted from 1; empty past the end."""
    return dict(enumerate(config.template.split("\n"), 1)).get(number, "")


class PinnedTests(SynchronousTestCase):
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
        self.assertEqual(held.back, "backend shop_10000 differs")
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
        self.assertEqual(held.back, "global differs")

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
        found = made.wanted(0)
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
            before = made.wanted(0)
            for which, *ports in (("/shop", 31001), ("/shop", 31002, 31003), (now[-1].id, 31004), ("/shop",)):
                apps[which] = moved(apps[which], *ports)
                made.update(apps, [which])
                found = made.wanted(0)
                whole = planner(*apps.values())
                whole._hold = Hold(self.pins, HERE, lambda host: host)
                expected = whole.wanted(0)
                self.assertEqual(found.config.template, expected.config.template)
                self.assertEqual(found.config.map_texts(), expected.config.map_texts())
                assert found.held is not None
                assert expected.held is not None
                self.assertEqual(found.held.back, expected.held.back)
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
            held = made.wanted(0).held
            assert held is not None
            self.assertEqual(held.back, back)


class PinsTests(SynchronousTestCase):
    """`Pins`: the file."""

    def setUp(self) -> None:
        self.directory = os.path.join(tempfile.mkdtemp(), "state")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.directory))
        self.pins = Pins(self.directory)
        self.pin = Pin("7", 5.0, Published("global\n # \udce4\n", {"a.map": "x y\n"}))

    def test_another_process(self) -> None:
        """What one process pins and releases another one sees, byte for byte."""
        other = Pins(self.directory)
        self.assertIsNone(other.current())
        self.pins.put(self.pin)
        self.assertEqual(other.current(), self.pin)
        self.assertEqual(os.stat(os.path.join(self.directory, FILE)).st_mode & 0o777, 0o600)
        self.assertEqual(self.pins.release(), self.pin)
        self.assertIsNone(other.current())
        self.assertIsNone(self.pins.release())

    def test_looking_makes_nothing(self) -> None:
        """Where nothing is pinned no directory is made."""
        self.pins.current()
        self.assertFalse(os.path.exists(self.directory))

    def test_garbage(self) -> None:
        """A file that cannot be read pins nothing, and can be replaced."""
        self.pins.put(self.pin)
        for text in ("", "{}", "[]", json.dumps({"name": "1", "since": 0, "text": "", "maps": []})):
            with open(os.path.join(self.directory, FILE), "w") as file:
                file.write(text)
            self.assertIsNone(self.pins.current(), text)
        self.pins.put(self.pin)
        self.assertEqual(self.pins.current(), self.pin)

    def test_secrets(self) -> None:
        """A pin's text, which may hold password hashes, is not in what it says of itself."""
        self.assertNotIn("global", repr(self.pin))
