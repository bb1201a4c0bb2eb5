"""JSON of every version becomes one shape of values; a mistake affects only the app or task that holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.model import App, HealthCheck, Task
from marathonlb.marathon.parsing.apps import Parsed, UnusableAnswer, parse_app, parse_apps
from tests.paths import data

FIELDS = (
    "id labels ports tasks container portMappings networks mode host docker network ipAddress healthChecks instances"
    " HAPROXY_0_VHOST"
).split()
TASK = {"id": "a.1", "host": "agent1", "ports": [31000], "state": "TASK_RUNNING", "version": "v"}


def one(**app: Any) -> App:
    """The app that this definition becomes."""
    parsed = parse_apps(json.dumps({"apps": [{"id": "/a", **app}]}).encode())
    assert not parsed.unreadable, parsed.unreadable
    return parsed.apps[0]


def definitions(document: Any) -> Iterator[dict[str, Any]]:
    """The apps in whatever form people keep them: one, a list, an answer, a tree of groups."""
    if isinstance(document, list):
        for each in document:
            yield from definitions(each)
    elif isinstance(document, dict):
        if "app" in document:
            yield from definitions(document["app"])
        elif "apps" in document or "groups" in document:
            yield from definitions(document.get("apps") or [])
            yield from definitions(document.get("groups") or [])
        else:
            yield document


class Values(SynchronousTestCase):
    """What else an app and its tasks say."""

    def test_labels(self) -> None:
        """Only our labels are kept; numbers and booleans become their text, null is absent."""
        app = one(
            labels={
                "HAPROXY_GROUP": "external",
                "HAPROXY_0_PORT": 8080,
                "HAPROXY_0_STICKY": True,
                "HAPROXY_0_WEIGHT": 1.5,
                "HAPROXY_0_PATH": None,
                "team": "x",
            }
        )
        self.assertEqual(
            app.labels,
            {
                "HAPROXY_GROUP": "external",
                "HAPROXY_0_PORT": "8080",
                "HAPROXY_0_STICKY": "true",
                "HAPROXY_0_WEIGHT": "1.5",
            },
        )
        self.assertEqual(one(labels=None).labels, {})

    def test_versions(self) -> None:
        """The age of an app is its ``lastConfigChangeAt``, else its version."""
        app = one(version="v2", versionInfo={"lastConfigChangeAt": "v1", "lastScalingAt": "v2"})
        self.assertEqual((app.version, app.config_changed_at), ("v2", "v1"))
        self.assertEqual(one(version="v2").config_changed_at, "v2")
        self.assertEqual(one().config_changed_at, "")

    def test_health_checks(self) -> None:
        """Checks keep what they say; what they leave out has Marathon's default."""
        app = one(
            healthChecks=[
                {
                    "protocol": "MESOS_HTTP",
                    "path": "/h",
                    "portIndex": 1,
                    "intervalSeconds": 5,
                    "command": None,
                },
                {"port": 8080, "ignoreHttp1xx": True, "timeoutSeconds": 2.0, "portIndex": None},
            ]
        )
        self.assertEqual(
            app.health_checks,
            (
                HealthCheck(protocol="MESOS_HTTP", path="/h", port_index=1, interval_seconds=5),
                HealthCheck(port=8080, ignore_http1xx=True, timeout_seconds=2),
            ),
        )

    def test_task(self) -> None:
        """A task keeps host, ports, addresses, state and version, and tasks come by id."""
        first = {**TASK, "id": "a.0", "ipAddresses": [{"ipAddress": "172.17.0.2", "protocol": "IPv4"}, {}]}
        app = one(tasks=[TASK, first], instances=2)
        self.assertEqual(
            app.tasks,
            (
                Task("a.0", "agent1", (31000,), ("172.17.0.2",), "TASK_RUNNING", None, None, "v"),
                Task("a.1", "agent1", (31000,), (), "TASK_RUNNING", None, None, "v"),
            ),
        )
        self.assertEqual(app.instances, 2)

    def test_bare_task(self) -> None:
        """Reserved, inactive and old tasks have little; what they lack is None or empty."""
        app = one(tasks=[{"id": "r"}, {"id": "s", "host": None, "ports": [], "startedAt": None}])
        self.assertEqual(app.tasks, (Task("r"), Task("s")))

    def test_alive(self) -> None:
        """One result that says alive is enough; without a result nothing is known."""
        for results, alive in (
            (None, None),
            ([], None),
            ([None], None),
            ([{"alive": True}], True),
            ([{"alive": False}], False),
            ([{"alive": False}, {"alive": True}, None], True),
            ([{"alive": True}, {"alive": False}], True),
        ):
            app = one(tasks=[{**TASK, "healthCheckResults": results}])
            self.assertIs(app.tasks[0].alive, alive, results)

    def test_ready(self) -> None:
        """A task is ready when all of its readiness results are; without results nothing is known."""
        app = one(
            tasks=[{**TASK, "id": name} for name in "abc"],
            readinessChecks=[{"name": "x"}],
            readinessCheckResults=[
                {"taskId": "a", "ready": True},
                {"taskId": "b", "ready": True},
                {"taskId": "b", "ready": False},
            ],
        )
        self.assertEqual([task.ready for task in app.tasks], [True, False, None])

    def test_id_without_slash(self) -> None:
        """Definitions written by hand lack the slash."""
        self.assertEqual(one(id="shop").id, "/shop")

    def test_one_app(self) -> None:
        """The answer about one app has it under ``app``."""
        parsed = parse_app(json.dumps({"app": {"id": "/a", "tasks": [TASK]}}).encode())
        self.assertEqual([app.id for app in parsed.apps], ["/a"])

    def test_without_tasks(self) -> None:
        """Tasks that are counted but not sent are noticed; an answer in which nothing runs is complete."""
        for apps, missing in (
            ([{"id": "/a", "tasksRunning": 1}], True),
            ([{"id": "/a", "tasksRunning": 0}], False),
            ([{"id": "/a", "tasksRunning": 1}, {"id": "/b", "tasksRunning": 1, "tasks": [TASK]}], False),
            ([], False),
        ):
            self.assertIs(parse_apps(json.dumps({"apps": apps}).encode()).without_tasks, missing, apps)


