"""Old text, new text → literal socket commands, or a reload with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.server_lines import Backend, Inherited
from marathonlb.haproxy.dynamic.capabilities import Impossible, RuntimeLimits, UpdateObstacle
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, HeldServer, Steps, held_by, plan_servers
from marathonlb.haproxy.reload_reason import sentence
from tests.config.text.test_server_lines import backend

A, B, C = "server a 10.0.0.1:80 id 1", "server b 10.0.0.2:80 id 2", "server c 10.0.0.3:80 id 3"


NO_COOKIES = RuntimeLimits({"cookie": UpdateObstacle("which 2.6 refuses", refused=True)})


def refusal_of(found: Steps | Impossible) -> str:
    """Why steps do not lead there; empty where they do."""
    return sentence([found.reason]) if isinstance(found, Impossible) else ""


def planned(
    old: Backend,
    new: Backend,
    held: Mapping[str, HeldServer | None] | None = None,
    defaults: Inherited | None = None,
    limits: RuntimeLimits | None = None,
) -> Steps | Impossible:
    """The plan; `held` says where HAProxy holds something else than the old text."""
    holds = {**held_by(old), **(held or {})}
    there = {name: it for name, it in holds.items() if it is not None}
    return plan_servers(old, there, new, defaults or Inherited(), limits or RuntimeLimits())


def said(steps: Steps | Impossible) -> list[str]:
    """The commands, gains and losses apart."""
    assert isinstance(steps, Steps), steps
    gains = [command for step in steps.gains for command in step.commands]
    losses = [command for step in steps.losses for command in step.commands]
    return [*gains, "--", *losses]


COMMANDS: list[tuple[str, list[str], list[str], list[str]]] = [
    ("nothing", [A, B], [A, B], ["--"]),
    ("another order and id", [A, B], [B, A.replace("id 1", "id 9")], ["--"]),
    ("added", [A], [A, B], ["add server shop/b 10.0.0.2:80 id 2", "enable server shop/b", "--"]),
    (
        "added, with checks",
        [A],
        [A, f"{B} check inter 2s"],
        [
            "add server shop/b 10.0.0.2:80 id 2 check inter 2s",
            "enable health shop/b",
            "enable server shop/b",
            "--",
        ],
    ),
    (
        "added, drained",
        [A],
        [A, f"{B} weight 0"],
        [
            "add server shop/b 10.0.0.2:80 id 2 weight 0",
            "enable server shop/b",
            "--",
        ],
    ),
    ("removed", [A, B], [A], ["--", "set server shop/b state maint", "del server shop/b"]),
    ("all removed", [A], [], ["--", "set server shop/a state maint", "del server shop/a"]),
    (
        "replaced by another",
        [A, B],
        [A, C],
        [
            "add server shop/c 10.0.0.3:80 id 3",
            "enable server shop/c",
            "--",
            "set server shop/b state maint",
            "del server shop/b",
        ],
    ),
    ("moved", [A], [A.replace(":80", ":81")], ["set server shop/a addr 10.0.0.1 port 81", "--"]),
    ("weight", [A], [f"{A} weight 7"], ["set server shop/a weight 7", "--"]),
    ("weight taken back", [f"{A} weight 7"], [A], ["set server shop/a weight 1", "--"]),
    ("drained", [A], [f"{A} weight 0"], ["--", "set server shop/a state drain"]),
    ("still drained", [f"{A} weight 0"], [f"{A} weight 0"], ["--"]),
    (
        "no longer drained",
        [f"{A} weight 0"],
        [f"{A} weight 3"],
        ["set server shop/a weight 3", "set server shop/a state ready", "--"],
    ),
    (
        "moved and weighed",
        [A],
        ["server a 10.0.0.9:80 id 1 weight 2"],
        ["set server shop/a addr 10.0.0.9 port 80", "set server shop/a weight 2", "--"],
    ),
    (
        "another argument",
        [A, B],
        [f"{A} maxconn 5", B],
        [
            "--",
            "set server shop/a state maint",
            "del server shop/a",
            "add server shop/a 10.0.0.1:80 id 1 maxconn 5",
            "enable server shop/a",
        ],
    ),
    (
        "odd ones that stay",
        [f"{A} track x/y", B],
        [f"{A} track x/y"],
        [
            "--",
            "set server shop/b state maint",
            "del server shop/b",
        ],
    ),
]

REASONS: list[tuple[str, list[str], list[str], str]] = [
    ("rest", [A], ["option httpchk", A], "backend shop differs"),
    ("unknown argument", [A], [A, f"{B} track x/y"], "server shop/b has the argument track"),
    (
        "name",
        [A],
        [A, "server b db:80"],
        "server shop/b has the address db:80, which is not a numeric address with a port",
    ),
    (
        "moved to a name",
        [A],
        ["server a db:80 id 1"],
        "server shop/a has the address db:80, which is not a numeric address with a port",
    ),
    (
        "default-server",
        ["default-server check", A],
        ["default-server check", A, B],
        "backend shop: has default-server",
    ),
    ("hash", ["balance source", A], ["balance source", A, B], "backend shop: has balance source"),
    (
        "hash and id",
        ["balance source", A, B],
        ["balance source", A, B.replace("id 2", "id 3")],
        "backend shop: ids or order of its servers differ, and balance source depends on them",
    ),
    (
        "hash and order",
        ["balance uri", A, B],
        ["balance uri", B, A],
        "backend shop: ids or order of its servers differ, and balance uri depends on them",
    ),
    (
        "first and id",
        ["balance first", A, B],
        ["balance first", A, B.replace("id 2", "id 3")],
        "backend shop: ids or order of its servers differ, and balance first depends on them",
    ),
    ("the only one", [A], [f"{A} maxconn 5"], "server shop/a is the only one, and its arguments differ"),
    (
        "the only one that is not drained",
        [A, f"{B} weight 0"],
        [f"{A} maxconn 5", f"{B} weight 0"],
        "server shop/a is the only one, and its arguments differ",
    ),
]


class PlanTests(SynchronousTestCase):
    """What a change of one backend comes to."""

    def test_commands(self) -> None:
        """Changes that mean the same at runtime are commands."""
        for what, old, new, commands in COMMANDS:
            self.assertEqual(said(planned(backend(*old), backend(*new))), commands, what)

    def test_reasons(self) -> None:
        """Changes that do not are a reload that says why."""
        for what, old, new, why in REASONS:
            self.assertEqual(refusal_of(planned(backend(*old), backend(*new))), why, what)

    def test_defaults(self) -> None:
        """What the defaults give to a backend counts as its own."""
        old, new = backend(A), backend(A, B)
        problem = "the defaults have a default-server"
        self.assertEqual(
            refusal_of(planned(old, new, defaults=Inherited(problem))), f"backend shop: {problem}"
        )
        self.assertEqual(
            refusal_of(planned(old, new, defaults=Inherited("", "source"))),
            "backend shop: inherits balance source",
        )
        own = "balance roundrobin"
        self.assertEqual(
            len(said(planned(backend(own, A), backend(own, A, B), defaults=Inherited("", "source")))), 3
        )

    def test_admin_states(self) -> None:
        """Any backend lets its servers be drained and put back."""
        fixed = backend("balance source", "default-server weight 5", A, B)
        drained = {"a": evolve(HeldServer(fixed.servers["a"]), admin=DRAIN)}
        self.assertEqual(said(planned(fixed, fixed, drained)), ["set server shop/a state ready", "--"])
        weighed = {"a": evolve(HeldServer(evolve(fixed.servers["a"], weight=0)), admin=DRAIN)}
        self.assertIsInstance(planned(fixed, fixed, weighed), Impossible)

    def test_first_by_order(self) -> None:
        """With ids of their own, the order of servers means nothing to balance first; without, it does."""
        bare = [line.partition(" id")[0] for line in (A, B)]
        self.assertEqual(
            said(planned(backend("balance first", A, B), backend("balance first", B, A))), ["--"]
        )
        self.assertIsInstance(
            planned(backend("balance first", *bare), backend("balance first", *bare[::-1])), Impossible
        )

    def test_limits(self) -> None:
        """What this HAProxy does not take is a reload that says so."""
        old, new = backend(A), backend(A, f"{B} cookie x")
        self.assertEqual(
            refusal_of(planned(old, new, limits=NO_COOKIES)),
            "server shop/b has the argument cookie, which 2.6 refuses",
        )
        limits = RuntimeLimits({}, {"shop": (new.rest, "it said no")})
        self.assertEqual(refusal_of(planned(old, new, limits=limits)), "backend shop: it said no")
        elsewhere = RuntimeLimits({}, {"shop": ("another text", "it said no")})
        self.assertIsInstance(planned(old, new, limits=elsewhere), Steps)

    def test_limits_do_not_hold_up_removals(self) -> None:
        """A server that could not be added can be removed."""
        steps = planned(backend(A, f"{B} cookie x"), backend(A), limits=NO_COOKIES)
        self.assertEqual(said(steps), ["--", "set server shop/b state maint", "del server shop/b"])


class HeldTests(SynchronousTestCase):
    """HAProxy holds something else than its text says."""

    def setUp(self) -> None:
        self.text = backend(A, B)
        self.a = HeldServer(self.text.servers["a"])

    def test_drained_out_of_turn(self) -> None:
        """A server that was drained early is put back where the text wants it."""
        held = {"a": evolve(self.a, admin=DRAIN)}
        self.assertEqual(said(planned(self.text, self.text, held)), ["set server shop/a state ready", "--"])

    def test_drained_out_of_turn_confirmed(self) -> None:
        """Where the text drains it, too, nothing is said; where it is gone, it is removed."""
        held = {"a": evolve(self.a, admin=DRAIN)}
        self.assertEqual(said(planned(self.text, backend(f"{A} weight 0", B), held)), ["--"])
        self.assertEqual(len(said(planned(self.text, backend(B), held))), 3)

    def test_undeleted(self) -> None:
        """A drained server that is to go is left as it is."""
        self.assertEqual(
            said(planned(backend(B), backend(B), {"a": evolve(self.a, admin=MAINTENANCE)})), ["--"]
        )

    def test_wanted_again(self) -> None:
        """One that is wanted again is put back as it was."""
        held = {"a": evolve(self.a, admin=MAINTENANCE)}
        self.assertEqual(said(planned(backend(B), self.text, held)), ["set server shop/a state ready", "--"])

    def test_wanted_again_with_other_arguments(self) -> None:
        """One that is wanted again with other arguments is replaced."""
        held = {"a": evolve(self.a, admin=MAINTENANCE)}
        commands = said(planned(backend(B), backend(f"{A} maxconn 5", B), held))
        self.assertEqual(commands[1:3], ["set server shop/a state maint", "del server shop/a"])

    def test_missing(self) -> None:
        """A server that HAProxy lacks is added."""
        self.assertEqual(
            said(planned(self.text, self.text, {"a": None}))[0], "add server shop/a 10.0.0.1:80 id 1"
        )

    def test_unknown(self) -> None:
        """A server whose arguments are unknown is replaced where it is wanted, and removed where it is not."""
        held = {"c": evolve(self.a, known=False)}
        self.assertIn("add server shop/c 10.0.0.3:80 id 3", said(planned(self.text, backend(A, B, C), held)))
        self.assertEqual(
            said(planned(self.text, self.text, held)),
            ["--", "set server shop/c state maint", "del server shop/c"],
        )

    def test_moved_and_weighed_by_somebody(self) -> None:
        """Another address and weight are put right in place."""
        held = {"a": HeldServer(evolve(self.a.server, address="10.9.9.9", weight=3))}
        self.assertEqual(
            said(planned(self.text, self.text, held)),
            ["set server shop/a addr 10.0.0.1 port 80", "set server shop/a weight 1", "--"],
        )


class StepsTests(SynchronousTestCase):
    """What is said of steps."""

    def test_phrase(self) -> None:
        """Kinds are counted, the noun said once."""
        steps = planned(backend(A, B), backend(f"{A} weight 0", C))
        assert isinstance(steps, Steps)
        self.assertEqual(str(steps.changes()), "1 server added, 1 drained, 1 removed")
        self.assertEqual(steps.changes().counts, {"added": 1, "drained": 1, "removed": 1})
        self.assertEqual(str((steps + steps).changes()), "2 servers added, 2 drained, 2 removed")

    def test_without_id(self) -> None:
        """A server is added without its id where another one has it."""
        steps = planned(backend(A), backend(A, B))
        assert isinstance(steps, Steps)
        self.assertEqual(
            steps.gains[0].without_id().commands, ("add server shop/b 10.0.0.2:80", "enable server shop/b")
        )
