"""Whole backends that come and go without a reload, where HAProxy is 3.4 or later."""

from __future__ import annotations

from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Config, Section
from marathonlb.haproxy.dynamic.backends import MAX_CREATED
from marathonlb.haproxy.outcome import action_word, changes_of, explanation
from tests.haproxy.installation import InstallationCase, S
from tests.haproxy.samples import backend, config, frontend

BALANCE = "balance roundrobin"


def mall(*sections: Section, more: tuple[str, ...] = (), **pairs: str) -> Config:
    """A configuration with these sections, a map, and what backends with one balance line are made from."""
    bodies = [f"  {BALANCE}\n", *more]
    plain = config(*sections, **pairs)
    return Config((*plain.sections, *named_defaults.sections(plain.sections, bodies, ())), plain.maps)


SHOP, CART = backend("shop", BALANCE, S[1]), backend("cart", BALANCE, S[2], S[3])
ORIGIN = named_defaults.InheritedDefaults().name(f"  {BALANCE}\n")
MADE = [
    f"add backend cart from {ORIGIN}",
    "add server cart/s2 10.0.0.2:80 id 2",
    "enable server cart/s2",
    "add server cart/s3 10.0.0.3:80 id 3",
    "enable server cart/s3",
    "publish backend cart",
]
OWN = frontend("cart_in", "bind :10001", "default_backend cart")


class BackendCase(InstallationCase):
    """A HAProxy 3.4 that serves one shop."""

    before = mall(SHOP, a="shop")

    def setUp(self) -> None:
        super().setUp()
        self.worker.version = "3.4.0-64a335366"
        self.assertEqual(action_word(self.apply(self.before)), "reload")
        self.worker.commands()

    def mapped(self) -> list[tuple[str, str]]:
        held = self.worker.maps[f"{self.installation.directory}/domain2backend.map"]
        return held.versions[held.current]


class MadeTests(BackendCase):
    """Backends that come."""

    def test_made(self) -> None:
        """A new backend is made, whole, before it is published, and before anything leads to it."""
        wanted = mall(SHOP, CART, a="shop", b="cart")
        outcome = self.apply(wanted)
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("steps", "1 backend added, domain2backend.map changed"),
        )
        self.assertEqual(dict(changes_of(outcome).counts), {"made": 1, "map": 1})
        path = f"{self.installation.directory}/domain2backend.map"
        self.assertEqual(self.worker.commands(), [*MADE, f"add map {path} b cart"])
        self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))
        self.assertIs(self.applier.running, wanted)
        self.assertEqual((self.reloads(), self.worker.closed), (1, set()))
        self.assertEqual(
            action_word(self.apply(mall(SHOP, backend("cart", BALANCE, S[3]), a="shop", b="cart"))), "steps"
        )
        self.assertEqual(self.worker.commands(), ["set server cart/s2 state maint", "del server cart/s2"])

    def test_without_servers(self) -> None:
        """One whose tasks do not run yet is made, too; they follow by steps."""
        self.assertEqual(action_word(self.apply(mall(SHOP, backend("cart", BALANCE)))), "steps")
        self.assertEqual(explanation(self.apply(mall(SHOP, CART))), "2 servers added")

    def test_older(self) -> None:
        """An older HAProxy is not asked to."""
        self.worker.version = "3.3.9"
        self.apply(mall(SHOP, backend("other", "timeout server 1s", S[4]), a="shop"))
        self.worker.commands()
        outcome = self.apply(mall(SHOP, CART, a="shop"))
        self.assertEqual((action_word(outcome), self.worker.commands()), ("reload", []))
        self.assertEqual(explanation(outcome), "backend cart is new, backend other is gone")

    def test_says_something_else(self) -> None:
        """One that says what no defaults say takes a reload, and so does one with a server that cannot be added."""
        for name, other, reason in (
            ("odd", backend("odd", BALANCE, "timeout server 1s", S[2]), "backend odd is new"),
            (
                "host",
                backend("host", BALANCE, "server s agent.example.com:80"),
                "backend host is new, and its server s has the address agent.example.com:80, which is not a numeric "
                "address with a port",
            ),
            (
                "hashed",
                backend("hashed", "balance source", S[2]),
                "backend hashed is new, and has balance source",
            ),
        ):
            more = ("  balance source\n",)
            self.apply(mall(SHOP, more=more))
            self.apply(mall(SHOP, frontend("again"), more=more))  # a worker that has read them
            self.worker.commands()
            outcome = self.apply(mall(SHOP, frontend("again"), other, more=more))
            self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", reason), name)
            self.assertEqual(self.worker.commands(), [])

    def test_not_read_yet(self) -> None:
        """What stands in the file and the worker has not read is nothing to make a backend from; no reload for it."""
        more = ("  retries 7\n",)
        outcome = self.apply(mall(SHOP, more=more, a="shop"))
        self.assertEqual((action_word(outcome), self.reloads()), ("nothing", 1))
        self.assertTrue(self.installation.holds(mall(SHOP, more=more, a="shop")))
        self.assertEqual(
            action_word(self.apply(mall(SHOP, backend("odd", "retries 7"), more=more))), "reload"
        )
        outcome = self.apply(mall(SHOP, backend("odd", "retries 7"), backend("two", "retries 7"), more=more))
        self.assertEqual(action_word(outcome), "steps")

    def test_many(self) -> None:
        """Of many at once a reload is the smaller step."""
        many = [backend(f"b{number}", BALANCE) for number in range(MAX_CREATED + 1)]
        outcome = self.apply(mall(SHOP, *many, a="shop"))
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("reload", f"{MAX_CREATED + 1} backends are new")
        )
        self.assertEqual(self.worker.commands(), [])


