"""
The table of options: one row makes the daemon's and the script's command lines, the help and the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator

from marathonlb.options import values
from marathonlb.options.option import (
    BIND,
    COUNT,
    FLAG,
    ITEMS,
    PATH,
    PAUSE,
    PERCENT,
    PORT,
    RETRIES,
    SECONDS,
    Face,
    Group,
    Option,
)
from marathonlb.options.values import ValueKind

_MARATHON = Group(
    "Marathon",
    (
        Option(
            name="mode",
            kind=ValueKind(values.choice(*values.MODES), "one of sse, event, poll", "MODE", values.MODES),
            default="sse",
            face=Face.DAEMON,
            help="how changes are learned: sse reads Marathon's event stream, event has Marathon post to us "
            "(Marathon before 1.5), poll asks again and again",
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
            help="Marathon's address; repeated, or several separated by commas or blanks, tried in that order. "
            "NAME= makes it one of several clusters, whose apps have the ids NAME:/id; addresses of one name are "
            "one cluster's",
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
            help="a file with user:pass, read again when it changes; NAME= is for that cluster alone",
        ),
        Option(
            name="dcos-auth-credentials",
            kind=ValueKind(values.secret, "a DC/OS service account (JSON, or a path)", "[NAME=]JSON|PATH"),
            secret=True,
            repeated=True,
            environment=("DCOS_SERVICE_ACCOUNT_CREDENTIAL",),
            help="DC/OS service account, as JSON or as the path of a file that holds it; it needs the extra dcos. "
            "NAME= is for that cluster alone",
        ),
        Option(
            name="marathon-ca-cert",
            kind=ValueKind(values.plain, "the path of a PEM bundle", "[NAME=]PATH"),
            repeated=True,
            default_help="the system's",
            help="PEM bundle of the authorities that Marathon's certificate is verified with; NAME= is for that "
            "cluster alone",
        ),
        Option(
            name="marathon-client-cert",
            kind=ValueKind(values.plain, "the path of a PEM file", "[NAME=]PATH"),
            repeated=True,
            help="PEM file with a certificate, its private key and its chain that show Marathon who we are; "
            "read again when it changes; NAME= is for that cluster alone",
        ),
        Option(
            name="marathon-insecure",
            kind=FLAG,
            help="do not verify Marathon's certificate and host name",
            note="Marathon's certificate is not verified: whoever is in between can read the credentials and "
            "decide what is served; give --marathon-ca-cert instead",
        ),
        Option(
            name="callback-url",
            short="u",
            kind=ValueKind(values.callback, "a URL or host:port", "URL"),
            default_help="http://$HOST:8081/, else this host's full name",
            help="where Marathon reaches us in event mode; host:port alone means http://host:port/",
        ),
        Option(
            name="listening",
            short="l",
            kind=ValueKind(values.listening, "an endpoint such as :8081, host:8081 or tcp:8081", "ENDPOINT"),
            default_help="the callback's port",
            help="where the callback listens in event mode: a Twisted endpoint string, :8081 or host:8081; "
            "given to the script it starts event mode",
        ),
        Option(
            name="sse",
            short="s",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="run on and follow Marathon's event stream instead of running once",
        ),
        Option(
            name="poll-interval",
            kind=SECONDS,
            default="60",
            environment=("POLL_INTERVAL", "POLL_INTERVALL"),
            help="seconds between two questions in poll mode",
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
            help="seconds without a byte of the event stream before it is opened anew",
        ),
        Option(
            name="max-shrink",
            kind=PERCENT,
            default="50",
            help="percent of the services that one answer may take away without being asked again; "
            "100 turns the doubt off",
        ),
        Option(
            name="max-staleness",
            kind=SECONDS,
            default="600",
            help="seconds after which readiness turns red because Marathon's word is old; more than --resync-interval, "
            "or than --poll-interval in poll mode",
        ),
        Option(
            name="max-backoff",
            kind=SECONDS,
            default="300",
            help="longest pause between two attempts, in seconds",
        ),
        Option(
            name="lru-cache-capacity",
            kind=COUNT,
            help="accepted for old command lines",
            note="it has no effect: nothing here has a cache of that kind",
        ),
    ),
)

_HAPROXY = Group(
    "HAProxy",
    (
        Option(
            name="haproxy-config",
            kind=PATH,
            default="/etc/haproxy/haproxy.cfg",
            help="the file that is written; the map files lie beside it",
        ),
        Option(
            name="haproxy",
            kind=ValueKind(values.plain, "a program that can be run", "PATH"),
            default_help="haproxy on PATH, else the one from the haproxy extra",
            help="the HAProxy binary",
        ),
        Option(
            name="manage-haproxy",
            kind=FLAG,
            default_help="off; on in the image and in make run",
            negative=True,
            help="start, supervise and adopt HAProxy as master and worker",
        ),
        Option(
            name="state-dir",
            kind=PATH,
            default="/var/run/marathon-lb",
            help="directory of sockets, pid file, kept configurations and server state",
        ),
        Option(
            name="command",
            short="c",
            kind=ValueKind(values.command, "a command", "COMMAND"),
            default_help="found out: systemd, upstart, sysv",
            help="the reload command where HAProxy is not ours",
        ),
        Option(
            name="max-reload-retries",
            kind=RETRIES,
            default="10",
            help="how often that command is tried again; 0 for none, -1 for ever",
        ),
        Option(
            name="reload-interval",
            kind=PAUSE,
            default="10",
            help="seconds between these attempts",
        ),
        Option(
            name="min-reload-interval",
            kind=PAUSE,
            default="1",
            help="seconds between two reloads at least; never less than twice what the last one took",
        ),
        Option(
            name="hard-stop-after",
            kind=ValueKind(values.duration, "a duration with its unit such as 30s, 15m or 1h", "DURATION"),
            default="1h",
            help="how long an old HAProxy worker may serve what it holds",
        ),
        Option(
            name="access-log",
            kind=PATH,
            default_help="none",
            help="have HAProxy log every request and connection to this syslog socket",
        ),
        Option(
            name="skip-validation",
            kind=FLAG,
            help="do not check the configuration by haproxy -c before it is used",
        ),
        Option(
            name="skip-config-cleanup",
            kind=FLAG,
            help="let one bad service fail the whole update, as long ago",
        ),
        Option(
            name="template-fallback",
            kind=FLAG,
            help="let the default serve where a template of yours is refused and has no last good text, instead of "
            "closing what it guards",
        ),
        Option(
            name="archive-versions",
            kind=COUNT,
            default="5",
            help="how many configurations are kept",
        ),
    ),
)

_SERVICES = Group(
    "What is served",
    (
        Option(
            name="group",
            kind=ITEMS,
            repeated=True,
            default_help="apps without a group",
            help="serve the apps of this HAPROXY_GROUP; repeated or separated by commas; "
            "* is every group and none",
        ),
        Option(
            name="strict-mode",
            kind=FLAG,
            help="serve only the ports whose HAPROXY_{n}_ENABLED is true",
        ),
        Option(
            name="health-check",
            short="H",
            kind=FLAG,
            help="of an app with health checks, serve only the tasks with a good result",
        ),
        Option(
            name="haproxy-map",
            kind=FLAG,
            default="true",
            negative=True,
            help="route by host, path and app id through map files; without it through ACLs",
        ),
        Option(
            name="dont-bind-http-https",
            kind=FLAG,
            help="have no frontends on ports 80 and 443",
        ),
        Option(
            name="group-https-by-vhost",
            kind=FLAG,
            help="TLS per virtual host: client certificates, own certificates",
        ),
        Option(
            name="ssl-certs",
            kind=ValueKind(
                values.words, "a list of PEM files or directories, separated by commas", "PATH[,PATH]"
            ),
            default="/etc/ssl/cert.pem",
            environment=("HAPROXY_SSL_CERTS",),
            help="PEM files or directories of the certificates for https, separated by commas",
        ),
        Option(name="bind-http", kind=BIND, default="*:80", help="where the http frontend listens"),
        Option(name="bind-https", kind=BIND, default="*:443", help="where the https frontend listens"),
        Option(name="bind-appid", kind=BIND, default="*:9091", help="where the app id frontend listens"),
        Option(name="bind-stats", kind=BIND, default="*:9090", help="where statistics and pages are"),
        Option(
            name="templates",
            kind=PATH,
            default="./templates",
            help="directory of the operator's templates",
        ),
        Option(
            name="policy",
            kind=PATH,
            help="the file of rules for many teams (TOML): which labels, hosts, ports and networks an app may claim",
        ),
        Option(
            name="max-password-cost",
            kind=ValueKind(values.milliseconds, "a number of milliseconds from 0.5 to 100", "MILLISECONDS"),
            default="1",
            help="what the hash of a password may cost HAProxy, in milliseconds in which it serves nobody",
            note="5 takes the hashes of `openssl passwd -5` and `-6` as they are",
        ),
        Option(
            name="min-serv-port-ip-per-task",
            kind=PORT,
            default="10050",
            help="lowest service port for an app with an IP per task that has none of its own; 0 in both turns it off",
        ),
        Option(
            name="max-serv-port-ip-per-task",
            kind=PORT,
            default="10100",
            help="highest such port",
        ),
    ),
)

_SCRIPT = Group(
    "The script alone",
    (
        Option(
            name="dry",
            short="d",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print the configuration, change nothing",
        ),
        Option(
            name="diff",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="print what would change and whether it needs a reload, change nothing; exits with 1 where something "
            "would, with 2 where that cannot be said",
        ),
        Option(
            name="explain",
            kind=ValueKind(values.plain, "a URL, an app id or a port", "WHAT"),
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="say which rule catches a URL, an app id or a port, or why nothing does; change nothing. The daemon "
            "that has this --state-dir is asked, or Marathon where none runs",
        ),
        Option(
            name="status",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="say how the running daemon is; exits with 1 where it is not ready",
        ),
        Option(
            name="json",
            kind=FLAG,
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="say --status as JSON",
        ),
        Option(
            name="rollback",
            kind=ValueKind(values.integer(0, 100_000), "a whole number, 0 to release", "N"),
            face=Face.SCRIPT,
            only_on_command_line=True,
            help="go back by N configurations, with today's tasks in it, and stay there; 0 releases it",
        ),
        Option(
            name="strict-exit",
            kind=FLAG,
            face=Face.SCRIPT,
            help="exit with 3 where a service had to be left out (else 0)",
        ),
    ),
)

_OPERATION = Group(
    "Access and logs",
    (
        Option(
            name="admin-allow",
            kind=ValueKind(values.networks, "a list of networks, separated by commas", "NET[,NET]"),
            repeated=True,
            default="127.0.0.0/8,::1/128",
            default_help="loopback",
            help="networks whose clients may use what changes something, and see password hashes, without a token",
        ),
        Option(
            name="admin-token",
            kind=ValueKind(
                values.token,
                "a token of ASCII without blanks, or the path of a file that holds one",
                "TOKEN|PATH",
            ),
            secret=True,
            default_help="none",
            environment=("HAPROXY_ADMIN_TOKEN",),
            help="who sends it as Authorization: Bearer TOKEN may do from anywhere what --admin-allow may; what begins "
            "with / or ./ is the path of a file, which is read again when it changes",
        ),
        Option(
            name="trusted-proxies",
            kind=ValueKind(values.networks, "a list of networks, separated by commas", "NET[,NET]"),
            repeated=True,
            default_help="none",
            help="networks of proxies whose X-Forwarded-Proto is believed, and by whose X-Forwarded-For wrong "
            "passwords are counted; the X-Forwarded-Proto of other clients is dropped",
        ),
        Option(
            name="syslog-socket",
            kind=PATH,
            default_help="none",
            help="write the log to this syslog socket as well; /dev/null is none",
        ),
        Option(
            name="log-format",
            kind=ValueKind(values.choice(*values.LOG_FORMATS), "text or json", "FORMAT", values.LOG_FORMATS),
            default="text",
            help="text, or json: one object a line",
        ),
        Option(
            name="log-level",
            kind=ValueKind(
                values.choice(*values.LOG_LEVELS),
                "one of " + ", ".join(values.LOG_LEVELS),
                "LEVEL",
                values.LOG_LEVELS,
            ),
            default="info",
            help="the least level that is logged: " + ", ".join(values.LOG_LEVELS),
        ),
    ),
)

GROUPS = (_MARATHON, _HAPROXY, _SERVICES, _SCRIPT, _OPERATION)
"""The table."""

IMAGE_ONLY = (
    "HAPROXY_SSL_CERT",
    *(f"HAPROXY_SSL_CERT{number}" for number in range(101)),
    "HAPROXY_SYSCTL_PARAMS",
    "HAPROXY_SYSCTL_NONSTRICT",
    "HAPROXY_SYSLOGD",
)
"""Variables that the image's entrypoint reads and that are no templates."""


def options(face: Face = Face.BOTH) -> Iterator[Option]:
    """The options of a face, in the order of the help; every one for `Face.BOTH`."""
    for group in GROUPS:
        for option in group.options:
            if face is Face.BOTH or option.face.takes(face):
                yield option
