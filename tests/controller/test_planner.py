"""The planner and what HAProxy refuses: names that clash, templates of the operator's, services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.config.text.model import Config
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.controller.planner import Planner
from marathonlb.controller.refusals.operator_templates import Kept
from marathonlb.errors import Complaint, InvalidConfiguration
from marathonlb.marathon.model import App, Port
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings
from tests.routing.apps import app, changed, task

CLASH = "backend 'a_1' has the same name as frontend 'a_1' declared at x:1. This is no longer supported as of 3.3."


def planner(*apps: App, templates: str = "/no", kept: Kept | None = None, **overrides: str) -> Planner:
    """A planner for these apps, with the operator's templates; their names lack ``HAPROXY_``."""
    environment = {f"HAPROXY_{name}": text for name, text in overrides.items()}
    settings = Settings(environment=environment, ssl_certs=())
    made = Planner(
        Offers(settings, PER_APP_NAMES, lambda host: host),
        Renderer(settings, load_templates(templates, environment)),
        kept=kept,
    )
    by_id = {each.id: each for each in apps}
    made.update(by_id, by_id)
    return made


def refused(wanted: PlannedConfig, *lines: str, words: str = "unknown keyword") -> InvalidConfiguration:
    """HAProxy's complaint about each of these lines of a configuration."""
    text = wanted.rendered.config.template.split("\n")
    found = []
    for number, line in enumerate(text, 1):
        if line.strip() in lines:
            place = wanted.rendered.config.locate(number)
            assert place is not None
            found.append(Complaint(message=words, line=number, owner=place[1].owner))
    assert found
    return InvalidConfiguration(complaints=tuple(found))


CLOSED_EXTRA = [("/a", "HAPROXY_BACKEND_EXTRA"), ("/b", "HAPROXY_BACKEND_EXTRA")]

ACL = "  use_backend {backend} if { hdr(host) -i {hostname} }\n"