class BeforeAReloadTests(BackendCase):
    """A reload that has to do the rest, and what serves before it."""

    wanted = mall(OWN, SHOP, CART, a="shop", b="cart")

    def test_serves_before(self) -> None:
        """Its host is served before the reload that adds its port."""
        path = f"{self.installation.directory}/domain2backend.map"
        served: list[object] = []
        self.worker.before = lambda command: served.append((command, self.reloads()))
        outcome = self.apply(self.wanted)
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", "frontend cart_in is new"))
        self.assertIn((f"add map {path} b cart", 1), served)
        self.assertEqual(dict(changes_of(outcome).counts), {"made": 1, "map": 1})
        self.assertEqual(self.reloads(), 2)
        self.assertTrue(self.installation.serves(self.wanted) and self.installation.holds(self.wanted))

    def test_gathers(self) -> None:
        """A reload that only adds ports may wait for others; one that anything else waits for may not."""
        for _ in range(2):
            outcome = self.apply(self.wanted, may_gather=True)
            self.assertEqual(
                (action_word(outcome), explanation(outcome)), ("postponed", "frontend cart_in is new")
            )
        self.assertEqual(self.mapped(), [("a", "shop"), ("b", "cart")])
        main = frontend("main", "bind :81")
        odd = backend("odd", "timeout server 1s", S[4])
        for sections in (
            [main if s.name == "main" else s for s in self.wanted.sections],
            [*self.wanted.sections, odd],
            [s for s in self.wanted.sections if s.name != "shop"],
        ):
            self.apply(self.before)
            self.apply(mall(SHOP, frontend("again"), a="shop"))
            outcome = self.apply(Config(tuple(sections), self.wanted.maps), may_gather=True)
            self.assertEqual(action_word(outcome), "reload", outcome)

    def test_postponed(self) -> None:
        """While the reload waits it serves and is in the file; its tasks come and go; then one reload does the rest."""
        outcome = self.apply(self.wanted, may_reload=False)
        self.assertEqual(
            (action_word(outcome), explanation(outcome)), ("postponed", "frontend cart_in is new")
        )
        now = mall(SHOP, CART, a="shop", b="cart")
        self.assertTrue(self.installation.serves(now) and self.installation.holds(now))
        self.worker.commands()
        fewer = mall(OWN, SHOP, backend("cart", BALANCE, S[3]), a="shop", b="cart")
        self.assertEqual(explanation(self.apply(fewer, may_reload=False)), "frontend cart_in is new")
        self.assertEqual(self.worker.commands(), ["set server cart/s2 state maint", "del server cart/s2"])
        self.assertEqual(action_word(self.apply(fewer, may_reload=False)), "postponed")
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(action_word(self.apply(fewer)), "reload")
        self.assertEqual(self.reloads(), 2)
        self.assertTrue(self.installation.serves(fewer) and self.installation.holds(fewer))

    def test_in_its_place(self) -> None:
        """A backend that is made stands in the file where it will stand, so its order is no difference later."""
        first, last = backend("aaa", BALANCE, S[4]), backend("zzz", BALANCE, S[5])
        self.apply(mall(OWN, first, SHOP, last, a="shop"), may_reload=False)
        now = mall(first, SHOP, last, a="shop")
        self.assertEqual(self.installation.text(), now.text(self.installation.directory))
        self.assertEqual(action_word(self.apply(now)), "nothing")

    def test_map_of_what_is_not_there(self) -> None:
        """A map leads to nothing that is not there, and no entry goes before the reload that ends what it leads to."""
        odd = backend("odd", "timeout server 1s", S[4])
        wanted = mall(OWN, CART, odd, a="odd", b="cart", c="odd")
        outcome = self.apply(wanted, may_reload=False)
        said = "frontend cart_in is new, backend odd is new, backend shop is gone, map domain2backend.map differs"
        self.assertEqual((action_word(outcome), explanation(outcome)), ("postponed", said))
        self.assertEqual(self.mapped(), [("a", "shop"), ("b", "cart")])
        self.worker.commands()
        self.apply(wanted, may_reload=False)
        self.assertEqual(self.worker.commands(), [])
        self.assertEqual(action_word(self.apply(wanted)), "reload")
        self.assertEqual(self.mapped(), [("a", "odd"), ("b", "cart"), ("c", "odd")])

    def test_other_frontends(self) -> None:
        """Where a section that serves changes, maps wait for it: they mean something together."""
        main = frontend("main", "bind :81")
        sections = [main if s.name == "main" else s for s in self.wanted.sections]
        self.apply(Config(tuple(sections), self.wanted.maps), may_reload=False)
        self.assertEqual(self.mapped(), [("a", "shop")])
        self.assertEqual(self.worker.commands(), MADE)


