"""How much an app may say, what becomes of more, and how long reading it takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from itertools import islice, product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import App, HealthCheck, Port
from marathonlb.problem_kinds.apps import LABEL_VALUE, MORE_PROBLEMS
from marathonlb.routing.claims.settle import settle
from marathonlb.routing.explain.answer import explain
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.question import UrlQuestion
from marathonlb.routing.explain.router_model import route
from marathonlb.routing.labels.parse import parse_labels
from marathonlb.routing.problems import Problem, gathered
from marathonlb.routing.rules import Rules, rules_of
from marathonlb.routing.services.model import AppServices, Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task

BLOCKED = 0.15
"""Seconds of CPU that reading one app may take here: three times the promise, for a busy machine."""


FULL = {
    "0_VHOST": ",".join(f"h{number}.test" for number in range(6000)),
    "1_VHOST": ",".join(f"ü{number}.é" for number in range(195)),
    "2_PATH": " ".join(f"/{number}" for number in range(9900)),
    "3_BACKEND_NETWORK_ALLOWED_ACL": " ".join(f"::{number:x}" for number in range(1990)),
    "4_CORS": ",".join(f"https://a{number}.test" for number in range(40)),
    **{f"{number}_GROUP": ",".join(f"g{each}" for each in range(95)) for number in range(5, 15)},
    **{f"{number}_BALANCE": "url_param " + "a" * 50 for number in range(5, 480)},
    **{f"{number}_VHOTS": "x" for number in range(100)},
}
"""Everything at its limit at once."""


def numbered(pattern: str, count: int, separator: str = ",") -> str:
    """A list of so many items that differ."""
    return separator.join(pattern.format(number) for number in range(count))


def seconds(work: Callable[[], Any], tries: int = 4) -> float:
    """The least CPU time of some tries."""
    least = float("inf")
    gc.disable()  # what other tests have left behind is none of its cost
    try:
        for _ in range(tries):
            begun = time.process_time()
            work()
            least = min(least, time.process_time() - begun)
    finally:
        gc.enable()
    return least


def many_ports(count: int, labels: dict[str, str] | None = None, **more: Any) -> App:
    """An app with so many ports; ``{}`` in the name of a label is each of their indexes."""
    ports = tuple(Port(10000 + number) for number in range(count))
    each = {name.format(n): text.format(n) for n in range(count) for name, text in (labels or {}).items()}
    tasks = tuple(task(n, ports=tuple(range(31000, 31000 + count))) for n in range(5))
    return app("/evil", each, ports=ports, tasks=tasks, **more)


class BoundaryTests(SynchronousTestCase):
    """The largest value is taken, and one byte more is a problem that names app and label."""

    def test_values(self) -> None:
        """Paths, hosts, groups and plain values."""
        label = "a" * 63
        host = ".".join([label, label, label, "b" * 61])
        self.assertEqual(253, len(host))
        for name, good, bad in (
            ("PATH", "/" + "a" * 2047, "/" + "a" * 2048),
            ("PATH", "/" + "ä" * 1023 + "a", "/" + "ä" * 1024),
            ("HTTP_BACKEND_PROXYPASS_PATH", "/" + "a" * 2047, "/" + "a" * 2048),
            ("HTTP_BACKEND_REVPROXY_PATH", "/" + "a" * 2047, "/" + "a" * 2048),
            ("HTTP_BACKEND_REDIR", "/" + "a" * 2047, "/" + "a" * 2048),
            ("VHOST", host, host + "b"),
            ("VHOST", "*." + host, "*." + host + "b"),
            ("VHOST", "a.test", "ü" * 254),
            ("BALANCE", "url_param " + "a" * 990, "url_param " + "a" * 991),
            ("BIND_OPTIONS", "a" * 2048, "a" * 2049),
            ("BIND_OPTIONS", "a " * 40, "a " * 41),
            ("GROUP", "external," + "a" * 255, "external," + "a" * 256),
            ("GROUP", numbered("g{}", 99) + ",external", numbered("g{}", 100) + ",external"),
            ("CORS", numbered("https://{}.test", 40), numbered("https://{}.test", 41)),
            ("SSL_CERT", numbered("/{}", 20), numbered("/{}", 21)),
            ("SSL_CERT", "/" + "a" * 2047, "/" + "a" * 2048),
            ("BACKEND_SSL", "/" + "a" * 2047, "/" + "a" * 2048),
            ("BACKEND_NETWORK_ALLOWED_ACL", numbered("::{:x}", 2000, " "), numbered("::{:x}", 2001, " ")),
            ("STICKY", "true" + " " * 251, "true" + " " * 252),
            ("BACKEND_EXTRA", "#" * 65536, "#" * 65537),
        ):
            settings = Settings(groups=frozenset({"external"})) if name == "GROUP" else None
            for text, expected in ((good, []), (bad, [f"HAPROXY_0_{name}"])):
                labels = {"0_VHOST": "a.test", f"0_{name}": text}
                found = offered(app("/shop", labels), settings)
                self.assertEqual(expected, [p.label for p in found.problems], (name, len(text)))
                self.assertEqual(not expected, bool(found.services), (name, len(text)))

    def test_health_check_path(self) -> None:
        """The path of a health check reaches HAProxy's configuration, too."""
        for length, served in ((2048, True), (2049, False)):
            check = HealthCheck(path="/" + "a" * (length - 1))
            found = offered(app("/shop", {"0_VHOST": "a.test"}, health_checks=(check,)))
            self.assertEqual(served, bool(found.services))
            self.assertEqual([] if served else ["healthChecks[].path"], [p.label for p in found.problems])

    def test_whole_app(self) -> None:
        """All labels together: of an app that says too much nothing is served, since one may have guarded another."""
        labels = {f"{number}_BACKEND_EXTRA": "#" * 65000 for number in range(4)}
        self.assertTrue(offered(app("/shop", labels)).services)
        found = offered(app("/shop", {**labels, "4_BACKEND_EXTRA": "#" * 65000}))
        self.assertEqual((), found.services)
        self.assertIn("the maximum is 262144; nothing of this app is served", str(found.problems[-1]))

    def test_labels(self) -> None:
        """A port whose labels are not all read is not served, and what no label is takes nobody's place."""
        labels = {"{}_VHOST": "h{}.test", "{}_STICKY": "true", "{}_AUTH": "r:u:$5$rounds=1000$s$abcdef"}
        found = offered(many_ports(200, labels, health_checks=()))
        self.assertEqual(list(range(166)), [each.port_index for each in found.services])
        self.assertEqual(34, sum("of which 500 are read" in problem.reason for problem in found.problems))
        self.assertTrue(all(each.auth and each.hosts for each in found.services))
        unknown = {f"A{number:05}": "x" for number in range(20000)}
        found = offered(app("/shop", {**unknown, "0_VHOST": "a.test"}))
        self.assertEqual(("a.test",), found.services[0].hosts)
        self.assertEqual(limits.UNKNOWN + 1, len(found.problems))
        self.assertIn("19950 more unknown labels are ignored: HAPROXY_A00050, ", str(found.problems[-1]))


