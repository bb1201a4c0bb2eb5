"""Kinds of problems with labels (MLB-1..) and with the rest of an app's definition (MLB-2..)."""

from __future__ import annotations

from marathonlb.problem_kinds.kind import Category, ProblemKind

LABEL_VALUE = ProblemKind(
    code="MLB-101",
    slug="label-value",
    category=Category.LABEL,
    title="A label's value is not valid",
    meaning="A label holds a value that cannot be read, is too long, or names a port that the app does not have.",
    meanwhile="The service port of that label is not served. Other ports and other apps are not affected.",
    remedy="Correct the label in the app's definition. docs/labels.md lists the values that each label takes.",
)
LABEL_UNKNOWN = ProblemKind(
    code="MLB-102",
    slug="label-unknown",
    category=Category.LABEL,
    title="A label is not known and is ignored",
    meaning=(
        "A label begins with `HAPROXY_` and is not one of the load balancer's: its name is misspelt, has no port"
        " index, or is that of a template which holds for all services and belongs to the operator."
    ),
    meanwhile="The app is served as if the label were not there.",
    remedy="Correct the name; the problem names the nearest known one. Or remove the label.",
)
LABEL_LIMIT = ProblemKind(
    code="MLB-103",
    slug="label-limit",
    category=Category.LABEL,
    title="An app has too many labels",
    meaning="The labels of the app are more, or hold more bytes, than are read (the limits are in docs/labels.md).",
    meanwhile="Ports with labels that were not read are not served; of an app with too many bytes no port is.",
    remedy="Remove labels, or split the app.",
)
LABEL_PORT = ProblemKind(
    code="MLB-104",
    slug="label-port",
    category=Category.LABEL,
    title="Labels name a port that the app does not have",
    meaning="The index in the label's name is not that of one of the app's service ports, which count from 0.",
    meanwhile="The app's ports are served; these labels have no effect.",
    remedy="Correct the index in the label's name, or add the port to the app's definition.",
)
LABEL_NO_EFFECT = ProblemKind(
    code="MLB-105",
    slug="label-no-effect",
    category=Category.LABEL,
    title="A label has no effect with the others",
    meaning="The label needs another one that is missing, or contradicts the mode or the TLS of the service.",
    meanwhile="The service is served without what this label asks for.",
    remedy="Remove the label, add the one that the problem names, or change the mode of the service.",
)
HOST_NAME = ProblemKind(
    code="MLB-106",
    slug="host-name",
    category=Category.LABEL,
    title="A virtual host holds more than a host name",
    meaning="`HAPROXY_{n}_VHOST` holds a URL, a path or a port, not just a name.",
    meanwhile="The service is served at the host name only.",
    remedy="Write only the name; set the path with `HAPROXY_{n}_PATH`.",
)
PASSWORD_HASH = ProblemKind(
    code="MLB-107",
    slug="password-hash",
    category=Category.LABEL,
    title="A password's hash cannot be used",
    meaning="`HAPROXY_{n}_AUTH` holds no hash of crypt(3), or one that costs HAProxy more than `--max-password-cost`.",
    meanwhile="The service asks for the password, and accepts none.",
    remedy="Make another hash with the command that the problem names, and put it into the label.",
)
LABEL_TEMPLATE = ProblemKind(
    code="MLB-108",
    slug="label-template",
    category=Category.LABEL,
    title="A template in a label cannot be used",
    meaning="The label's text is a template that names an unknown variable, writes too much, or opens another section.",
    meanwhile="The service of that label is not served.",
    remedy="Correct the text; docs/templates.md lists the variables of each template.",
)
LABEL_LINE_LENGTH = ProblemKind(
    code="MLB-109",
    slug="label-line-length",
    category=Category.LABEL,
    title="A label writes a line that is too long",
    meaning="HAProxy cuts off long lines and long names, so that what follows would mean something else.",
    meanwhile="The service of that label is not served.",
    remedy="Split the line, or shorten the name (the limits are in docs/labels.md).",
)
LABEL_REWRITTEN = ProblemKind(
    code="MLB-110",
    slug="label-rewritten",
    category=Category.LABEL,
    title="A label's text was rewritten for this HAProxy, or should be changed",
    meaning="The label holds lines in the form of an older HAProxy, or a password hash that costs too much.",
    meanwhile="The service is served with the text in its modern form.",
    remedy="Write the label as the problem says.",
)
BIND_LINE = ProblemKind(
    code="MLB-111",
    slug="bind-line",
    category=Category.LABEL,
    title="The bind line of a service has too many words",
    meaning="`HAPROXY_{n}_BIND_OPTIONS` and the certificates come to more words than HAProxy takes on a line.",
    meanwhile="The service is not served.",
    remedy="Name fewer options or certificates; a directory of certificates counts as one.",
)

