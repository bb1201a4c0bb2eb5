"""The next move of a deployment, as a table."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.deployments import Move, plan
from minimarathon.model import App, Health
from tests.minimarathon.clusters import task

SICK = (Health(alive=False),)
WELL = (Health(alive=True),)


def wanted(instances: int, least: float = 1, over: float = 1, **more: object) -> App:
    return App(
        id="/web", instances=instances, minimum_health=least, over_capacity=over, config_version="2", **more
    )


class PlanTests(SynchronousTestCase):
    """`plan`."""

    def test_table(self) -> None:
        """Each row: what is wanted and what is there give what is started and killed now."""
        new, old = "2", "1"
        rows = [
            ("nothing there", wanted(3), [], Move(3, (), False)),
            ("nothing wanted", wanted(0), [], Move(0, (), True)),
            ("all there", wanted(1), [task("a", new)], Move(0, (), True)),
            ("staging is not there yet", wanted(1), [task("a", new, "TASK_STAGING")], Move(0, (), False)),
            ("sick is not there", wanted(1), [task("a", new, health=SICK)], Move(0, (), False)),
            ("scale up", wanted(3), [task("a", new)], Move(2, (), False)),
            (
                "scale down takes the youngest",
                wanted(1),
                [task("a", new), task("b", new)],
                Move(0, ("b",), False),
            ),
            (
                "or the oldest",
                wanted(1, kill_selection="OLDEST_FIRST"),
                [task("a", new), task("b", new)],
                Move(0, ("a",), False),
            ),
            (
                "but a sick one first",
                wanted(1),
                [task("a", new, health=SICK), task("b", new, health=WELL)],
                Move(0, ("a",), False),
            ),
            (
                "a killed task is replaced once gone",
                wanted(1),
                [task("a", new, "TASK_KILLING")],
                Move(0, (), False),
            ),
            ("upgrade beside", wanted(2), [task("a", old), task("b", old)], Move(2, (), False)),
            (
                "upgrade, one ready",
                wanted(2),
                [task("a", old), task("b", old), task("c", new), task("d", new, "TASK_STAGING")],
                Move(0, ("a",), False),
            ),
            ("upgrade in place", wanted(2, 0.5, 0), [task("a", old), task("b", old)], Move(0, ("a",), False)),
            (
                "upgrade in place, one gone",
                wanted(2, 0.5, 0),
                [task("b", old)],
                Move(1, (), False),
            ),
            (
                "bounds that leave no room give one more",
                wanted(1, 1, 0),
                [task("a", old)],
                Move(1, (), False),
            ),
            (
                "a sick old one can be spared",
                wanted(2, 1, 0.5),
                [task("a", old, health=SICK), task("b", old, health=WELL)],
                Move(1, ("a",), False),
            ),
            (
                "an upgrade waits for the killed",
                wanted(1),
                [task("a", old, "TASK_KILLING"), task("b", new)],
                Move(0, (), False),
            ),
            ("gone app", None, [task("a"), task("b", state="TASK_KILLING")], Move(0, ("a",), False)),
            ("gone app, gone tasks", None, [], Move(0, (), True)),
        ]
        for name, app, tasks, expected in rows:
            self.assertEqual(expected, plan(app, tasks), name)

    @given(
        instances=st.integers(0, 6),
        least=st.sampled_from([0, 0.3, 0.5, 1]),
        over=st.sampled_from([0, 0.3, 0.5, 1]),
        before=st.integers(0, 6),
        order=st.randoms(use_true_random=False),
    )
    @settings(max_examples=200, deadline=None)
    def test_bounds_and_end(
        self, instances: int, least: float, over: float, before: int, order: object
    ) -> None:
        """Whatever finishes first, an upgrade ends, never has too few ready tasks and never too many at all."""
        app = wanted(instances, least, over)
        tasks = {f"{index}old": task(f"{index}old", "1") for index in range(before)}
        floor = min(before, -int(-instances * least // 1))
        ceiling = max(before, int(instances * (1 + over)) + 1)
        for turn in range(200):
            move = plan(app, tasks.values())
            if move.done:
                break
            for name in move.kill:
                tasks[name] = evolve(tasks[name], state="TASK_KILLING")
            for index in range(move.start):
                name = f"{turn}-{index}"
                tasks[name] = task(name, "2", "TASK_STAGING")
            self.assertLessEqual(len(tasks), ceiling)
            self.assertGreaterEqual(sum(one.ready for one in tasks.values()), floor)
            moving = [name for name, one in tasks.items() if one.state in ("TASK_STAGING", "TASK_KILLING")]
            self.assertTrue(moving, f"nothing moves: {tasks}")
            name = order.choice(moving)  # type: ignore[attr-defined]
            if tasks[name].killing:
                del tasks[name]
            else:
                tasks[name] = evolve(tasks[name], state="TASK_RUNNING")
        self.assertEqual(["2"] * instances, [one.version for one in tasks.values()])
