"""The course of a run, from a request and the apps that exist."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.zdd.course import DeploymentRequest, course_for
from marathonlb.zdd.definition import Json, build, member, read
from marathonlb.zdd.errors import Refused
from marathonlb.zdd.pair import Pair, PairApp, next_build
from marathonlb.zdd.plan import Goal
from tests.zdd.worlds import EPOCH, app_file

FILE = read(json.dumps(app_file(4)), "app.json")


def pair_app(older: PairApp | None = None, instances: int = 4, **labels: str) -> PairApp:
    """An app of the pair as Marathon has it, without tasks."""
    body: Json = build(FILE, next_build(FILE, older, instances, EPOCH))
    body["labels"] |= {f"HAPROXY_DEPLOYMENT_{name}": text for name, text in labels.items()}
    (app,) = parse_apps(json.dumps({"apps": [{**body, "tasks": []}]}).encode()).apps
    return PairApp(member(app), body)


class CourseTests(SynchronousTestCase):
    """`course_for`."""

    def course(self, pair: Pair, **request: Any) -> Any:
        return course_for(FILE, DeploymentRequest(**request), pair, EPOCH)

    def refused(self, pair: Pair, **request: Any) -> str:
        return str(self.assertRaises(Refused, self.course, pair, **request))

    def test_first(self) -> None:
        """A first deployment creates the app with all its instances, and goes back to none."""
        course = self.course(Pair())
        assert course.create is not None
        self.assertEqual((course.older, course.newer), (None, course.create["id"]))
        self.assertEqual((course.goal, course.back), (Goal(0, 4), Goal(0, 0)))
        self.assertEqual(course.create["instances"], 4)

    def test_replacement(self) -> None:
        """A replacement starts with the initial instances, and goes back to those of the older app."""
        older = pair_app()
        course = self.course(Pair(older), initial_instances=2)
        assert course.create is not None
        self.assertEqual((course.older, course.create["instances"]), (older.id, 2))
        self.assertNotEqual(course.newer, older.id)
        self.assertEqual((course.goal, course.back), (Goal(0, 4), Goal(4, 0)))

    def test_split(self) -> None:
        """A split leaves the older app the rest of the instances."""
        self.assertEqual(self.course(Pair(pair_app()), new_instances=1).goal, Goal(3, 1))
        self.assertIn("not less than", self.refused(Pair(pair_app()), new_instances=4))
        self.assertIn("no app of", self.refused(Pair(), new_instances=1))

    def test_under_way(self) -> None:
        """With two apps the request says whether to continue or to go back."""
        older = pair_app()
        pair = Pair(older, pair_app(older, 1))
        self.assertIn("is under way", self.refused(pair))
        self.assertEqual(self.course(pair, resume=True).goal, Goal(0, 4))
        self.assertEqual(self.course(pair, complete_cur=True).goal, Goal(0, 4))
        back = self.course(pair, complete_prev=True)
        self.assertEqual((back.goal, back.create), (Goal(4, 0, well=4), None))

    def test_nothing_under_way(self) -> None:
        """With one app or none there is nothing to continue."""
        for option in ("resume", "complete_cur", "complete_prev"):
            name = f"--{option.replace('_', '-')}: "
            self.assertIn(f"{name}no deployment of", self.refused(Pair(), **{option: True}))
            self.assertIn("exists", self.refused(Pair(pair_app()), **{option: True}))

    def test_end_of_a_split(self) -> None:
        """If the newer app's label limits its tasks, the label is removed on the way to more of them."""
        older = pair_app()
        pair = Pair(older, pair_app(older, 1, NEW_INSTANCES="1"))
        course = self.course(pair, complete_cur=True)
        assert course.relabel is not None
        self.assertNotIn("HAPROXY_DEPLOYMENT_NEW_INSTANCES", course.relabel)
        self.assertIsNone(self.course(pair, complete_prev=True).relabel)
