"""Kinds of problems between apps: collisions (MLB-3..), deployment groups (MLB-4..) and the policy (MLB-8..)."""

from __future__ import annotations

from marathonlb.problem_kinds.kind import Category, ProblemKind

PORT_RESERVED = ProblemKind(
    code="MLB-301",
    slug="port-reserved",
    category=Category.COLLISION,
    title="A service port is the load balancer's own",
    meaning="The load balancer itself, or an operator's template, listens on the port that the service wants.",
    meanwhile="The service has no port of its own; at its virtual hosts it is served.",
    remedy="Choose another service port, or move the option or the template that the problem names.",
)
PORT_TAKEN = ProblemKind(
    code="MLB-302",
    slug="port-taken",
    category=Category.COLLISION,
    title="A service port belongs to an older app",
    meaning="Two services want the same port at overlapping addresses. The app that was changed longest ago keeps it.",
    meanwhile="The younger service has no port of its own; at its virtual hosts it is served.",
    remedy="Choose another service port or another `HAPROXY_{n}_BIND_ADDR` for one of the two.",
)
HOST_TAKEN = ProblemKind(
    code="MLB-303",
    slug="host-taken",
    category=Category.COLLISION,
    title="A host or path belongs to another app",
    meaning=(
        "Two services want the same path of a virtual host. The app that was changed longest ago keeps it; of apps of"
        " one parent group the one with the larger `HAPROXY_{n}_BACKEND_WEIGHT` does."
    ),
    meanwhile="The other service is served at its other hosts and paths and at its service port.",
    remedy="Choose another host or path for one of the two, or remove the app that should not have it.",
)
BACKEND_NAME = ProblemKind(
    code="MLB-304",
    slug="backend-name",
    category=Category.COLLISION,
    title="Two apps would have backends of one name",
    meaning="App ids that differ only in `/` and `_`, with the same service port, give one name of a backend.",
    meanwhile="Everything is served; the younger app's backend has a digest in its name.",
    remedy="Nothing, unless something goes by the backend's name. Else rename one app.",
)
WEIGHT_UNUSED = ProblemKind(
    code="MLB-305",
    slug="weight-unused",
    category=Category.COLLISION,
    title="A weight would take requests from an older app",
    meaning="`HAPROXY_{n}_BACKEND_WEIGHT` would put this service's rules before those of an app of another owner.",
    meanwhile="The service is served; its rules have their usual order.",
    remedy="Remove the weight, or put the two apps under one parent group.",
)
TLS_PASSED_THROUGH = ProblemKind(
    code="MLB-306",
    slug="tls-passed-through",
    category=Category.COLLISION,
    title="TLS of a host is passed through to an older app",
    meaning="An older app has `HAPROXY_{n}_TLS_PASSTHROUGH` for the host, so no request on the https port is read.",
    meanwhile="The service is served at that host over http, not on the https port.",
    remedy="Choose another host for one of the two.",
)
TLS_OPTIONS_UNUSED = ProblemKind(
    code="MLB-307",
    slug="tls-options-unused",
    category=Category.COLLISION,
    title="The TLS of a host is decided by another app",
    meaning="Services of one host share its TLS, and the oldest app decides its bind options and certificates.",
    meanwhile="The host has the TLS of the other app; bind options or certificates of this one are not used for it.",
    remedy="Give the services of a host the same `HAPROXY_{n}_BIND_OPTIONS`, or a host each.",
)
CERTIFICATE_LIMIT = ProblemKind(
    code="MLB-308",
    slug="certificate-limit",
    category=Category.COLLISION,
    title="A host has no room for more certificates",
    meaning="The services of a host name more certificates together than have room on a line of HAProxy.",
    meanwhile="The certificates of the older apps are served; those of this service are not used for the host.",
    remedy="Name fewer certificates: services of one host need the same one only once.",
)
USERLIST_TAKEN = ProblemKind(
    code="MLB-309",
    slug="userlist-taken",
    category=Category.COLLISION,
    title="A userlist has the name of another one",
    meaning="A label declares a userlist whose name belongs to another service or to the operator's templates.",
    meanwhile="The service that declares it is not served: its passwords would apply to others.",
    remedy="Give the userlist another name.",
)

