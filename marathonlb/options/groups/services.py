"""The options of what is served, and where."""

from __future__ import annotations

from marathonlb.options import values
from marathonlb.options.option import BIND, FLAG, ITEMS, PATH, PORT, Group, Option
from marathonlb.options.values import ValueKind

SERVICES = Group(
    "Services",
    (
        Option(
            name="group",
            kind=ITEMS,
            repeated=True,
            default_help="apps without a group",
            help="serve the apps of this HAPROXY_GROUP; repeat it, or separate several by commas; * serves "
            "apps of every group and of none",
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
            help="serve only the healthy tasks of an app with health checks",
        ),
        Option(
            name="haproxy-map",
            kind=FLAG,
            default="true",
            negative=True,
            help="route by host, path and app id through map files instead of ACLs",
        ),
        Option(
            name="dont-bind-http-https",
            kind=FLAG,
            help="create no shared frontends on ports 80 and 443",
        ),
        Option(
            name="group-https-by-vhost",
            kind=FLAG,
            help="configure TLS per virtual host: client certificates, own certificates",
        ),
        Option(
            name="ssl-certs",
            kind=ValueKind(
                values.words, "a list of PEM files or directories, separated by commas", "PATH[,PATH]"
            ),
            default="/etc/ssl/cert.pem",
            environment=("HAPROXY_SSL_CERTS",),
            help="PEM files or directories with the certificates for https, separated by commas",
        ),
        Option(name="bind-http", kind=BIND, default="*:80", help="address of the http frontend"),
        Option(name="bind-https", kind=BIND, default="*:443", help="address of the https frontend"),
        Option(name="bind-appid", kind=BIND, default="*:9091", help="address of the app id frontend"),
        Option(
            name="bind-stats",
            kind=BIND,
            default="*:9090",
            help="address of the dashboard, the API, the metrics and HAProxy's statistics",
        ),
        Option(
            name="templates",
            kind=PATH,
            default="./templates",
            help="directory of the operator's templates",
        ),
        Option(
            name="policy",
            kind=PATH,
            help="file with the rules for many teams (TOML): the labels, hosts, ports and networks that an "
            "app may claim",
        ),
        Option(
            name="max-password-cost",
            kind=ValueKind(values.milliseconds, "a number of milliseconds from 0.5 to 100", "MILLISECONDS"),
            default="1",
            help="maximum milliseconds that HAProxy may spend on the hash of a password; it serves no other "
            "request meanwhile",
            note="5 accepts the hashes of `openssl passwd -5` and `-6` as they are",
        ),
        Option(
            name="min-serv-port-ip-per-task",
            kind=PORT,
            default="10050",
            help="lowest service port that is assigned to an app with an IP per task and no port of its "
            "own; 0 in both turns this off",
        ),
        Option(
            name="max-serv-port-ip-per-task",
            kind=PORT,
            default="10100",
            help="highest such port",
        ),
    ),
)