class WithdrawnTests(BackendCase):
    """Backends that go."""

    before = mall(SHOP, CART, a="shop", b="cart")

    def test_withdrawn(self) -> None:
        """A backend that goes is withdrawn when no map names it, and deleted when it is not in use."""
        self.worker.server("cart/s2").busy = True
        self.applier.service.startService()
        self.addCleanup(self.applier.service.stopService)
        outcome = self.apply(self.before_without())
        self.assertEqual(
            (action_word(outcome), explanation(outcome)),
            ("steps", "1 backend removed, domain2backend.map changed"),
        )
        path = f"{self.installation.directory}/domain2backend.map"
        self.assertEqual(self.worker.commands(), [f"del map {path} b", "unpublish backend cart"])
        self.installation.clock.advance(2)
        self.assertEqual(list(self.worker.backends["cart"]), ["s2"])
        self.worker.server("cart/s2").busy = False
        self.installation.clock.advance(2)
        self.assertNotIn("cart", self.worker.backends)
        self.worker.commands()
        self.installation.clock.advance(2)
        self.assertEqual(self.worker.commands(), [])
        self.assertTrue(self.installation.holds(self.before_without()))
        self.assertEqual(self.reloads(), 1)

    def before_without(self) -> Config:
        return mall(SHOP, a="shop")

    def test_comes_again(self) -> None:
        """One that comes again before it is gone takes a reload; after that it is made again."""
        self.apply(self.before_without())
        outcome = self.apply(self.before)
        self.assertIn("backend cart is new, and the one before it is not gone yet", explanation(outcome))
        self.assertEqual(action_word(outcome), "reload")
        self.assertTrue(self.installation.serves(self.before))

    def test_named_elsewhere(self) -> None:
        """One that something still names is none that HAProxy can do without: the check says so before a reload."""
        named = frontend("other", "default_backend cart")
        self.apply(mall(named, SHOP, CART, a="shop", b="cart"))
        self.worker.commands()
        outcome = self.apply(mall(named, SHOP, a="shop"))
        self.assertEqual((action_word(outcome), self.worker.commands()), ("reload", []))
        self.apply(mall(frontend("other", "use_backend my_cart"), SHOP, CART))
        self.assertEqual(
            action_word(self.apply(mall(frontend("other", "use_backend my_cart"), SHOP))), "steps"
        )

    def test_with_a_reload(self) -> None:
        """Where a reload has to be it does that, too."""
        outcome = self.apply(mall(SHOP, frontend("new"), a="shop"))
        said = "frontend new is new, backend cart is gone, map domain2backend.map differs"
        self.assertEqual((explanation(outcome), self.worker.commands()), (said, []))

    def test_still_led_to(self) -> None:
        """Where it reads back as published, a reload takes it away."""
        self.worker.answers["show stat cart"] = "# pxname\n" + ",".join(
            ["cart", "BACKEND", *["0"] * 15, "UP", "1"]
        )
        outcome = self.apply(self.before_without())
        self.assertEqual(explanation(outcome), "backend cart still takes requests after unpublish")
        self.assertTrue(self.installation.serves(self.before_without()))


