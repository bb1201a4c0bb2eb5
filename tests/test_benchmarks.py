"""The benchmarks: the generated cluster, its Marathon, and the tables of results."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from benchmarks.cluster import Cluster, Shape, app_id_of, server_sent, virtual_host
from benchmarks.marathon import ONE_APP, Marathon
from benchmarks.report import Row, as_json, between_sizes, compared, number, table
from marathonlb.marathon.events.hints import ended_tasks, hint_of
from marathonlb.marathon.events.sse import SSEParser
from marathonlb.marathon.parsing.apps import parse_app, parse_apps
from tests.fakes.hints import event_hint

SMALL = Shape(30, 4)


class ClusterTests(SynchronousTestCase):
    """The generator."""

    def test_seed(self) -> None:
        """The same shape gives the same bytes, and the same replacements after it; another seed gives others."""
        one, same, other = (Cluster(shape) for shape in (SMALL, Shape(30, 4), Shape(30, 4, seed=2)))
        for index in (0, 7, 7, 29):
            self.assertEqual(one.replace(index), same.replace(index))
        self.assertEqual(one.all_apps(), same.all_apps())
        self.assertNotEqual(one.all_apps(), other.all_apps())

    def test_sizes_share_apps(self) -> None:
        """The apps of a small cluster are the first ones of a bigger one, byte by byte."""
        self.assertEqual(Cluster(SMALL).apps, Cluster(Shape(60, 4)).apps[:30])

    def test_readable(self) -> None:
        """The documents are Marathon's: every app and task can be read, is alive, and stands on the loopback."""
        parsed = parse_apps(Cluster(SMALL).all_apps())
        self.assertEqual(((), ()), (parsed.unreadable, parsed.left_out))
        self.assertEqual([app_id_of(index) for index in range(30)], [app.id for app in parsed.apps])
        for index, app in enumerate(parsed.apps):
            self.assertEqual(virtual_host(index), app.labels["HAPROXY_0_VHOST"])
            self.assertEqual({("TASK_RUNNING", True)}, {(task.state, task.alive) for task in app.tasks})
            self.assertEqual(4, len({(task.host, task.ports) for task in app.tasks}))
            self.assertTrue(all((task.host or "").startswith("127.") for task in app.tasks))

    def test_size_of_documents(self) -> None:
        """A task costs about 900 bytes, its share of the app's definition included."""
        cluster = Cluster(Shape(20, 10))
        self.assertTrue(800 < len(cluster.all_apps()) / 200 < 1000)

    def test_too_many_tasks(self) -> None:
        """An app with more tasks than there are places is refused."""
        self.assertRaises(ValueError, Cluster, Shape(1, 480))

    def test_replace(self) -> None:
        """A replaced task is gone from its app alone; the newcomer stands where none stood, and events name both."""
        cluster = Cluster(SMALL)
        before = parse_apps(cluster.all_apps()).apps
        replaced = cluster.replace(3)
        after = parse_apps(cluster.all_apps()).apps
        self.assertEqual([3], [index for index in range(30) if before[index] != after[index]])
        old, new = set(before[3].tasks) - set(after[3].tasks), set(after[3].tasks) - set(before[3].tasks)
        self.assertEqual((1, 1), (len(old), len(new)))
        (gone,), (come,) = old, new
        self.assertEqual(replaced.address, f"{come.host}:{come.ports[0]}")
        self.assertNotIn(replaced.address, {f"{task.host}:{task.ports[0]}" for task in before[3].tasks})
        killed, running = replaced.events
        self.assertEqual(frozenset([gone.id]), ended_tasks(killed))
        self.assertIn(come.id.encode(), running)
        self.assertEqual(after[3], parse_app(cluster.one_app(app_id_of(3)) or b"").apps[0])

    def test_mortal(self) -> None:
        """The first apps' tasks have places of their own, those that are added likewise; who is told to end is gone."""
        shape = Shape(30, 4, mortal=2)
        cluster = Cluster(shape)
        shared = len(shape.places)
        self.assertEqual(8, shape.own)
        places = [[task.place for task in app.tasks] for app in cluster.apps]
        self.assertEqual([*range(shared, shared + 8)], places[0] + places[1])
        self.assertLess(max(place for app in places[2:] for place in app), shared)
        app = cluster.apps[1]
        added = cluster.add(app)
        self.assertEqual(shared + 8, added.place)
        self.assertNotIn(shape.place(added.place), shape.places)
        cluster.remove(app, app.tasks[0])
        self.assertEqual([*range(shared + 5, shared + 9)], [task.place for task in app.tasks])
        labels = [parse_app(cluster.one_app(app_id_of(index)) or b"").apps[0].labels for index in range(3)]
        self.assertEqual([True, False, False], ["HAPROXY_0_STICKY" in each for each in labels])

    def test_unchanged(self) -> None:
        """An event that changes nothing is a reason to look at its app nevertheless."""
        cluster = Cluster(SMALL)
        before = cluster.all_apps()
        hint = hint_of(cluster.unchanged(5))
        self.assertEqual(event_hint([app_id_of(5)]), hint)
        self.assertEqual(before, cluster.all_apps())

    def test_server_sent(self) -> None:
        """Events come out of a stream as they went in."""
        events = [b'{"a":1}', b'{"b":2}']
        self.assertEqual(events, [event.data for event in SSEParser().feed(server_sent(events))])


