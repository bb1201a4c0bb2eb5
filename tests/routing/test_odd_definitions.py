"""Definitions of many years, from their JSON to what is offered: odd ones, each of which a Marathon has taken."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.parsing.apps import parse_apps
from marathonlb.routing.offers import Offers
from marathonlb.settings import Settings

LABELS = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "a.test"}
HOST, OWN = "10.0.0.1:31001", "9.0.0.1:80"


def task(**more: Any) -> dict[str, Any]:
    """A running task with two ports."""
    return {"id": "t.1", "host": "10.0.0.1", "ports": [31001, 31002], "state": "TASK_RUNNING", **more}


def docker(network: str | None = "BRIDGE", **more: Any) -> dict[str, Any]:
    """A container of Docker's."""
    return {"container": {"type": "DOCKER", "docker": {"image": "x", "network": network, **more}}}


def labelled(**more: Any) -> dict[str, Any]:
    """An app of one port with these labels besides; ``_0_X`` is ``HAPROXY_0_X``."""
    labels = {f"HAPROXY{name}": text for name, text in more.items()}
    return {"ports": [10000], "labels": {**LABELS, **labels}}


MAPPING = {"containerPort": 80, "hostPort": 0, "servicePort": 10000, "protocol": "tcp"}
TEXTS = {"containerPort": "80", "hostPort": "0", "servicePort": "10000", "protocol": "TCP"}
OVERLAY = {"ports": [], "ipAddresses": [{"ipAddress": "9.0.0.1", "protocol": "IPv4"}]}

CHECK = {
    "protocol": "HTTP",
    "path": "/up",
    "portIndex": "0",
    "intervalSeconds": "5",
    "maxConsecutiveFailures": "3",
}