class RefusedTests(BackendCase):
    """What HAProxy refuses, and what is unknown."""

    wanted = mall(SHOP, CART, a="shop", b="cart")

    def test_refused(self) -> None:
        """A refusal is the reason of a reload, and is remembered for all that would be made from the same."""
        self.worker.answers["add backend"] = "Rejected for a reason of tomorrow."
        outcome = self.apply(self.wanted)
        said = "HAProxy refuses 'add backend cart': Rejected for a reason of tomorrow."
        self.assertEqual((action_word(outcome), explanation(outcome)), ("reload", said))
        self.worker.commands()
        outcome = self.apply(mall(SHOP, CART, backend("three", BALANCE, S[5]), a="shop", b="cart"))
        said = "backend three is new, and HAProxy refuses it: Rejected for a reason of tomorrow."
        self.assertEqual(
            (action_word(outcome), explanation(outcome), self.worker.commands()), ("reload", said, [])
        )

    def test_no_such_command(self) -> None:
        """One that does not know how to publish is not asked again for any."""
        self.worker.answers["publish backend"] = "Unknown command: 'publish'"
        self.assertEqual(action_word(self.apply(self.wanted)), "reload")
        self.worker.commands()
        outcome = self.apply(mall(SHOP, CART, backend("other", BALANCE), a="shop", b="cart"))
        self.assertEqual((explanation(outcome), self.worker.commands()), ("backend other is new", []))

    def test_server_refused(self) -> None:
        """A refusal of one of its servers leaves a backend that takes no requests, and a reload makes it."""
        self.worker.refusing.add("maxconn")
        odd = backend("cart", BALANCE, f"{S[2]} maxconn 9")
        outcome = self.apply(mall(SHOP, odd, a="shop", b="cart"), may_reload=False)
        self.assertIn("HAProxy refuses 'add server cart/s2'", explanation(outcome))
        self.assertEqual(self.mapped(), [("a", "shop")])
        self.worker.commands()
        outcome = self.apply(mall(SHOP, odd, a="shop", b="cart"))
        self.assertEqual(action_word(outcome), "reload")
        self.assertTrue(self.installation.serves(mall(SHOP, odd, a="shop", b="cart")))

    def test_not_published(self) -> None:
        """One that reads back as not led to takes a reload."""
        self.worker.answers["publish backend"] = "Backend published."
        outcome = self.apply(self.wanted)
        self.assertEqual(explanation(outcome), "backend cart takes no requests after publish")
        self.assertEqual(action_word(outcome), "reload")

    def test_not_held(self) -> None:
        """One that does not hold its servers takes a reload, and nothing leads to it before."""
        self.worker.answers["add server cart/s3"] = "New server registered."
        self.worker.answers["enable server cart/s3"] = ""
        outcome = self.apply(self.wanted, may_reload=False)
        self.assertEqual(explanation(outcome), "server cart/s3 does not read back as set")
        self.assertEqual(self.mapped(), [("a", "shop")])
        outcome = self.apply(self.wanted, may_reload=False)
        self.assertIn("backend cart runs and is in no file", explanation(outcome))
        self.worker.answers.clear()
        self.assertEqual(action_word(self.apply(self.wanted)), "reload")
        self.assertTrue(self.installation.serves(self.wanted) and self.installation.holds(self.wanted))

    def test_over_and_not_noticed(self) -> None:
        """A conversation that was over leaves nothing half made: it is said again."""
        self.worker.over = 1
        self.assertEqual(action_word(self.apply(self.wanted)), "steps")
        self.assertTrue(self.installation.serves(self.wanted))

    def test_broken_off(self) -> None:
        """One that broke off half made is not made a second time: a reload makes it."""

        def hang_up(command: str) -> None:
            if command.startswith("add server cart/s3"):
                self.worker.before = lambda command: None
                self.worker.up = False
                self.installation.clock.callLater(0, setattr, self.worker, "up", True)

        self.worker.before = hang_up
        self.apply(self.wanted, may_reload=False)
        self.installation.clock.advance(1)
        self.worker.up = True
        reason = explanation(self.apply(self.wanted))
        self.assertIn("backend cart is new, and the one before it is not gone yet", reason)
        self.assertTrue(self.installation.serves(self.wanted))


class AdoptedTests(BackendCase):
    """A controller that ends between a step and the file."""

    def test_runs_and_is_in_no_file(self) -> None:
        """The directives of a backend that is in no file are unknown: it is one reload, whatever is wanted."""
        for wanted in (self.before, mall(SHOP, CART, a="shop", b="cart")):
            for command in MADE:
                self.worker._answer(command)
            outcome = self.apply(wanted, self.installation.controller())
            self.assertEqual(action_word(outcome), "reload")
            self.assertTrue(
                explanation(outcome).startswith("HAProxy was taken over: "),
                explanation(outcome),
            )
            self.assertIn("backend cart runs and is in no file", explanation(outcome))
            self.assertTrue(self.installation.serves(wanted) and self.installation.holds(wanted))

    def test_was_withdrawn(self) -> None:
        """One that takes no requests is deleted, and costs no reload."""
        for command in (*MADE, "unpublish backend cart"):
            self.worker._answer(command)
        second = self.installation.controller()
        second.service.startService()
        self.addCleanup(second.service.stopService)
        self.assertEqual(action_word(self.apply(self.before, second)), "nothing")
        self.installation.clock.advance(2)
        self.assertEqual(list(self.worker.backends), ["shop"])
        self.assertEqual(self.reloads(), 1)
