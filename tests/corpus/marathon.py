"""Definitions, answers, events and streams that were published or captured."""

from __future__ import annotations

from tests.corpus import corpus
from tests.marathon.events import test_hints, test_sse
from tests.marathon.parsing import test_apps, test_pods
from tests.minimarathon import test_events
from tests.minimarathon.definitions import test_parsing
from tests.routing import test_deployments
from tests.web.callback import test_resource


class Hints(test_hints.EventFilesTests):
    """Published and captured events."""

    directory = corpus("marathon", "events")
    most_everything = 5


class Callbacks(test_resource.EventFilesTests):
    """Published and captured events."""

    directory = corpus("marathon", "events")


class Streams(test_sse.StreamFilesTests):
    """Captured streams."""

    directory = corpus("marathon", "streams")


class Definitions(test_apps.DefinitionFilesTests):
    """Published definitions and answers."""

    directory = corpus("apps")
    malformed = corpus("apps-malformed")
    answers = corpus("marathon", "samples")
    least_apps, least_answered = 200, 20


class Pods(test_pods.PodAnswersTests):
    """Published answers about pods."""

    pods = corpus("marathon", "samples", "go-marathon_GET__v2_pods_status.json")
    single = (
        corpus("marathon", "samples", "go-marathon_GET__v2_pods_fake-pod_status.json"),
        corpus("marathon", "samples", "go-marathon_GET__v2_pods_fake-pod2_status.json"),
    )


class RoundTrips(test_parsing.DefinitionFilesTests):
    """Published definitions, as minimarathon takes and shows them."""

    directory = corpus("apps")
    least_good, most_bad = 200, 9


class EventShapes(test_events.EventShapeTests):
    """minimarathon's events beside captured ones."""

    directory = corpus("marathon", "events")
    name_of_1_5 = "{kind}@marathon-1.5-real.json"
    alive_of_1_4 = "health_status_changed_event@docs-v1.4.13.json"
    healthy_of_1_5 = "instance_health_changed_event@docs-v1.5.15.json"


class Pairs(test_deployments.PairTests):
    """A pair that a deployment tool wrote."""

    path = corpus("apps", "mesosphere+marathon-lb__tests_zdd_apps.json")
    group, members = "nginx", ("/nginx-green", "/nginx-blue")
    backend, service_port = "nginx_10000", 10000
