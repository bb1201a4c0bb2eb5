"""The options of Marathon: how it is reached, and how changes are learned."""

from __future__ import annotations

from marathonlb.options import values
from marathonlb.options.option import COUNT, FLAG, PERCENT, SECONDS, Face, Group, Option
from marathonlb.options.values import ValueKind

MARATHON = Group(
    "Marathon",
    (
        Option(
            name="mode",
            kind=ValueKind(values.choice(*values.MODES), "one of sse, event, poll", "MODE", values.MODES),
            default="sse",
            face=Face.DAEMON,
            help="how to learn of changes: sse reads Marathon's event stream, event has Marathon post its "
            "events to a callback (Marathon before 1.5), poll asks at an interval",
        ),
        Option(
            name="marathon",
            short="m",
            kind=ValueKind(
                values.marathons,
                "an address such as http://marathon:8080 or name=http://marathon:8080",
                "[NAME=]URL",
            ),
            default="http://master.mesos:8080",
            repeated=True,
            help="address of Marathon; repeat it, or separate several by commas or blanks; they are tried "
            "in that order. NAME= names the cluster of an address, whose apps get the ids NAME:/id; "
            "addresses with the same name belong to one cluster",
        ),
        Option(
            name="auth-credentials",
            kind=ValueKind(values.credentials, "user:pass", "USER:PASS"),
            secret=True,
            help="user and password for Marathon; also MARATHON_USER and MARATHON_PASSWORD",
        ),
        Option(
            name="marathon-auth-credential-file",
            kind=ValueKind(values.plain, "the path of a file with user:pass", "[NAME=]PATH"),
            repeated=True,
            help="file with user:pass, read again when it changes; NAME= limits it to that cluster",
        ),
        Option(
            name="dcos-auth-credentials",
            kind=ValueKind(values.secret, "a DC/OS service account (JSON, or a path)", "[NAME=]JSON|PATH"),
            secret=True,
            repeated=True,
            environment=("DCOS_SERVICE_ACCOUNT_CREDENTIAL",),
            help="DC/OS service account, as JSON or as the path of a file that holds it; needs the extra "
            "dcos. NAME= limits it to that cluster",
        ),
        Option(
            name="marathon-ca-cert",
            kind=ValueKind(values.plain, "the path of a PEM bundle", "[NAME=]PATH"),
            repeated=True,
            default_help="the system's",
            help="PEM bundle of the authorities that may sign Marathon's certificate; NAME= limits it to "
            "that cluster",
        ),
        Option(
            name="marathon-client-cert",
            kind=ValueKind(values.plain, "the path of a PEM file", "[NAME=]PATH"),
            repeated=True,
            help="PEM file with the client certificate for Marathon, its private key and its chain; read "
            "again when it changes; NAME= limits it to that cluster",
        ),
        Option(
            name="marathon-insecure",
            kind=FLAG,
            help="do not verify Marathon's certificate and host name",
            note="Marathon's certificate is not verified: anyone on the network path can read the "
            "credentials and change what is served; use --marathon-ca-cert instead",
        ),
        Option(
            name="callback-url",
            short="u",
            kind=ValueKind(values.callback, "a URL or host:port", "URL"),
            default_help="http://$HOST:8081/, else this host's full name",
            help="URL that Marathon posts its events to in event mode; host:port alone means "
            "http://host:port/",
        ),
        Option(
            name="listening",
            short="l",
            kind=ValueKind(values.listening, "an endpoint such as :8081, host:8081 or tcp:8081", "ENDPOINT"),
            default_help="the callback's port",
            help="address that the callback listens on in event mode: a Twisted endpoint string, :8081 or "
            "host:8081; given to the script, it starts event mode",
        ),
        Option(
            name="sse",
            short="s",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="keep running and follow Marathon's event stream instead of running once",
        ),
        Option(
            name="poll-interval",
            kind=SECONDS,
            default="60",
            environment=("POLL_INTERVAL", "POLL_INTERVALL"),
            help="seconds between two requests to Marathon in poll mode",
        ),
        Option(
            name="resync-interval",
            kind=SECONDS,
            default="300",
            help="seconds between full comparisons with Marathon in sse and event mode",
        ),
        Option(
            name="stall-timeout",
            kind=SECONDS,
            default="30",
            help="seconds without a byte on the event stream before it is reconnected",
        ),
        Option(
            name="max-shrink",
            kind=PERCENT,
            default="50",
            help="percent of the services that one answer of Marathon may remove without a second answer "
            "that agrees; 100 turns this check off",
        ),
        Option(
            name="max-staleness",
            kind=SECONDS,
            default="600",
            help="seconds since the last full comparison with Marathon after which readiness turns red; "
            "more than --resync-interval, or than --poll-interval in poll mode",
        ),
        Option(
            name="max-backoff",
            kind=SECONDS,
            default="300",
            help="maximum seconds between two retries",
        ),
        Option(
            name="lru-cache-capacity",
            kind=COUNT,
            help="accepted for old command lines",
            note="it has no effect: there is no such cache",
        ),
    ),
)