GROUP_PARENT = ProblemKind(
    code="MLB-401",
    slug="group-parent",
    category=Category.LABEL,
    title="A deployment group has apps of several parent groups",
    meaning="`HAPROXY_DEPLOYMENT_GROUP` names a group of another parent group; only apps of one are joined.",
    meanwhile="The app is served separately, or joined only with apps of its own parent group.",
    remedy="Give the group another name, or move the apps to one parent group.",
)
GROUP_FULL = ProblemKind(
    code="MLB-402",
    slug="group-full",
    category=Category.LABEL,
    title="A deployment group has more than two apps",
    meaning="A blue/green deployment is between two apps; the group has two that are older.",
    meanwhile="The two older apps are served; this one is not.",
    remedy="Delete the app that is left over from an earlier deployment, or name another group.",
)
GROUP_PORT = ProblemKind(
    code="MLB-403",
    slug="group-port",
    category=Category.LABEL,
    title="A deployment group is left with its second port",
    meaning="The only app of the group has the port of `HAPROXY_DEPLOYMENT_ALT_PORT`, and no label names its own.",
    meanwhile="The app is served at that second port.",
    remedy="Set `HAPROXY_{n}_PORT` to the group's port.",
)

POLICY_TEXT = ProblemKind(
    code="MLB-801",
    slug="policy-text",
    category=Category.POLICY,
    title="The policy forbids a label's text",
    meaning="The label holds text for HAProxy's configuration that `templates` in the policy does not allow.",
    meanwhile="The service is not served.",
    remedy="Remove the label or its line; or have the operator allow it in the section that the problem names.",
)
POLICY_HOST = ProblemKind(
    code="MLB-802",
    slug="policy-host",
    category=Category.POLICY,
    title="The policy forbids a virtual host",
    meaning="The app is not below a prefix whose `hosts` in the policy cover this name.",
    meanwhile="The service is not served.",
    remedy="Choose a host that the problem names as allowed; or have the operator allow it.",
)
POLICY_PORT = ProblemKind(
    code="MLB-803",
    slug="policy-port",
    category=Category.POLICY,
    title="The policy forbids a service port",
    meaning="The port is outside the ranges of `ports` in the policy.",
    meanwhile="The service is not served.",
    remedy="Choose a port of those ranges; or have the operator allow it.",
)
POLICY_ADDRESS = ProblemKind(
    code="MLB-804",
    slug="policy-address",
    category=Category.POLICY,
    title="The policy forbids an address to bind",
    meaning="`HAPROXY_{n}_BIND_ADDR`, or every address where it is not set, is not among `addresses` in the policy.",
    meanwhile="The service is not served.",
    remedy="Set `HAPROXY_{n}_BIND_ADDR` to an allowed address; or have the operator allow it.",
)
POLICY_NETWORK = ProblemKind(
    code="MLB-805",
    slug="policy-network",
    category=Category.POLICY,
    title="The policy forbids clients that a service lets in",
    meaning=(
        "`HAPROXY_{n}_BACKEND_NETWORK_ALLOWED_ACL`, or every network where it is not set, is not within `networks` in"
        " the policy."
    ),
    meanwhile="The service is not served.",
    remedy="Set `HAPROXY_{n}_BACKEND_NETWORK_ALLOWED_ACL` to allowed networks; or have the operator allow them.",
)
POLICY_GROUP = ProblemKind(
    code="MLB-806",
    slug="policy-group",
    category=Category.POLICY,
    title="The policy forbids a deployment group",
    meaning="The app's `HAPROXY_DEPLOYMENT_GROUP` is not among `deployment_groups` in the policy.",
    meanwhile="The app is not served.",
    remedy="Name an allowed group; or have the operator allow it.",
)
POLICY_FILE = ProblemKind(
    code="MLB-807",
    slug="policy-file",
    category=Category.POLICY,
    title="The policy forbids a file",
    meaning="A label names a file whose path `certificates` in the policy does not cover.",
    meanwhile="The service is not served.",
    remedy="Name an allowed file; or have the operator allow it.",
)

KINDS = (
    PORT_RESERVED,
    PORT_TAKEN,
    HOST_TAKEN,
    BACKEND_NAME,
    WEIGHT_UNUSED,
    TLS_PASSED_THROUGH,
    TLS_OPTIONS_UNUSED,
    CERTIFICATE_LIMIT,
    USERLIST_TAKEN,
    GROUP_PARENT,
    GROUP_FULL,
    GROUP_PORT,
    POLICY_TEXT,
    POLICY_HOST,
    POLICY_PORT,
    POLICY_ADDRESS,
    POLICY_NETWORK,
    POLICY_GROUP,
    POLICY_FILE,
)