class TasksTests(SynchronousTestCase):
    """A change of tasks costs what has changed, whatever is special or wrong about the app."""

    def change(
        self, made: Planner, apps: Mapping[str, App], *more: App
    ) -> tuple[PlannedConfig, PlannedConfig]:
        """What was wanted, and what is with other apps in place of some."""
        before = made.plan(0)
        made.update({**apps, **{each.id: each for each in more}}, {each.id for each in more})
        return before, made.plan(0)

    def assertCostsWhatChanged(
        self, before: PlannedConfig, after: PlannedConfig, names: Sequence[str], about: object = ""
    ) -> None:
        """Only these backends are others, and nobody had to look at the rest to find that out."""
        places = after.config.places_that_differ(before.config)
        self.assertIsNotNone(places, f"everything was rendered: {about}")
        assert places is not None
        differ = [p for p in places if before.config.sections[p].text != after.config.sections[p].text]
        self.assertEqual([after.config.sections[place].name for place in differ], list(names), about)

    def test_whatever_it_is(self) -> None:
        """Each kind of app that has other tasks gives what rendering everything gives, and renders one backend."""
        rival = {"0_VHOST": "x.com"}
        for labels, others, overrides, names in (
            ({}, {}, {}, ["x_2"]),
            ({}, {}, {"HTTP_FRONTEND_ACL": ACL, "HTTPS_FRONTEND_ACL": ACL}, ["x_2"]),
            ({"0_HTTP_FRONTEND_ACL": ACL, "0_HTTP_FRONTEND_APPID_ACL": ACL}, {}, {}, ["x_2"]),
            ({"0_BACKEND_WEIGHT": "7"}, {}, {}, ["x_2"]),
            ({}, rival, {}, ["x_2"]),
            ({"0_PORT": "1"}, {}, {}, ["x_1"]),
            ({"0_PORT": "9090"}, {}, {}, ["x_9090"]),
            ({"0_BACKEND_HEAD": "backend {nobody}\n"}, {}, {}, []),
            ({"0_BACKEND_HEAD": ""}, {}, {}, []),
            ({"0_MODE": "health"}, {}, {}, []),
            ({"0_NONSENSE": "1"}, {}, {}, ["x_2"]),
        ):
            mine = app("/x", {"0_VHOST": "x.com"} | labels, ports=(Port(2),))
            apps = {each.id: each for each in (app("/a", others, ports=(Port(1),)), mine)}
            made = planner(*apps.values(), **overrides)
            for tasks in ((task(1), task(2)), (task(2),), (), (task(3),)):
                mine = changed(mine, tasks=tasks)
                before, after = self.change(made, apps, mine)
                self.assertCostsWhatChanged(before, after, names, (labels, tasks))
                whole = planner(apps["/a"], mine, **overrides).plan(0)
                self.assertEqual(after.config.template, whole.config.template, labels)
                self.assertEqual((after.problems, after.servers), (whole.problems, whole.servers), labels)
                self.assertEqual(after.services, whole.services, labels)

    def test_quarantined(self) -> None:
        """So does one that HAProxy has refused, with its last good text or without any."""
        for good in (True, False):
            old = app("/x", {"0_VHOST": "x.com"}, ports=(Port(2),))
            apps = {each.id: each for each in (app("/a", ports=(Port(1),)), old)}
            made = planner(*(apps.values() if good else [apps["/a"]]))
            made.accepted(made.plan(0))
            bad = changed(old, labels={**old.labels, "HAPROXY_0_BACKEND_EXTRA": "nonsense"})
            _, wanted = self.change(made, apps, bad)
            self.assertTrue(made.blame(refused(wanted, "nonsense"), wanted, Clock()))
            before, after = self.change(made, apps, changed(bad, tasks=(task(7),)))
            self.assertCostsWhatChanged(before, after, ["x_2"] if good else [])
            self.assertEqual("10.0.0.7" in after.config.template, good)
            self.assertEqual((after.servers, len(after.services)), (2, 2) if good else (1, 1))
            self.assertEqual([problem.app_id for problem in after.problems], ["/x"])
            before, after = self.change(made, apps, old)
            self.assertEqual((after.problems, len(after.services)), ((), 2))

    def test_who_is_older(self) -> None:
        """The date of an app decides where two want the same, so that with it everything is looked at."""
        apps = {
            name: app(name, {"0_VHOST": "x.com"}, ports=(Port(port),))
            for name, port in (("/a", 1), ("/x", 2))
        }
        made = planner(*apps.values())
        older = changed(apps["/x"], config_changed_at="2019-01-01T00:00:00.000Z")
        _, after = self.change(made, apps, older)
        self.assertEqual(after.problems, planner(apps["/a"], older).plan(0).problems)
        self.assertEqual([problem.app_id for problem in after.problems], ["/a"])

    def test_wrong_line_of_a_server(self) -> None:
        """A label that is wrong where there is a server is found with the first task, and is gone with the last."""
        label = {"0_BACKEND_SERVER_OPTIONS": "  server {nobody}\n"}
        mine = app("/x", label, ports=(Port(2),), tasks=())
        apps = {"/a": app("/a", ports=(Port(1),)), "/x": mine}
        made = planner(*apps.values())
        for tasks, wrong in (((), 0), ((task(1),), 1), ((task(2),), 1), ((), 0)):
            _, after = self.change(made, apps, changed(mine, tasks=tasks))
            self.assertEqual((len(after.problems), len(after.services)), (wrong, 2 - wrong))

    def test_wrong_line_of_the_operator(self) -> None:
        """One of the operator's that is found with the first task is told, and the service is left out."""
        mine = app("/x", ports=(Port(2),), tasks=())
        made = planner(mine, BACKEND_SERVER_OPTIONS="  server {nobody}\n")
        before, after = self.change(made, {}, changed(mine, tasks=(task(1),)))
        self.assertEqual((before.problems, len(before.services), len(after.services)), ((), 1, 0))
        self.assertEqual([problem.label for problem in after.problems], ["HAPROXY_BACKEND_SERVER_OPTIONS"])

    def test_text_of_the_servers(self) -> None:
        """An operator's Jinja2 that names servers where requests are routed is written anew with them."""
        with TemporaryDirectory() as directory:
            text = "  # {% for server in service.servers %}{{ server.port }} {% endfor %}\n"
            Path(directory, "HAPROXY_HTTP_FRONTEND_ACL.j2").write_text(text)
            mine = app("/x", {"0_VHOST": "x.com"}, ports=(Port(2),))
            made = planner(mine, templates=directory)
            _, after = self.change(made, {}, changed(mine, tasks=(task(1, ports=(4711,)),)))
            self.assertIn("  # 4711 \n", after.config.template)


class NameTests(SynchronousTestCase):
    """Backends whose names are told apart."""

    def test_servers_of(self) -> None:
        """The servers of killed tasks are looked for where they are, before and after a change of tasks."""
        older = app("/a/b", ports=(Port(10000),), config_changed_at="2020")
        younger = app("/a_b", ports=(Port(10000),), tasks=(task(2),), config_changed_at="2021")
        made = planner(older, younger)
        wanted = made.plan(0)
        names = {service.app_id: service.backend for service in wanted.services}
        self.assertEqual(
            (names["/a/b"], wanted.rendered.renamed), ("a_b_10000", {("/a_b", 0): names["/a_b"]})
        )
        self.assertRegex(names["/a_b"], r"\Aa_b:[0-9a-f]{8}_10000\Z")
        for number in (2, 3):
            found = made.servers_of(["/a/b", "/a_b"], frozenset({"task.1", f"task.{number}"}))
            self.assertEqual([backend for backend, _ in found], ["a_b_10000", names["/a_b"]])
            more = changed(younger, tasks=(task(2), task(3)))
            made.update({older.id: older, more.id: more}, [more.id])
            self.assertEqual({each.app_id: each.backend for each in made.plan(0).services}, names)
        made.update({younger.id: younger}, [older.id])
        self.assertEqual([each.backend for each in made.plan(0).services], ["a_b_10000"])
        self.assertEqual(made.servers_of(["/a_b"], frozenset({"task.2"}))[0][0], "a_b_10000")


