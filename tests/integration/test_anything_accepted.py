"""Whatever JSON a Marathon sends and labels hold: HAProxy accepts what it comes to, or a problem says why not."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import BY_NAME, PER_APP_NAMES
from marathonlb.controller.planned_config import PlannedConfig
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.routing.labels.parse import PER_APP, PER_PORT
from marathonlb.settings import Settings
from tests.config.test_anything import GOOD, VALUES
from tests.integration.haproxies import WHEEL
from tests.integration.settling import settled

DEFAULTS = load_templates("/nowhere", {})

TEXTS = (
    "", "false", "\n", "nonsense\n", "  http-request set-header X-A {backend}\n", "  # only words", "{nope}",
    "{{ }}", "  acl a path / 'open\n", '  acl a path / "open\n', "  mode tcp\n", "  balance nothing\n",
    "backend {backend}\n", "frontend {frontend}\n  bind 127.0.0.1:1\n", "  reqrep a b\n", "global\n  nbproc 4\n",
    "frontend {backend}\n  bind :{servicePort}\n", "defaults\n  mode tcp\n", ".if 1\n", ".endif\n",
    "userlist x\n  user a password b\n", "  server a 127.0.0.1:1\n", " check inter 1s", "  option \\",
    "backend marathon_http_in\n", "  use_backend nowhere\n", "  bind *:80\n", "  stick-table type ip size 1k\n",
    "  errorfile 503 /nonexistent\n", "  timeout server 1\n", "program x\n command /bin/true\n", "resolvers r\n",
    "a" * 3000, "  acl x path " + "/y " * 400, "\x01", "\u20ac\u2028", "backend innocent_9000\n",
    "frontend innocent_9000_in\n", "listen {backend}\n  server x 127.0.0.1:1\n", "  compression algo gzip\n",
    "  server {serverName} {host_ipv4}:{port}{healthCheckOptions}{otherOptions}{cookieOptions}\n", "  errorfiles x\n",
    "\tacl\n", "id 5\n", "  use-server x if TRUE\n", ".if defined(X\n", "peers p\n", "  default-server check\n",
    "  acl a path /x\\\n", "\\\n",
)  # fmt: skip

HOSTS = st.sampled_from(
    ("10.0.0.1", "fd00::1", "agent-1.example.com", "", "a b", "10.0.0.300", "x'\"#\\", "é")
)
PORTS = st.sampled_from((0, 1, 80, 443, 9090, 10000, 10001, 31000, 65535, 65536, -1))


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these fields, some of them null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in fields.items()})


def _label(name: str) -> st.SearchStrategy[Any]:
    """Return a value for a label: mostly a valid one or an operator's text, otherwise any text."""
    stem = name.split("_", 2)[-1]
    usual = (
        st.sampled_from(GOOD[stem]) if stem in GOOD else st.sampled_from(TEXTS) if stem in BY_NAME else VALUES
    )
    return usual | usual | VALUES | st.sampled_from((None, "true", 1, False))


NAMES = (
    st.builds("HAPROXY_0_{}".format, st.sampled_from(sorted(PER_PORT)))
    | st.builds("HAPROXY_0_{}".format, st.sampled_from(sorted(PER_APP_NAMES)))
    | st.sampled_from(
        [f"HAPROXY_{name}" for name in (*PER_APP, "MODE", "0_XYZ", "", "0", "-1_MODE", "7_MODE", "1_PORT")]
    )
)
LABELS = st.lists(NAMES, max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _label(name) for name in names})
)
VHOSTS = st.sampled_from(
    ({}, {"HAPROXY_0_VHOST": "a.test"}, {"HAPROXY_0_VHOST": "b.test,*.b.test", "HAPROXY_0_PATH": "/p"})
)


