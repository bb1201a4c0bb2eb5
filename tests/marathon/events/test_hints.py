"""Events are hints: which app to look at again, or everything, or nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.marathon.events.hints import ATTACHED, EVENT_TYPES, Hint, ended_tasks, hint_of, is_event
from tests.fakes.hints import event_hint
from tests.paths import data


def event(kind: str, **fields: Any) -> bytes:
    """One event."""
    return json.dumps({"eventType": kind, "timestamp": "2018-04-15T14:39:38.264Z", **fields}).encode()


def apps(payload: bytes) -> set[str] | None:
    """The apps that a payload hints at; fails where it hints at nothing or everything."""
    hint = hint_of(payload)
    assert hint is not None
    assert hint.apps is not None
    return set(hint.apps)


class Hints(SynchronousTestCase):
    """What an event makes us look at."""

    def test_one_app(self) -> None:
        """Each event that names an app leads to that app, wherever it names it."""
        for payload in (
            event("status_update_event", appId="/a/b", taskStatus="TASK_RUNNING"),
            event("status_update_event", appId="/a/b", taskStatus="TASK_KILLED"),
            event("instance_changed_event", runSpecId="/a/b", condition="Running"),
            event("instance_health_changed_event", runSpecId="/a/b", healthy=None),
            event("health_status_changed_event", appId="/a/b", alive=True),
            event("api_post_event", appDefinition={"id": "/a/b", "labels": {}}),
            event("app_terminated_event", appId="/a/b"),
            event("pod_updated_event", uri="/v2/pods/a/b"),
            event("unhealthy_task_kill_event", appId="/a/b", taskId="t"),
            event("remove_health_check_event", appId="a/b"),
        ):
            self.assertEqual(apps(payload), {"/a/b"}, payload)

    def test_deployments(self) -> None:
        """A deployment leads to the apps and pods of its steps, in each of the shapes they have had."""
        for plan in (
            {"steps": [{"action": "ScaleApplication", "app": "/a"}, {"action": "x", "app": "/b"}]},
            {"steps": [{"actions": [{"type": "x", "app": "/a"}, {"action": "x", "pod": "/b"}]}]},
            {"steps": [{"actions": [{"app": "/a"}]}, {"actions": [{"app": "/b"}]}], "original": {"apps": []}},
        ):
            self.assertEqual(apps(event("deployment_info", plan=plan)), {"/a", "/b"}, plan)
        step = {"actions": [{"action": "StopApplication", "app": "/c"}]}
        self.assertEqual(apps(event("deployment_step_success", plan={"steps": []}, currentStep=step)), {"/c"})

    def test_everything(self) -> None:
        """An event that may change something and names no app, or names it oddly, leads to everything."""
        for payload in (
            event("deployment_success", id="x"),
            event("deployment_info", plan={"steps": []}),
            event("scheduler_registered_event"),
            event("pod_created_event", uri="/v2/pods"),
            event("status_update_event", appId=""),
            event("status_update_event", appId="/../leader"),
            event("status_update_event", appId="/a b"),
            event("status_update_event", appId="/*"),
            event("some_event_of_2030"),
        ):
            hint = hint_of(payload)
            self.assertTrue(hint is not None and hint.everything, payload)

    def test_nothing(self) -> None:
        """Events that change nothing lead nowhere, a stream's own attachment above all."""
        for payload in (
            event("event_stream_attached", remoteAddress="10.0.0.1"),
            event("event_stream_detached", remoteAddress="10.0.0.1"),
            event("subscribe_event", callbackUrl="http://lb:8081/"),
            event("framework_message_event", message="x"),
            event("failed_health_check_event", appId="/a"),
            event("group_change_success", groupId="/"),
            event("status_update_event", appId="/a", taskStatus="TASK_STAGING"),
            event("instance_changed_event", runSpecId="/a", condition="Created"),
        ):
            self.assertIsNone(hint_of(payload), payload)

    def test_unreadable(self) -> None:
        """What cannot be read may have meant anything."""
        for payload in (b"", b"{", b"x", b"[]", b"{}", b'{"eventType": 7}', b"\xff", b'{"a":' * 100_000):
            hint = hint_of(payload)
            self.assertTrue(hint is not None and hint.everything, payload[:20])

    def test_several_documents(self) -> None:
        """Several documents in one event's data count together."""
        one = event("status_update_event", appId="/a")
        two = event("status_update_event", appId="/b")
        quiet = event("event_stream_attached")
        for joint in (b"\n", b"", b" \r\n"):
            self.assertEqual(apps(joint.join([quiet, one, two])), {"/a", "/b"})
        self.assertIsNone(hint_of(quiet + b"\n" + quiet))
        everything = hint_of(one + b"\n" + event("deployment_success"))
        self.assertTrue(everything is not None and everything.everything)
        pretty = json.dumps(json.loads(one), indent=2).encode()
        self.assertEqual(apps(pretty + b"\n" + two), {"/a", "/b"})

    def test_why(self) -> None:
        """The cause is the event's type, but never an unknown text."""
        self.assertEqual(
            hint_of(event("app_terminated_event", appId="/a")),
            event_hint(["/a"], "app_terminated_event"),
        )
        made_up = hint_of(event("x\nsecret"))
        self.assertEqual(made_up, Hint.of(None, Cause(CauseKind.OTHER_EVENT)))

    def test_big(self) -> None:
        """Of an event of tens of megabytes only the few fields that are wanted are made."""
        app = {"id": "/x", "env": {f"k{i}": "v" * 50 for i in range(50)}}
        plan = {"original": {"apps": [app] * 4000}, "steps": [{"actions": [{"app": "/a"}]}]}
        self.assertEqual(apps(event("deployment_info", plan=plan)), {"/a"})

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40) | st.text(alphabet='{}[]":,eventTyp \n1', max_size=40).map(str.encode))
    def test_any_bytes(self, payload: bytes) -> None:
        """No bytes make it fail."""
        hint_of(payload)
        is_event(payload)
        ended_tasks(payload)


