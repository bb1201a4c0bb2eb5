"""The options of access to the pages and the API, and of the log."""

from __future__ import annotations

from marathonlb.options import values
from marathonlb.options.option import PATH, Group, Option
from marathonlb.options.values import ValueKind

ACCESS = Group(
    "Access and logs",
    (
        Option(
            name="admin-allow",
            kind=ValueKind(values.networks, "a list of networks, separated by commas", "NET[,NET]"),
            repeated=True,
            default="127.0.0.0/8,::1/128",
            default_help="loopback",
            help="networks whose clients may make requests that change something, and see password hashes, "
            "without a token",
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
            help="clients that send it as Authorization: Bearer TOKEN have the rights of --admin-allow from "
            "any address; a value that begins with / or ./ is the path of a file, which is read again when "
            "it changes",
        ),
        Option(
            name="trusted-proxies",
            kind=ValueKind(values.networks, "a list of networks, separated by commas", "NET[,NET]"),
            repeated=True,
            default_help="none",
            help="networks of proxies whose X-Forwarded-Proto is trusted, and whose X-Forwarded-For tells "
            "apart the clients with wrong passwords; the X-Forwarded-Proto of other clients is dropped",
        ),
        Option(
            name="syslog-socket",
            kind=PATH,
            default_help="none",
            help="also write the log to this syslog socket; /dev/null for none",
        ),
        Option(
            name="log-format",
            kind=ValueKind(values.choice(*values.LOG_FORMATS), "text or json", "FORMAT", values.LOG_FORMATS),
            default="text",
            help="format of the log: text, or json with one object per line",
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
            help="the lowest level that is logged: " + ", ".join(values.LOG_LEVELS),
        ),
    ),
)