class ShownTests(SynchronousTestCase):
    """Problems are short, and few enough to be read."""

    def test_short(self) -> None:
        """Value and reason are cut off, wherever they come from."""
        for labels in ({"0_VHOST": "!" * 60000}, {"0_PATH": "!" * 60000}, {"A" * 60000: "x" * 60000}):
            (problem,) = offered(app("/shop", labels)).problems
            self.assertLess(len(str(problem)), 4000)
        problem = Problem("/a", 0, "HAPROXY_0_BACKEND_HEAD", "x" * 501, "y" * 2001, kind=LABEL_VALUE)
        self.assertEqual(("x" * 500 + "…", "y" * 2000 + "…"), (problem.value, problem.reason))

    def test_gathered(self) -> None:
        """Of one app's problems those are told first that take a service out, and how many more there are."""
        mine = [Problem("/a", n, "l", "", f"r{n}", fatal=n > 290, kind=LABEL_VALUE) for n in range(300)]
        operators = Problem("", None, "t", "", "x", kind=LABEL_VALUE)
        other = Problem("/b", 0, "l", "", "r", kind=LABEL_VALUE)
        found = list(gathered([operators, *mine, other]))
        self.assertEqual(1 + limits.PROBLEMS + 1 + 1, len(found))
        self.assertTrue(found[1].fatal)
        self.assertIn("has 100 more problems", str(found[-2]))
        self.assertIs(MORE_PROBLEMS, found[-2].kind)


