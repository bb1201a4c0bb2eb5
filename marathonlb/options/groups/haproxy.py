"""The options of HAProxy: its files, its process and its reloads."""

from __future__ import annotations

from marathonlb.options import values
from marathonlb.options.option import COUNT, FLAG, PATH, PAUSE, RETRIES, Group, Option
from marathonlb.options.values import ValueKind

HAPROXY = Group(
    "HAProxy",
    (
        Option(
            name="haproxy-config",
            kind=PATH,
            default="/etc/haproxy/haproxy.cfg",
            help="path of HAProxy's configuration; the map files are written next to it",
        ),
        Option(
            name="haproxy",
            kind=ValueKind(values.plain, "a program that can be run", "PATH"),
            default_help="haproxy on PATH, else the one of the extra haproxy",
            help="path of the HAProxy binary",
        ),
        Option(
            name="manage-haproxy",
            kind=FLAG,
            default_help="off; on in the image and in make run",
            negative=True,
            help="start, supervise and take over HAProxy as master and worker",
        ),
        Option(
            name="state-dir",
            kind=PATH,
            default="/var/run/marathon-lb",
            help="directory for sockets, pid file, archived configurations and server state",
        ),
        Option(
            name="command",
            short="c",
            kind=ValueKind(values.command, "a command", "COMMAND"),
            default_help="detected: systemd, upstart, sysv",
            help="command that reloads a HAProxy that is not managed",
        ),
        Option(
            name="max-reload-retries",
            kind=RETRIES,
            default="10",
            help="maximum number of retries of a failed reload command; 0 for none, -1 for no limit",
        ),
        Option(
            name="reload-interval",
            kind=PAUSE,
            default="10",
            help="seconds between these retries",
        ),
        Option(
            name="min-reload-interval",
            kind=PAUSE,
            default="1",
            help="minimum seconds between two reloads; never less than twice the duration of the last one",
        ),
        Option(
            name="hard-stop-after",
            kind=ValueKind(values.duration, "a duration with its unit such as 30s, 15m or 1h", "DURATION"),
            default="1h",
            help="maximum time that an old HAProxy worker keeps serving its open connections",
        ),
        Option(
            name="access-log",
            kind=PATH,
            default_help="none",
            help="syslog socket that HAProxy logs every request and connection to",
        ),
        Option(
            name="skip-validation",
            kind=FLAG,
            help="do not check the configuration with haproxy -c before it is used",
        ),
        Option(
            name="skip-config-cleanup",
            kind=FLAG,
            help="let one bad service fail the whole update, as old versions did",
        ),
        Option(
            name="template-fallback",
            kind=FLAG,
            help="use the default where an operator's template is refused and has no last good text, "
            "instead of closing what it guards",
        ),
        Option(
            name="archive-versions",
            kind=COUNT,
            default="5",
            help="number of configurations to archive",
        ),
    ),
)