MAPPINGS = st.lists(
    maybe(
        containerPort=PORTS,
        hostPort=PORTS,
        servicePort=PORTS,
        protocol=st.sampled_from(("tcp", "udp", "udp,tcp", "x\n")),
        name=st.sampled_from(("http", "é\n")),
        labels=st.just({"VIP_0": "1.2.3.4:80"}),
    ),
    max_size=3,
)
APPS = maybe(
    cmd=st.just("x"),
    instances=st.integers(-1, 3),
    container=maybe(
        type=st.sampled_from(("DOCKER", "MESOS")),
        docker=maybe(network=st.sampled_from(("BRIDGE", "HOST", "USER", "x")), portMappings=MAPPINGS),
        portMappings=MAPPINGS,
    ),
    networks=st.lists(
        maybe(mode=st.sampled_from(("host", "container", "container/bridge", "x")), name=st.just("n")), max_size=2
    ),
    ipAddress=maybe(
        discovery=maybe(ports=st.lists(maybe(number=PORTS, name=st.just("n"), protocol=st.just("tcp")), max_size=2))
    ),
    ports=st.lists(PORTS, max_size=3),
    portDefinitions=st.lists(maybe(port=PORTS, protocol=st.sampled_from(("tcp", "udp"))), max_size=3),
    healthChecks=st.lists(
        maybe(
            protocol=st.sampled_from(("HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "x\n")),
            path=VALUES,
            portIndex=st.integers(-1, 3),
            port=PORTS,
            intervalSeconds=st.sampled_from((0, 1, 60, -1, 2**40, 0.5)),
            timeoutSeconds=st.sampled_from((0, 1, 2**40)),
            maxConsecutiveFailures=st.sampled_from((0, 3, -1, 2**40)),
            ignoreHttp1xx=st.booleans(),
        ),
        max_size=2,
    ),
    tasks=st.lists(
        maybe(
            id=st.sampled_from(("t.1", "t.2", "x\n")),
            host=HOSTS,
            ports=st.lists(PORTS, max_size=3),
            ipAddresses=st.lists(maybe(ipAddress=HOSTS, protocol=st.just("IPv4")), max_size=2),
            state=st.sampled_from(("TASK_RUNNING", "TASK_KILLED", "TASK_LOST", "")),
            healthCheckResults=st.lists(st.none() | maybe(alive=st.booleans()), max_size=2),
        ),
        max_size=3,
    ),
    versionInfo=maybe(lastConfigChangeAt=st.sampled_from(("2020-01-01T00:00:00.000Z", "", "x"))),
    version=st.sampled_from(("2020-01-01T00:00:00.000Z", "x")),
)  # fmt: skip

RUNNING = {"id": "t.1", "host": "10.0.0.1", "ports": [31000, 31001], "state": "TASK_RUNNING"}


@st.composite
def apps(draw: st.DrawFn) -> dict[str, Any]:
    """An app: a plain one with any labels, or any app."""
    plain = {"ports": [draw(st.integers(10_000, 60_000)), 0], "tasks": [RUNNING]}
    shape = draw(st.sampled_from(({}, {}, {"healthChecks": [{"protocol": "HTTP", "path": "/up"}]}, None)))
    made = {**plain, **shape} if shape is not None else {**plain, **draw(APPS)}
    return {**made, "labels": {**draw(VHOSTS), **draw(LABELS)}}


INNOCENT = {
    "id": "/innocent",
    "ports": [9000],
    "labels": {"HAPROXY_0_VHOST": "innocent.test"},
    "tasks": [{"id": "i.1", "host": "10.0.0.9", "ports": [31000], "state": "TASK_RUNNING"}],
    "versionInfo": {"lastConfigChangeAt": "2000-01-01T00:00:00.000Z"},
}


class AnythingAcceptedTests(SynchronousTestCase):
    """One HAProxy, many apps at once."""

    skip = None if WHEEL else "this HAProxy is not installed"

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.settings = Settings(
            ssl_certs=(), groups=frozenset("*"), state_dir=str(self.directory), bind_stats="127.0.0.1:9090"
        )

    def settled(self, some: list[dict[str, Any]]) -> PlannedConfig:
        """Return what HAProxy accepts of a cluster; assert that the innocent app is served as if it were alone."""
        document = {"apps": [INNOCENT, *({**each, "id": f"/a{number}"} for number, each in enumerate(some))]}
        parsed = parse_apps(json.dumps(document).encode())
        wanted, _ = settled(WHEEL, self.directory, self.settings, DEFAULTS, parsed.apps, most=60)
        own = {f"/a{number}" for number in range(len(some))}
        self.assertEqual([str(each) for each in wanted.problems if each.app_id not in own], [])
        self.assertIn("/innocent", {service.app_id for service in wanted.services})
        return wanted

    def test_every_text(self) -> None:
        """Whatever text stands in whatever template of one app, no other app loses anything."""
        for text in TEXTS:
            some = []
            for number, name in enumerate(sorted(PER_APP_NAMES)):
                labels = {
                    "HAPROXY_0_VHOST": f"a{number}.test",
                    "HAPROXY_0_AUTH": "r:u:$1$x$y" if number % 2 else None,
                    "HAPROXY_0_PATH": "/p" if number % 3 else None,
                    "HAPROXY_0_STICKY": "true",
                    f"HAPROXY_0_{name}": text,
                }
                check = {"protocol": "TCP" if "_TCP_" in name else "HTTP"}
                some.append(
                    {
                        "ports": [11_000 + number],
                        "labels": labels,
                        "tasks": [RUNNING],
                        "healthChecks": [check],
                    }
                )
            wanted = self.settled(some)
            told = {problem.app_id for problem in wanted.problems}
            told |= (
                {"/a2"} if not text.strip() or text in ("false", "  # only words") else set()
            )  # switched off
            served = {service.app_id for service in wanted.services}
            missing = {f"/a{number}" for number in range(len(some))} - told - served
            self.assertEqual(missing, set(), text)

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(st.lists(apps(), min_size=20, max_size=30))
    def test_any_apps(self, some: list[dict[str, Any]]) -> None:
        """HAProxy accepts the cluster after a few checks, and an innocent app in it is served as if it were alone."""
        self.settled(some)