class TimeTests(SynchronousTestCase):
    """Reading one app takes milliseconds of the reactor's time, whatever its labels hold."""

    def test_reading(self) -> None:
        """Each list at its limit, texts without end, and values that made regular expressions go back and forth."""
        checks = tuple(HealthCheck(port_index=number) for number in range(1000))
        for labels, ports in (
            ({"{}_VHOST": numbered("h{{}}-{}.test", 2400).replace("{}", "{0}")}, 4),
            ({"{}_VHOST": numbered("http://h{{}}-{}:80/", 2400).replace("{}", "{0}")}, 4),
            ({"0_VHOST": numbered("ü{}é.ö", 490)}, 1),
            ({"0_VHOST": "a.test", "0_PATH": numbered("/{}", 9900, " ")}, 1),
            ({"0_VHOST": numbered("h{}.test", 5000), "0_PATH": numbered("/{}", 5000, " ")}, 1),
            ({"0_BACKEND_NETWORK_ALLOWED_ACL": numbered("::{:x}/128", 2000, " ")}, 1),
            ({f"0_VHOTS{number}": "x" for number in range(20000)}, 1),
            ({f"{number}_VHOST": "x" for number in range(20000)}, 1),
            ({"0_BALANCE": "roundrobin " + "\\n" * 200_000}, 1),
            ({"0_BALANCE": "roundrobin " + "\\n" * 1000}, 1),
            ({"0_BIND_OPTIONS": '"' + "\\n" * 1000}, 1),
            ({"{}_VHOST": "." * 60000 + "!"}, 8),
            ({"{}_BACKEND_HEAD": "\\n" * 32000}, 8),
            ({"{}_CORS": numbered("https://a{}.test", 40)}, 500),
            ({"{}_SSL_CERT": numbered("/{}", 20)}, 500),
            ({}, 1000),
            (FULL, 1000),
        ):
            made = many_ports(ports, {name.replace("{}", "{0}"): text for name, text in labels.items()})
            self.assertLess(seconds(partial(offered, made)), BLOCKED, next(iter(labels), "ports"))
        self.assertLess(seconds(partial(offered, many_ports(1000, health_checks=checks))), 2 * BLOCKED)

    def settled(self, *apps: AppServices) -> tuple[list[Service], Rules]:
        settled = settle([each for offers in apps for each in offers.services], Settings())
        return list(settled.services), rules_of(settled.services, settled.lost, lambda each: False, maps=True)

    def test_rules(self) -> None:
        """Claims and rules of ten thousand entries: wildcards, nested ones, and paths that differ in case alone."""
        cases = [f"/{''.join(letters)}" for letters in islice(product(*("aA" for _ in range(13))), 4000)]
        for labels in (
            {"0_VHOST": numbered("*.h{}.test", 5000), "0_PATH": "/a /b"},
            {"0_VHOST": numbered("*.h{}.test", 4000), "0_BACKEND_WEIGHT": "-1"},
            {
                "0_VHOST": ",".join("*." + numbered("l{}", depth, ".") for depth in range(2, 60)),
                "0_PATH": "/a",
            },
            {"0_VHOST": "a.test,b.test", "0_PATH": " ".join(cases)},
            {"0_VHOST": "a.test,b.test", "0_PATH": "-i " + " ".join(cases)},
        ):
            other = offered(app("/bank", {"0_VHOST": numbered("a.h{}.test", 4000)}, ports=(Port(10001),)))
            made = offered(app("/evil", labels))
            self.assertEqual((), made.problems)
            self.assertLess(seconds(partial(self.settled, made, other), 2), 2.0, labels["0_VHOST"][:20])

    def test_weights(self) -> None:
        """The weights of many ports with one host are compared with so many rules, all together."""
        labels = {"{}_VHOST": "a.test", "{}_PATH": numbered("/p{{}}/{}", 40, " "), "{}_BACKEND_WEIGHT": "2"}
        each = {name.replace("{}", "{0}"): text.replace("{}", "{0}") for name, text in labels.items()}
        made = offered(many_ports(160, each))
        self.assertEqual(160, len(made.services))
        self.assertLess(seconds(partial(self.settled, made), 2), 3.0)

    def test_case(self) -> None:
        """Thousands of paths that differ in case alone meet as many of another app, with and without their weights."""
        cases = [f"/{''.join(letters)}" for letters in islice(product(*("aA" for _ in range(12))), 4000)]
        for mine, theirs in (("", "-i "), ("-i ", ""), ("", "")):
            one = {"0_VHOST": "a.test", "0_PATH": mine + " ".join(cases)}
            other = {"0_VHOST": "a.test", "0_PATH": theirs + " ".join(cases), "0_BACKEND_WEIGHT": "7"}
            first = offered(app("/evil/one", one, ports=(Port(1),), config_changed_at="1"))
            second = offered(app("/evil/two", other, ports=(Port(2),), config_changed_at="2"))
            third = offered(app("/third/two", other, ports=(Port(3),), config_changed_at="3"))
            self.assertLess(seconds(partial(self.settled, first, second, third), 2), 3.0, (mine, theirs))

    def test_explained(self) -> None:
        """A question for a host that nobody has is answered without a comparison with every host."""
        made = app("/evil", {"0_VHOST": numbered("a-host-of-many-{}.example.com", 1900)})
        state = State({made.id: made}, Settings(), template_names=PER_APP_NAMES)
        question = UrlQuestion("http", "a-host-of-many.example.com", None, "/")
        self.assertLess(seconds(lambda: explain(question, state), 2), 0.5)
        self.assertTrue(explain(question, state).near)


class LabelsTests(SynchronousTestCase):
    """What the reader of labels does with names."""

    def test_long_names(self) -> None:
        """A name of any length is a warning, and hides what looks secret."""
        found = parse_labels(app("/a", {"0_AUTH" + "X" * 60000: "secret"}), PER_APP_NAMES)
        (problem,) = found.problems
        self.assertEqual("***", problem.value)
        self.assertLess(len(problem.label), 300)

    def test_nothing_lost(self) -> None:
        """Hosts at the limit lead where their labels say."""
        made = offered(app("/shop", {"0_VHOST": numbered("h{}.test", 5000), "0_PATH": "/a /b"}))
        settled = settle(made.services, Settings())
        found = route(
            rules_of(settled.services, settled.lost, lambda each: False, maps=True), "h4999.test", "/b"
        )
        assert found is not None
        self.assertEqual("/shop", found.service.app_id)