class Others(SynchronousTestCase):
    """The rest of what is known about events."""

    def test_is_event(self) -> None:
        """An event is a JSON object with a type."""
        self.assertTrue(is_event(event("x")))
        for payload in (b"", b"{}", b"[]", b"<html>", b'{"eventType": null}'):
            self.assertFalse(is_event(payload), payload)

    def test_ended(self) -> None:
        """Tasks that are being killed, or have ended, are named; those that may live on are not."""
        for status, ended in (
            ("TASK_KILLING", True),
            ("TASK_KILLED", True),
            ("TASK_FAILED", True),
            ("TASK_FINISHED", True),
            ("TASK_RUNNING", False),
            ("TASK_LOST", False),
            ("TASK_UNREACHABLE", False),
        ):
            payload = event("status_update_event", appId="/a", taskId="a.1", taskStatus=status)
            self.assertEqual(ended_tasks(payload), {"a.1"} if ended else set(), status)
        kill = event("unhealthy_instance_kill_event", appId="/a", taskId="a.1")
        self.assertEqual(ended_tasks(kill), {"a.1"})
        self.assertEqual(ended_tasks(b"x"), set())

    def test_ended_instances(self) -> None:
        """Ended instances of pods are named, too."""
        for condition, ended in (
            ("Killing", True),
            ("Killed", True),
            ("Failed", True),
            ("Finished", True),
            ("Gone", True),
            ("Running", False),
            ("Unreachable", False),
            ("Unknown", False),
        ):
            told = {"runSpecId": "/a", "instanceId": "a.instance-1", "condition": condition}
            payload = event("instance_changed_event", **told)
            self.assertEqual(ended_tasks(payload), {"a.instance-1"} if ended else set(), condition)
            self.assertEqual(apps(payload), {"/a"})

    def test_types(self) -> None:
        """The filter asks for every type that leads somewhere, and for the proof that the stream lives."""
        self.assertEqual(len(set(EVENT_TYPES)), len(EVENT_TYPES))
        self.assertIn(ATTACHED, EVENT_TYPES)
        for kind in EVENT_TYPES:
            if kind != ATTACHED:
                self.assertIsNotNone(hint_of(event(kind, appId="/a")), kind)


class EventFilesTests(SynchronousTestCase):
    """An event of each type, in the shape of each Marathon that sends it."""

    directory = data("events")
    most_everything = 5
    "Events that name no app at all: those of a new leader, and a finished deployment of Marathon 0.7."

    NOTHING = {
        "event_stream_attached",
        "event_stream_detached",
        "failed_health_check_event",
        "framework_message_event",
        "group_change_failed",
        "group_change_success",
        "scheduler_disconnected_event",
        "subscribe_event",
        "unsubscribe_event",
    }

    def test_all(self) -> None:
        """Each leads to apps, or to nothing where its type changes nothing; few lead to everything."""
        everything = []
        for path in sorted(self.directory.iterdir()):
            payload = path.read_bytes()
            kind = path.name.partition("@")[0]
            self.assertTrue(is_event(payload), path.name)
            hint = hint_of(payload)
            fields = json.loads(payload)
            if kind in self.NOTHING:
                self.assertIsNone(hint, path.name)
            elif hint is None:
                state = fields.get("taskStatus") or fields.get("condition")
                self.assertIn(
                    state, ("TASK_STAGING", "TASK_STARTING", "Created", "Staging", "Starting"), path.name
                )
            elif hint.everything:
                everything.append(path.name)
            else:
                named = fields.get("appId") or fields.get("runSpecId")
                self.assertTrue(named is None or {"/" + named.strip("/")} == hint.apps, path.name)
        self.assertLessEqual(len(everything), self.most_everything, everything)