class MarathonTests(SynchronousTestCase):
    """The benchmarks' Marathon, in memory."""

    def setUp(self) -> None:
        self.marathon = Marathon(Cluster(SMALL), Clock())

    def get(self, path: str, **arguments: float) -> DummyRequest:
        request = DummyRequest([path.encode()])
        request.path = path.encode()
        request.args = {name.encode(): [str(value).encode()] for name, value in arguments.items()}
        body = self.marathon.render(request)
        if isinstance(body, bytes):
            request.write(body)
            request.finish()
        return request

    def counts(self) -> dict[str, dict[str, int]]:
        return json.loads(b"".join(self.get("/bench/counts").written))

    def test_counts(self) -> None:
        """Requests and bytes are counted by endpoint; what moves the cluster is not."""
        whole = b"".join(self.get("/v2/apps").written)
        one = b"".join(self.get(f"/v2/apps{app_id_of(2)}").written)
        self.get("/bench/replace", app=1)
        counts = self.counts()
        self.assertEqual({"/v2/apps": 1, ONE_APP: 1}, counts["requests"])
        self.assertEqual({"/v2/apps": len(whole), ONE_APP: len(one)}, counts["bytes"])

    def test_unknown_app(self) -> None:
        """An app that is not there is 404, in Marathon's words."""
        request = self.get("/v2/apps/nobody")
        self.assertEqual(404, request.responseCode)
        self.assertEqual([b'{"message":"App \'/nobody\' does not exist"}'], request.written)

    def test_events(self) -> None:
        """A replaced task is told to those who listen, and to nobody who has gone."""
        stream = self.get("/v2/events")
        told = json.loads(b"".join(self.get("/bench/replace", app=1).written))
        self.assertEqual(virtual_host(1), told["host"])
        self.assertEqual(3, len(SSEParser().feed(b"".join(stream.written))))
        stream.processingFailed(ConnectionError())
        self.get("/bench/replace", app=1)
        self.assertEqual(3, len(SSEParser().feed(b"".join(stream.written))))


class ReportTests(SynchronousTestCase):
    """The table."""

    def test_table(self) -> None:
        """All lines of the table are equally long, and a ratio is there where there is a reference."""
        rows = [Row("a", "1 × 1", 12345.6, "B"), compared("b", "1 × 1", 0.004, "ms", 0.002, "it", 1000)]
        lines = table(rows).splitlines()
        self.assertEqual(1, len({len(line) for line in lines}))
        self.assertEqual(
            ["b", "1 × 1", "4", "ms", "it: 2 ms", "2"], [cell.strip() for cell in lines[3].split("|")[1:-1]]
        )
        self.assertEqual(rows[1].ratio, as_json(rows, {})["rows"][1]["ratio"])

    def test_number(self) -> None:
        """Numbers have as many digits as can be meant."""
        values = {0.0: "0", 0.0123: "0.012", 0.5: "0.50", 3.14159: "3.14", 31.4159: "31.4", 31415.9: "31,416"}
        self.assertEqual(list(values.values()), [number(value) for value in values])

    def test_growth(self) -> None:
        """What two sizes have in common is compared; what one alone has is not."""
        rows = [Row("a", "1", 2.0, "s"), Row("b", "1", 1.0, "s"), Row("a", "10", 3.0, "s")]
        self.assertEqual([Row("a, growth", "1 → 10", 1.5, "times")], between_sizes(rows, ("a", "b")))