class BlameTests(SynchronousTestCase):
    """`Planner.blame`."""

    a = app("/a", ports=(Port(1),))
    b = app("/b", ports=(Port(2),))

    def test_one_name(self) -> None:
        """Where HAProxy refuses a frontend and a backend of one name, frontends are told apart from then on."""
        head = "frontend {backend}\n  bind {bindAddr}:{servicePort}\n"
        made = planner(self.a, self.b, FRONTEND_HEAD=head)
        wanted = made.plan(0)
        self.assertIn("frontend a_1\n", wanted.rendered.config.template)
        error = refused(wanted, "backend a_1", words=CLASH)
        self.assertTrue(made.blame(error, wanted, Clock()))
        wanted = made.plan(0)
        self.assertIn("frontend a_1_in\n", wanted.rendered.config.template)
        self.assertEqual([(each.app_id, each.fatal) for each in wanted.problems], [("", False)])
        self.assertEqual(len(wanted.services), 2)

    def test_version(self) -> None:
        """Where the version is known nobody has to be refused: from 3.3 on frontends are told apart at once."""
        head = "frontend {backend}\n  bind {bindAddr}:{servicePort}\n"
        for version, name in (((), "a_1"), ((3, 2, 9), "a_1"), ((3, 3, 0), "a_1_in"), ((3, 4, 7), "a_1_in")):
            made = planner(self.a, FRONTEND_HEAD=head)
            made.plan(0)
            made.suit(version)
            self.assertIn(f"frontend {name}\n", made.plan(0).rendered.config.template, version)

    def test_sessions(self) -> None:
        """Where the version is known to tell TLS sessions apart, nothing is written against them."""
        asks = app("/a", {"0_SSL_CERT": "/a.pem", "0_BIND_OPTIONS": "ca-file /ca verify required"})
        for version, wanted in (((), True), ((3, 0, 11), True), ((3, 2, 0), False)):
            made = planner(asks)
            made.suit(version)
            text = made.plan(0).rendered.config.template
            self.assertEqual(wanted, "tune.ssl.cachesize 0" in text, version)

    def test_defaults(self) -> None:
        """HAProxy can do without that from which it makes backends; where a service is wrong, too, it is to blame."""
        made = planner(
            app("/a", {"0_MODE": "http", "0_BACKEND_EXTRA": "option odd"}, ports=(Port(1),)), self.b
        )
        made.suit((3, 4, 7))
        wanted = made.plan(0)
        both = refused(wanted, "option odd")
        self.assertEqual([c.owner.template for c in both.complaints], ["BACKEND_EXTRA", "DEFAULTS"])
        (alone,) = (c for c in both.complaints if c.owner.template == "DEFAULTS")
        self.assertTrue(made.blame(both, wanted, Clock()))
        wanted = made.plan(0)
        self.assertEqual([each.app_id for each in wanted.services], ["/b"])
        self.assertIn("\ndefaults marathon_lb_backend_", wanted.rendered.config.template)
        self.assertTrue(made.blame(InvalidConfiguration(complaints=(alone,)), wanted, Clock()))
        wanted = made.plan(0)
        self.assertNotIn("marathon_lb_backend_", wanted.rendered.config.template)
        self.assertEqual([each.app_id for each in wanted.services], ["/b"])
        self.assertFalse(made.blame(InvalidConfiguration(complaints=(alone,)), wanted, Clock()))

    def test_one_name_for_good(self) -> None:
        """Where they are told apart already and clash still, somebody's own text is to blame."""
        bad = app("/a", {"0_BACKEND_HEAD": "backend b_2"}, ports=(Port(1),))
        made = planner(bad, self.b)
        for _ in range(2):
            wanted = made.plan(0)
            line = wanted.rendered.config.template.split("\n").index("backend b_2") + 1
            place = wanted.rendered.config.locate(line)
            assert place is not None
            complaint = Complaint(message=CLASH, line=line, owner=place[1].owner)
            self.assertTrue(made.blame(InvalidConfiguration(complaints=(complaint,)), wanted, Clock()))
        wanted = made.plan(0)
        self.assertEqual([each.label for each in wanted.problems], ["HAPROXY_0_BACKEND_HEAD"])
        self.assertEqual([each.app_id for each in wanted.services], ["/b"])

    def test_operator(self) -> None:
        """An operator's template that no service can use keeps them all out, and the line is told."""
        made = planner(self.a, self.b, BACKEND_EXTRA="  # mine\n  nonsense\n")
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "nonsense"), wanted, Clock()))
        wanted = made.plan(0)
        problem, *others = wanted.problems
        self.assertEqual((problem.app_id, problem.label), ("", "HAPROXY_BACKEND_EXTRA"))
        self.assertRegex(
            problem.reason,
            r"^HAProxy says: unknown keyword \(line 2: `nonsense`\); .*; until it is good, the services that use it "
            "are closed; it is tried again",
        )
        self.assertEqual([(each.app_id, each.label) for each in others], CLOSED_EXTRA)
        self.assertNotIn("nonsense", wanted.rendered.config.template)
        self.assertEqual(len(wanted.services), 0)

    def test_one_after_another(self) -> None:
        """Where HAProxy gives up at the first service, the second one acquits it, and the template is to blame."""
        made = planner(
            self.a, self.b, app("/c", ports=(Port(3),)), BACKEND_EXTRA="  # {backend}\n  odd {backend}\n"
        )
        for line in ("odd a_1", "odd b_2"):
            wanted = made.plan(0)
            self.assertTrue(made.blame(refused(wanted, line), wanted, Clock()))
        wanted = made.plan(0)
        (problem,) = made.texts.overrides.closed
        self.assertEqual((problem.app_id, problem.label), ("", "HAPROXY_BACKEND_EXTRA"))
        self.assertEqual([each.label for each in wanted.problems], ["HAPROXY_BACKEND_EXTRA"] * 4)
        self.assertEqual(len(wanted.services), 0)

    def test_used_later(self) -> None:
        """An operator's template that no service used when HAProxy accepted the others is not proven by that."""
        made = planner(self.a, BACKEND_HSTS_OPTIONS="  rspadd x\n")
        made.accepted(made.plan(0))
        apps = {
            f"/{name}": app(
                f"/{name}", {"0_VHOST": f"{name}.test", "0_USE_HSTS": "true"}, ports=(Port(port),)
            )
            for name, port in (("b", 2), ("c", 3))
        }
        made.update({"/a": self.a, **apps}, apps)
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "rspadd x"), wanted, Clock()))
        wanted = made.plan(0)
        self.assertEqual({each.label for each in wanted.problems}, {"HAPROXY_BACKEND_HSTS_OPTIONS"})
        self.assertEqual([each.app_id for each in wanted.problems], ["", "/b", "/c"])
        self.assertEqual([each.app_id for each in wanted.services], ["/a"])

    def test_accepted_before(self) -> None:
        """Once HAProxy has accepted an operator's template, a changed service that it is refused for is to blame."""
        made = planner(self.a, self.b, BACKEND_EXTRA="  {mode}\n")
        made.accepted(made.plan(0))
        other = changed(self.b, labels={"HAPROXY_0_MODE": "http"})
        made.update({"/a": self.a, "/b": other}, {"/b"})
        wanted = made.plan(0)
        self.assertTrue(made.blame(refused(wanted, "http"), wanted, Clock(), running=True))
        wanted = made.plan(0)
        self.assertEqual(
            [(each.app_id, each.label) for each in wanted.problems], [("/b", "HAPROXY_BACKEND_EXTRA")]
        )
        self.assertEqual([each.mode for each in wanted.services], ["tcp", "tcp"])

    def test_template_without_a_line(self) -> None:
        """Where no line is named and no service is to blame it is the operator's template without which all passes."""
        head, extra = "global\nprogram x\n", "  # {mode}\n"
        error = InvalidConfiguration(complaints=(Complaint(message="no program here"),))
        for accepted in (False, True):
            made = planner(self.a, self.b, HEAD=head, BACKEND_EXTRA=extra)
            wanted = made.plan(0)
            if accepted:
                made.accepted(wanted)

            async def passes(config: Config) -> bool:
                return "program" not in config.template

            found = Deferred.fromCoroutine(made.search_templates(error, wanted, passes))
            self.assertEqual(self.successResultOf(found), not accepted)
            wanted = made.plan(0)
            self.assertEqual(len(wanted.services), 2)
            self.assertIn("  # tcp\n", wanted.rendered.config.template)
            labels = [(each.label, "no program here" in each.reason) for each in wanted.problems]
            self.assertEqual(labels, [] if accepted else [("HAPROXY_HEAD", True)])

    def test_nobody(self) -> None:
        """A complaint that names no line blames nobody."""
        made = planner(self.a)
        wanted = made.plan(0)
        error = InvalidConfiguration(complaints=(Complaint(message="no memory"),))
        self.assertFalse(made.blame(error, wanted, Clock()))
