"""
The table of labels that an app's owner can set.

`LABELS` is the only definition of a label; parsing, ``--longhelp`` and docs/labels.md follow from it.
"""

from __future__ import annotations

from functools import partial

from marathonlb.base import limits
from marathonlb.routing.labels import tls, values
from marathonlb.routing.labels.balance import LONGEST, balance
from marathonlb.routing.labels.bind_options import bind_options
from marathonlb.routing.labels.label import Label

_port = partial(values.integer, low=1, high=65535)
_count = partial(values.integer, low=0, high=2**31 - 1)

LABELS: tuple[Label, ...] = (
    Label(
        "GROUP",
        "comma list",
        values.groups,
        "none",
        "The groups of the app's services.",
        per_port=False,
        most=limits.LABEL,
        items=limits.LISTED,
    ),
    Label(
        "GROUP",
        "comma list",
        values.groups,
        "`HAPROXY_GROUP`",
        "The groups of one port; it wins there.",
        most=limits.LABEL,
        items=limits.LISTED,
    ),
    Label(
        "ENABLED",
        "bool",
        values.boolean,
        "true; false under `--strict-mode`",
        "False: this port is not served.",
    ),
    Label(
        "VHOST",
        "comma list of host names",
        values.hosts,
        "none",
        "Virtual hosts on the HTTP and HTTPS frontends. Case does not matter; a port and a dot at the end of the"
        " Host header are ignored."
        " `*.example.com` matches any deeper name and loses to an exact name. IDNA names work in both forms.",
        most=limits.LABEL,
        items=limits.ENTRIES,
    ),
    Label(
        "PATH",
        "space list of prefixes",
        values.paths,
        "none",
        "Narrows the virtual host (`path_beg`); a leading `-i` ignores case. Longer prefixes win, and `/` is the whole"
        " host. Needs a VHOST.",
        most=limits.LABEL,
        items=limits.ENTRIES,
    ),
    Label(
        "BACKEND_WEIGHT",
        "integer",
        partial(values.integer, low=-(2**31), high=2**31 - 1),
        "0, 1 where a PATH is set",
        'Order of the routing rules, largest first; overrides "longer prefix first". It takes nothing from an older app'
        " of another parent group (at the top level: from any other app), and is not used where it would.",
    ),
    Label("PORT", "1..65535", _port, "Marathon's", "The service port instead of Marathon's."),
    Label(
        "BIND_ADDR",
        "address",
        values.address,
        "`*`",
        "Bind address of the service port: no name but `localhost`, since HAProxy would look it up while all requests"
        " wait. `*`, `0.0.0.0` and `::` overlap every address: of two apps with one port the older has it.",
    ),
    Label(
        "BIND_OPTIONS",
        "options of a `bind` line",
        bind_options,
        "none",
        "Appended to that `bind` line: options that are about the service's own connections alone, such as `ssl`,"
        " `crt`, `verify` and `accept-proxy`.",
        most=limits.WORDS_OF_LINE,
    ),
    Label(
        "SSL_CERT",
        "path(s), comma list",
        values.file_list,
        "none",
        "TLS on the service port with that certificate; under `--group-https-by-vhost` also that host's certificate.",
        most=limits.LABEL,
        items=limits.LISTED,
    ),
    Label(
        "TLS_PASSTHROUGH",
        "bool",
        values.boolean,
        "false",
        "Connections to the https port whose TLS handshake names a VHOST of this port go to the tasks as they are: TLS"
        " is ended there. The port is in mode tcp.",
    ),
    Label(
        "BACKEND_SSL",
        "`true`, `verify`, or CA path",
        tls.backend_ssl,
        "false",
        "TLS towards the tasks: with any certificate, or with one verified by the system's authorities or those of a"
        " file. They have to be the first VHOST that is no wildcard, else the host they run on.",
        most=limits.PATH,
    ),
    Label(
        "BACKEND_PROTO",
        "`h1`, `h2`",
        tls.backend_proto,
        "`h1`",
        "The protocol towards the tasks; `h2` with BACKEND_SSL is agreed on in the handshake (ALPN). Mode http.",
    ),
    Label(
        "MODE",
        "`tcp`, `http`",
        values.mode,
        "`http` where VHOST is set or the port's check is HTTP(S), else `tcp`",
        "The protocol that HAProxy speaks with clients.",
    ),
    Label(
        "BALANCE",
        "algorithm",
        balance,
        "`roundrobin`",
        "The balance algorithm, with its arguments.",
        most=LONGEST,
    ),
    Label("STICKY", "bool", values.boolean, "false", "A cookie keeps a client on its server."),
    Label(
        "REDIRECT_TO_HTTPS",
        "bool",
        values.boolean,
        "false",
        "301 from http to https; the port of the Host header is dropped, the https port is named where it is not 443."
        " Needs a VHOST.",
    ),
    Label("USE_HSTS", "bool", values.boolean, "false", "`Strict-Transport-Security` on responses."),
    Label(
        "AUTH",
        "`realm:user:hash`",
        values.credentials,
        "none",
        "HTTP basic authentication on the virtual host alone: the service port and the frontend by app id do not ask."
        " The crypt(3) hash has to be a cheap one, see [passwords.md](passwords.md). Needs a VHOST.",
        secret=True,
        most=4 * limits.WORD,
    ),
    Label(
        "BACKEND_NETWORK_ALLOWED_ACL",
        "space list of IPs and CIDRs",
        values.networks,
        "all clients",
        "Only clients of these networks are let in; anything that is not an address is a problem.",
        most=limits.LABEL,
        items=limits.NETWORKS,
    ),
    Label(
        "BACKEND_HEALTHCHECK_PORT_INDEX",
        "integer",
        _count,
        "the check's",
        "Index of another port of the same task to check.",
    ),
    Label(
        "HTTP_BACKEND_PROXYPASS_PATH",
        "path",
        values.one_path,
        "none",
        "Cut this prefix off requests.",
        most=limits.PATH,
    ),
    Label(
        "HTTP_BACKEND_REVPROXY_PATH",
        "path",
        values.one_path,
        "none",
        "Rewrite `Location` of responses.",
        most=limits.PATH,
    ),
    Label("HTTP_BACKEND_REDIR", "path", values.one_path, "none", "Redirect `/` there.", most=limits.PATH),
    Label(
        "WEIGHT",
        "0..256",
        partial(values.integer, low=0, high=256),
        "100",
        "The weight of the app's servers against those of the other app of its deployment group, changed without a"
        " reload: the dial of a canary. 0 sends no new clients, and lets those that a cookie holds come back.",
    ),
    Label(
        "MAXCONN",
        "integer",
        _count,
        "0: no limit",
        "Maximum number of concurrent connections to each server; further ones wait for at most `timeout queue`.",
    ),
    Label(
        "RATE_LIMIT",
        "`N/s` or `N/m`",
        values.rate,
        "none",
        "Maximum number of requests per client address in a second or a minute; further ones are answered 429. Mode"
        " http. Counts survive reloads, unless the operator has a `HAPROXY_HEAD` of their own.",
    ),
    Label(
        "MAINTENANCE",
        "bool",
        values.boolean,
        "false",
        "Every request is answered 503 with the maintenance page (in mode tcp every connection is closed); everything"
        " else stays as it is.",
    ),
    Label(
        "CORS",
        "list of origins, or `*`",
        values.origins,
        "none",
        "Web pages of these origins (`https://app.example.com`, `https://*.example.com`) may read the answers:"
        " preflight requests are answered, and the headers are set. Credentials are allowed to origins that are named,"
        " not to `*`. Mode http.",
        most=limits.LABEL,
        items=limits.LISTED,
    ),
    Label(
        "TIMEOUT_SERVER",
        "duration (`30s`)",
        values.duration,
        "that of `defaults`",
        "Maximum time that a server may take between two parts of a response.",
    ),
    Label(
        "TIMEOUT_TUNNEL",
        "duration (`1h`)",
        values.duration,
        "that of `defaults`",
        "Maximum idle time of a WebSocket, or of another connection that has become a tunnel.",
    ),
    Label(
        "FRONTEND_EXTRA",
        "template text",
        str,
        "none",
        "Lines for the end of the head of the service port's own frontend, appended instead of replacing it.",
        template=True,
        most=limits.LABEL,
    ),
    Label(
        "BACKEND_EXTRA",
        "template text",
        str,
        "none",
        "Lines for the backend, appended to what stands there before the servers.",
        template=True,
        most=limits.LABEL,
    ),
    Label(
        "SERVER_EXTRA",
        "template text",
        str,
        "none",
        "Words for the end of each `server` line; it may read the variables of a server.",
        template=True,
        most=limits.LABEL,
    ),
    Label(
        "DEPLOYMENT_GROUP",
        "name",
        values.deployment_group,
        "none",
        "Two apps of one group are one service, whose backend is named by the group: the older app's tasks drain as the"
        " newer one's become healthy, and the app that serves more gives the labels. A third app is left out. A group"
        " joins apps of one parent group: `shop` of `/team/blue` is the group `/team/shop`.",
        per_port=False,
    ),
    Label(
        "DEPLOYMENT_ALT_PORT",
        "1..65535",
        _port,
        "none",
        "The service port of the group's second app, since Marathon wants them unique; the older app's is the one that"
        " is bound. `HAPROXY_0_PORT` in both keeps the first one for good.",
        per_port=False,
    ),
    Label(
        "DEPLOYMENT_COLOUR",
        "text",
        values.no_control,
        "none",
        "A name for this app of the group; for people and their tools.",
        per_port=False,
    ),
    Label(
        "DEPLOYMENT_STARTED_AT",
        "ISO 8601, UTC where it names no zone",
        values.moment,
        "the app's last change",
        "The newer app of the group has the later date. If one app lacks it, their last changes in Marathon decide.",
        per_port=False,
    ),
    Label(
        "DEPLOYMENT_TARGET_INSTANCES",
        "integer",
        _count,
        "the larger app's",
        "Set on the newer app: the number of tasks of both apps together that shall serve.",
        per_port=False,
    ),
    Label(
        "DEPLOYMENT_NEW_INSTANCES",
        "integer",
        _count,
        "0",
        "Set on the newer app: the number of its tasks that serve; tasks of the older app make up the rest of the"
        " target. 0 does not split.",
        per_port=False,
    ),
)