TABLE: tuple[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]], ...] = (
    ("plain", {"ports": [10000]}, {}, ("app_10000 http a.test " + HOST,)),
    (
        "numbers as texts",
        {"ports": ["10000"], "instances": "2", "healthChecks": [CHECK]},
        {"ports": ["31001"]},
        ("app_10000 http a.test " + HOST,),
    ),
    ("a number with a point", {"ports": [10000.0]}, {}, ("app_10000 http a.test " + HOST,)),
    (
        "portDefinitions beside ports",
        {"ports": [10000, 10001], "portDefinitions": [{"port": 10000, "labels": {"VIP_0": "a"}}, {"port": "10001"}]},
        {},
        ("app_10000 http a.test " + HOST, "app_10001 tcp  10.0.0.1:31002"),
    ),
    ("both mappings", {**docker(portMappings=[MAPPING])}, {}, ("app_10000 http a.test " + HOST,)),
    ("mappings in texts", docker("bridge", portMappings=[TEXTS]), {}, ("app_10000 http a.test " + HOST,)),
    (
        "mappings that have moved",
        {"container": {"docker": {"network": "BRIDGE", "portMappings": []}, "portMappings": [MAPPING]}},
        {},
        ("app_10000 http a.test " + HOST,),
    ),
    (
        "mappings in both places",
        {"container": {"docker": {"network": "BRIDGE", "portMappings": [MAPPING]}, "portMappings": [MAPPING]}},
        {},
        ("app_10000 http a.test " + HOST,),
    ),
    ("no mappings but ports", {**docker(portMappings=None), "ports": [10000]}, {}, ("app_10000 http a.test " + HOST,)),
    (
        "ports of the host in Docker",
        {**docker("HOST", portMappings=[MAPPING]), "ports": [10050]},
        {},
        ("app_10050 http a.test " + HOST,),
    ),
    (
        "a bridge of Mesos's own",
        {"networks": [{"mode": "container/bridge"}], "container": {"type": "MESOS", "portMappings": [MAPPING]}},
        {},
        ("app_10000 http a.test " + HOST,),
    ),
    (
        "an overlay",
        {
            "networks": [{"mode": "container", "name": "dcos"}],
            "container": {"portMappings": [{"containerPort": 80, "servicePort": 10000}]},
        },
        OVERLAY,
        ("app_10000 http a.test " + OWN,),
    ),
    (
        "an overlay of an old Docker",
        {
            **docker("USER", portMappings=[{"containerPort": 80, "servicePort": 10000}]),
            "ipAddress": {"networkName": "calico"},
        },
        OVERLAY,
        ("app_10000 http a.test " + OWN,),
    ),
    (
        "discovery",
        {"ipAddress": {"discovery": {"ports": [{"number": "80", "name": "http"}]}}, "ports": [10000]},
        OVERLAY,
        ("app_10000 http a.test " + OWN,),
    ),
    ("an address per task without a port", {"ipAddress": {}, "ports": [10000]}, OVERLAY, ("app_10000 http a.test ",)),
    (
        "one port for UDP",
        {
            **docker(portMappings=[{**MAPPING, "protocol": "udp"}, {**MAPPING, "servicePort": 10001}]),
            "labels": {"HAPROXY_GROUP": "external", "HAPROXY_1_VHOST": "b.test"},
        },
        {},
        ("app_10001 http b.test 10.0.0.1:31002",),
    ),
    (
        "everything null",
        {
            "ports": [10000], "container": None, "ipAddress": None, "networks": None, "portDefinitions": None,
            "healthChecks": None, "readinessChecks": None, "deployments": None, "versionInfo": None, "version": None,
            "upgradeStrategy": None, "unreachableStrategy": "disabled", "residency": {"taskLostBehavior": "WAIT"},
        },
        {"healthCheckResults": None, "ipAddresses": None, "startedAt": None, "slaveId": None},
        ("app_10000 http a.test " + HOST,),
    ),
    ("no labels at all", {"ports": [10000], "labels": None}, {}, ()),
    ("groups", labelled(_GROUP=" internal , external ,"), {}, ("app_10000 http a.test " + HOST,)),
    ("another group", labelled(_GROUP="External"), {}, ()),
    (
        "blanks and case",
        labelled(
            _0_VHOST=" A.Test. , b.test", _0_MODE=" HTTP ", _0_STICKY=" True ", _0_BACKEND_WEIGHT=" 5 ",
            _0_BALANCE=" leastconn ", _0_PORT=" 8080 ", _0_BIND_ADDR=" 0.0.0.0 ", _0_ENABLED="Yes",
        ),
        {},
        ("app_8080 http a.test,b.test " + HOST,),
    ),
    (
        "labels that are no texts",
        labelled(_0_STICKY=True, _0_PORT=8080, _0_BACKEND_WEIGHT=None, _0_REDIRECT_TO_HTTPS=False),
        {},
        ("app_8080 http a.test " + HOST,),
    ),
    ("a host by blanks", labelled(_0_VHOST="a.test b.test"), {}, ("app_10000 http a.test,b.test " + HOST,)),
    ("an empty host", labelled(_0_VHOST=""), {}, ("app_10000 tcp  " + HOST,)),
    ("an old task", {"ports": [10000]}, {"state": None, "version": None}, ("app_10000 http a.test " + HOST,)),
)  # fmt: skip
"""What it is, the definition, what its task has besides, and each service: backend, mode, hosts, servers."""


class OddDefinitions(SynchronousTestCase):
    """Each as a cluster of its own."""

    def test_each(self) -> None:
        """It is offered as its authors meant, and nothing about it is a fault."""
        for name, definition, more, expected in TABLE:
            app = {"id": "/app", "labels": LABELS, "tasks": [task(**more)], **definition}
            parsed = parse_apps(json.dumps({"apps": [app]}).encode())
            self.assertEqual(((), ()), (parsed.unreadable, parsed.left_out), name)
            settings = Settings(groups=frozenset({"external"}))
            offers = Offers(settings, PER_APP_NAMES, lambda host: host)
            offers.update({each.id: each for each in parsed.apps}, {"/app"})
            found = tuple(
                f"{made.backend} {made.mode} {','.join(made.hosts)} "
                + " ".join(f"{server.address}:{server.port}" for server in made.servers)
                for made in offers.services()
            )
            self.assertEqual(expected, found, name)
            self.assertEqual([], [str(each) for each in offers.problems() if each.fatal], name)
