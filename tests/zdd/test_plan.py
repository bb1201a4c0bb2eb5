"""The next step, in tables; and that steps lead to the goal whatever happens in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.deployments import shares
from marathonlb.zdd.plan import Count, Done, End, Goal, PairState, Remove, Scale, Step, Wait, next_step

FORWARD, SPLIT, BACK = Goal(0, 4), Goal(3, 1), Goal(4, 0, well=4)


def count(letter: str, healthy: int, instances: int | None = None, ill: int = 0) -> Count:
    """An app with tasks ``a0``, ``a1``, ... of which the last ones are ill."""
    tasks = tuple(f"{letter}{number}" for number in range(healthy + ill))
    wanted = len(tasks) if instances is None else instances
    return Count(wanted, tasks, frozenset(tasks[:healthy]), empty=not tasks)


def seen(
    older: Count | None, newer: Count | None, idle: str = "", behind: str = "", target: int = 4
) -> PairState:
    """What there is."""
    return PairState(older, newer, target, frozenset(idle.split()), "busy", behind)


class Steps(SynchronousTestCase):
    """What is done next."""

    def steps(self, *rows: tuple[PairState, Goal, Step | str]) -> None:
        """Each row: what there is, what is wanted, the step or what is waited for."""
        for what, goal, expected in rows:
            step = next_step(what, goal)
            if isinstance(expected, str):
                self.assertIsInstance(step, Wait, what)
                self.assertIn(expected, step.reason)
            else:
                self.assertEqual(expected, step, what)

    def test_alone(self) -> None:
        """A first deployment waits for health; where it goes back, all of it goes."""
        self.steps(
            (seen(None, count("n", 1, 4)), FORWARD, "1 of 4 new tasks are healthy"),
            (seen(None, count("n", 4)), FORWARD, Done()),
            (seen(None, count("n", 2)), FORWARD, Scale(True, 4)),
            (seen(None, count("n", 2)), Goal(0, 0), Remove(True)),
            (seen(None, None), Goal(0, 0), Done()),
            (seen(None, count("n", 4)), BACK, Done()),
        )

    def test_forward(self) -> None:
        """Health, then sessions, then the next ones; at the end the older app goes."""
        self.steps(
            (seen(count("o", 4), count("n", 0, 1)), FORWARD, "0 of 1 new tasks are healthy"),
            (seen(count("o", 4), count("n", 0, ill=1)), FORWARD, "0 of 1 new tasks are healthy"),
            (seen(count("o", 4), count("n", 1)), FORWARD, "1 of 4 old tasks are to drain: busy"),
            (seen(count("o", 4), count("n", 1), "o2"), FORWARD, End(False, ("o2",))),
            (seen(count("o", 4), count("n", 1), "o2 o3"), FORWARD, End(False, ("o2",))),
            (seen(count("o", 4), count("n", 1), "o2", "lb1 lags"), FORWARD, "lb1 lags"),
            (seen(count("o", 3), count("n", 1)), FORWARD, Scale(True, 2)),
            (seen(count("o", 5), count("n", 0)), FORWARD, Scale(True, 1)),
            (seen(count("o", 2), count("n", 2)), FORWARD, Scale(True, 4)),
            (seen(count("o", 2), count("n", 4), "o0"), FORWARD, End(False, ("o0",))),
            (seen(count("o", 0), count("n", 4)), FORWARD, Remove(False)),
            (seen(Count(0), count("n", 4)), FORWARD, "the last old tasks are ending"),
            (seen(None, count("n", 4)), FORWARD, Done()),
        )

    def test_instances_without_tasks(self) -> None:
        """Instances of the older app that never came to be tasks are given up."""
        self.steps(
            (seen(count("o", 3, 4), count("n", 1)), FORWARD, Scale(False, 3)),
            (seen(count("o", 0, 2), count("n", 4)), FORWARD, Scale(False, 0)),
        )

    def test_split(self) -> None:
        """A split stops at its share, and leaves what the older app has."""
        self.steps(
            (seen(count("o", 4), count("n", 1), "o0"), SPLIT, End(False, ("o0",))),
            (seen(count("o", 3), count("n", 1)), SPLIT, Done()),
            (seen(count("o", 2), count("n", 1)), Goal(2, 1), Done()),
            (seen(count("o", 3), count("n", 1)), Goal(2, 2), Scale(True, 2)),
        )

    def test_back(self) -> None:
        """The older app is whole and well before anything that serves ends; then the newer one goes by halves."""
        self.steps(
            (seen(count("o", 2), count("n", 2)), BACK, Scale(False, 4)),
            (seen(count("o", 3, 4), count("n", 2)), BACK, "3 of 4 old tasks are healthy"),
            (seen(count("o", 4), count("n", 3, ill=1)), BACK, End(True, ("n3",))),
            (seen(count("o", 4), count("n", 4), behind="lb1 lags"), BACK, "lb1 lags"),
            (seen(count("o", 4), count("n", 4)), BACK, End(True, ("n0", "n1"))),
            (seen(count("o", 4), count("n", 1)), BACK, End(True, ("n0",))),
            (seen(count("o", 4), Count(1)), BACK, "the last new tasks are ending"),
            (seen(count("o", 4), count("n", 0)), BACK, Remove(True)),
            (seen(count("o", 4), None), BACK, Done()),
        )

    def test_back_to_a_split(self) -> None:
        """Going back stops where it began."""
        goal = Goal(3, 1, well=3)
        self.steps(
            (seen(count("o", 3), count("n", 2)), goal, End(True, ("n0",))),
            (seen(count("o", 3), count("n", 1, 3)), goal, Scale(True, 1)),
            (seen(count("o", 3), count("n", 1)), goal, Done()),
        )

    def test_never_well_before(self) -> None:
        """An older app that was ill when it was found need not be better than that."""
        goal = Goal(2, 0, well=1)
        self.steps((seen(count("o", 1, ill=1), count("n", 1)), goal, End(True, ("n0",))))


class Walk(SynchronousTestCase):
    """From anywhere to a goal, with load balancers that do as they are told."""

    @settings(max_examples=150, deadline=None)
    @given(st.integers(1, 12), st.integers(0, 12), st.integers(1, 12), st.integers(0, 12))
    def test_arrives(self, old: int, new: int, target: int, share: int) -> None:
        """Every goal is reached in a few steps, and never is less there than at the beginning and at the end."""
        self.walk(old, min(new, target), target, Goal(0, target))
        if 0 < share < target and new <= share:
            self.walk(old, new, target, Goal(min(old, target - share), share))
        self.walk(old, min(new, target), target, Goal(old, 0, well=old))

    def walk(self, old: int, new: int, target: int, goal: Goal) -> None:
        """Take steps until it is done."""
        least = min(old + new, target, max(1, goal.older, goal.newer))
        older: int | None = old
        newer: int | None = new
        for _ in range(40):
            drained = 0
            if older is not None and newer is not None:
                drained = older - shares(older=older, newer=newer, healthy=newer, target=target).older
            idle = " ".join(f"o{number}" for number in range(drained))
            sides = [None if n is None else count(letter, n) for letter, n in (("o", older), ("n", newer))]
            step = next_step(seen(*sides, idle, target=target), goal)
            if isinstance(step, Done):
                self.assertEqual((goal.older or None, goal.newer or None), (older or None, newer or None))
                return
            self.assertFalse(isinstance(step, Wait), (older, newer, goal))
            if isinstance(step, Scale):
                older, newer = (older, step.instances) if step.newer else (step.instances, newer)
            elif isinstance(step, End):
                if step.newer:
                    newer = (newer or 0) - len(step.tasks)
                else:
                    older = (older or 0) - len(step.tasks)
            elif isinstance(step, Remove):
                self.assertFalse(newer if step.newer else older)
                older, newer = (older, None) if step.newer else (None, newer)
            self.assertGreaterEqual((older or 0) + (newer or 0), least, (step, goal))
        self.fail(f"never arrives: {old}, {new}, {target}, {goal}")