SERVICE_PORT = ProblemKind(
    code="MLB-201",
    slug="service-port",
    category=Category.APP,
    title="A port has no service port",
    meaning=(
        "Marathon assigned no service port, the one in the definition is not from 1 to 65535, or none of the range"
        " for IP per task is free."
    ),
    meanwhile="This port is not served; the others of the app are.",
    remedy="Set `servicePort` in the app's definition or `HAPROXY_{n}_PORT`, or widen the range of the options.",
)
PROTOCOL = ProblemKind(
    code="MLB-202",
    slug="protocol",
    category=Category.APP,
    title="A port is not TCP",
    meaning="HAProxy balances TCP and HTTP; the app's definition has another protocol.",
    meanwhile="This port is not served; the others of the app are.",
    remedy="Nothing, if this is intended. Otherwise set the port's `protocol` to `tcp` or `udp,tcp`.",
)
PORT_LIMIT = ProblemKind(
    code="MLB-203",
    slug="port-limit",
    category=Category.APP,
    title="An app has too many ports or servers",
    meaning="The ports, or the ports times the tasks, are more than one app may have (limits: docs/labels.md).",
    meanwhile="Only the first ports are served; the problem gives their number.",
    remedy="Split the app.",
)
HEALTH_CHECK_PATH = ProblemKind(
    code="MLB-204",
    slug="health-check-path",
    category=Category.APP,
    title="The path of a health check cannot be used",
    meaning="The path in the app's definition is too long or holds control characters.",
    meanwhile="The service with this health check is not served.",
    remedy="Correct the path of the health check.",
)
ROUTING_LIMIT = ProblemKind(
    code="MLB-205",
    slug="routing-limit",
    category=Category.LABEL,
    title="An app has too many hosts and paths",
    meaning="Hosts times paths, or rules that need an ACL each, are more than one app may have (docs/labels.md).",
    meanwhile="The hosts and paths that the problem names are not served; the service port is.",
    remedy="Name fewer hosts and paths, use a wildcard host, or split the app.",
)
MAP_ENTRY = ProblemKind(
    code="MLB-206",
    slug="map-entry",
    category=Category.APP,
    title="An entry is too long for a map of HAProxy",
    meaning="Host, path or app id and the backend's name together are longer than a line of a map may be.",
    meanwhile="The service is served, but not by that host, path or app id.",
    remedy="Shorten the path or the app's id; or do not make HAProxy's buffer smaller (`tune.bufsize`).",
)
MORE_PROBLEMS = ProblemKind(
    code="MLB-207",
    slug="more-problems",
    category=Category.APP,
    title="An app has more problems than are shown",
    meaning="Only the first problems of each app are listed, beginning with those that stop a service.",
    meanwhile="See the problems that are listed.",
    remedy="Solve those; the next ones are shown then.",
)

KINDS = (
    LABEL_VALUE,
    LABEL_UNKNOWN,
    LABEL_LIMIT,
    LABEL_PORT,
    LABEL_NO_EFFECT,
    HOST_NAME,
    PASSWORD_HASH,
    LABEL_TEMPLATE,
    LABEL_LINE_LENGTH,
    LABEL_REWRITTEN,
    BIND_LINE,
    SERVICE_PORT,
    PROTOCOL,
    PORT_LIMIT,
    HEALTH_CHECK_PATH,
    ROUTING_LIMIT,
    MAP_ENTRY,
    MORE_PROBLEMS,
)