class Mistakes(SynchronousTestCase):
    """A mistake affects only the app or task that holds it."""

    def parse(self, *apps: Any) -> Parsed:
        """What an answer with these apps says."""
        return parse_apps(json.dumps({"apps": apps}).encode())

    def test_broken_app(self) -> None:
        """One broken app is one unreadable app, named where it can be; the others are good."""
        for broken, name, word in (
            ({"id": "/bad", "ports": [70000]}, "/bad", "65535"),
            ({"id": "/bad", "ports": [-1]}, "/bad", "0"),
            ({"id": "/bad", "labels": {"HAPROXY_0_VHOST": ["x"]}}, "/bad", "labels"),
            ({"id": "/bad", "container": "docker"}, "/bad", "container"),
            ({"id": "/bad", "tasks": 7}, "/bad", "tasks"),
            ({"id": "bad", "instances": "many"}, "/bad", "instances"),
            ({"labels": {}}, "#2", "id"),
            ({"id": 7}, "#2", "id"),
            ({"id": ""}, "#2", "no id"),
            ({"id": "/"}, "#2", "no id"),
            ({"id": "/a\nb"}, "/a?b", "no id"),
            ({"id": "a b"}, "/a b", "no id"),
            ({"id": "/a~"}, "/a~", "no id"),
            (None, "#2", "null"),
            ([], "#2", "array"),
        ):
            parsed = self.parse({"id": "/a"}, broken, {"id": "/c"})
            self.assertEqual([app.id for app in parsed.apps], ["/a", "/c"], broken)
            self.assertEqual([each.app_id for each in parsed.unreadable], [name], broken)
            self.assertIn(word, parsed.unreadable[0].reason)

    def test_broken_task(self) -> None:
        """One broken task is left out with its reason; its app and the other tasks are good."""
        for broken, name, word in (
            ({**TASK, "id": "bad", "ports": [99999]}, "bad", "65535"),
            ({**TASK, "id": "bad", "ports": "31000"}, "bad", "ports"),
            ({**TASK, "id": "bad", "host": ["x"]}, "bad", "host"),
            ({**TASK, "id": "bad", "host": "a\n  server evil"}, "bad", "no name"),
            ({**TASK, "id": "b d"}, "b d", "no name"),
            ({"host": "x"}, "#2", "id"),
            (None, "#2", "null"),
        ):
            parsed = self.parse({"id": "/a", "tasks": [TASK, broken, {**TASK, "id": "z"}]}, {"id": "/c"})
            self.assertEqual(parsed.unreadable, ())
            self.assertEqual([task.id for task in parsed.apps[0].tasks], ["a.1", "z"], broken)
            self.assertEqual([(each.app_id, each.task_id) for each in parsed.left_out], [("/a", name)])
            self.assertIn(word, parsed.left_out[0].reason)

    def test_unusable(self) -> None:
        """An unusable answer is an error with its reason, never an empty list of apps."""
        for body, word in (
            (b"", "empty"),
            (b"  \n", "empty"),
            (b"<html><title>Error 503</title></html>", "HTML"),
            (b"\n<!DOCTYPE html>", "HTML"),
            (b"Service Unavailable", "not JSON"),
            (b'{"apps": [{"id": "/a"', "breaks off after 21 bytes"),
            (b'{"apps": [{"id": "/a"},', "breaks off"),
            (b'{"apps": [{"id": "/a"}]} x', "not JSON"),
            (b'{"message": "no"}', "apps"),
            (b'{"apps": null}', "apps"),
            (b'{"apps": {}}', "apps"),
            (b"[]", "object"),
            (b"null", "object"),
            (b'{"apps":' + b"[" * 100_000, "not JSON"),
        ):
            error = self.assertRaises(UnusableAnswer, parse_apps, body)
            self.assertIn(word, str(error), body[:40])

    def test_empty(self) -> None:
        """An empty list of apps is an answer."""
        self.assertEqual(parse_apps(b'{"apps": []}'), Parsed())

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_every_cut(self, choose: st.DataObject) -> None:
        """An answer that breaks off anywhere is unusable."""
        body = json.dumps(
            {"apps": [{"id": "/a", "labels": {"HAPROXY_GROUP": "ü"}, "tasks": [TASK]}]}
        ).encode()
        cut = choose.draw(st.integers(0, len(body) - 1))
        self.assertRaises(UnusableAnswer, parse_apps, body[:cut])

    @settings(max_examples=300, deadline=None)
    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=5)
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(FIELDS),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=15,
        )
    )
    def test_any_json(self, app: Any) -> None:
        """Whatever stands in an app, it is an app or an unreadable one, and its neighbour is good."""
        parsed = parse_apps(json.dumps({"apps": [app, {"id": "/good"}]}).encode())
        self.assertEqual(parsed.apps[-1].id, "/good")
        self.assertEqual(len(parsed.apps) + len(parsed.unreadable), 2)


class DefinitionFilesTests(SynchronousTestCase):
    """Definitions in the shapes that people keep them in, and answers of Marathons from 0.8 to 1.9."""

    directory = data("apps")
    malformed = data("apps-malformed")
    answers = data("answers")
    least_apps, least_answered = 30, 8

    def test_apps(self) -> None:
        """Every definition is understood, but for one whose id no Marathon takes."""
        seen = 0
        for path in sorted(self.directory.iterdir()):
            apps = list(definitions(json.loads(path.read_bytes())))
            parsed = parse_apps(json.dumps({"apps": apps}).encode())
            refused = [each for each in parsed.unreadable if " " not in each.app_id]
            self.assertEqual((refused, parsed.left_out), ([], ()), path.name)
            self.assertEqual(len(parsed.apps) + len(parsed.unreadable), len(apps), path.name)
            seen += len(apps)
        self.assertGreater(seen, self.least_apps)

    def test_samples(self) -> None:
        """Every sample answer has apps, or is an `UnusableAnswer`."""
        seen = 0
        for path in sorted(self.answers.iterdir()):
            body = path.read_bytes()
            for parse in (parse_apps, parse_app):
                try:
                    parsed = parse(body)
                except UnusableAnswer:
                    continue
                self.assertEqual(
                    [each for each in parsed.left_out if "`id`" not in each.reason], [], path.name
                )
                seen += len(parsed.apps)
        self.assertGreater(seen, self.least_answered)

    def test_malformed(self) -> None:
        """A file that is not JSON is refused as a whole, not guessed at."""
        for path in sorted(self.malformed.iterdir()):
            self.assertRaises(UnusableAnswer, parse_apps, b'{"apps": [' + path.read_bytes() + b"]}")
