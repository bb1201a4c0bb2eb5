"""The options of ``marathon-lb-zdd``: how Marathon is reached as everywhere, the rest of its own."""

from __future__ import annotations

import getopt
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from attrs import evolve, field, frozen
from twisted.python import usage

from marathonlb.errors import UsageError
from marathonlb.options import CommandLine, Face, Group, Option, group_markdown, read_values, settings_from
from marathonlb.options import options as rows
from marathonlb.options.option import FLAG, PATH, SECONDS
from marathonlb.options.values import ValueKind, integer, marathons, without_userinfo
from marathonlb.settings import Credentials, Settings
from marathonlb.zdd.course import Wish

NAME = "marathon-lb-zdd"
STATISTICS_PORT = 9090

_SHARED = (
    "marathon",
    "auth-credentials",
    "marathon-auth-credential-file",
    "dcos-auth-credentials",
    "marathon-ca-cert",
    "marathon-client-cert",
    "marathon-insecure",
    "syslog-socket",
    "log-format",
    "log-level",
)
_CREDENTIALS = ("MARATHON_USER", "MARATHON_PASSWORD")


def balancers(text: str) -> tuple[str, ...]:
    """Base URLs of load balancers; ``host:port`` and ``host`` are http, and the port is 9090 where none is named."""
    found = []
    for item in re.split(r"[,\s]+", text.strip()):
        ((_, url),) = marathons(item if "://" in item else f"http://{item}")
        parts = urlsplit(url)
        if parts.path:
            raise ValueError
        port = "" if parts.port else f":{STATISTICS_PORT}"
        found.append(urlunsplit(parts._replace(netloc=parts.netloc + port)))
    return tuple(found)


_INSTANCES = ValueKind(integer(1, 100_000), "a whole number from 1 to 100000", "N")

DEPLOYMENT = Group(
    "Deployment",
    (
        Option(
            name="app",
            short="j",
            kind=PATH,
            help="the app file, JSON as for POST /v2/apps; or the one argument, - for standard input",
        ),
        Option(
            name="marathon-lb",
            short="l",
            kind=ValueKind(balancers, "an address such as http://marathon-lb:9090", "URL"),
            default="http://marathon-lb.marathon.mesos:9090",
            repeated=True,
            help="the load balancers' stats address; of a name, every address that it has. Repeated, or several "
            "separated by commas or blanks",
        ),
        Option(
            name="initial-instances",
            short="i",
            kind=_INSTANCES,
            default="1",
            help="how many instances the new app begins with; each step doubles them",
        ),
        Option(
            name="new-instances",
            short="n",
            kind=ValueKind(integer(0, 100_000), "a whole number from 0 to 100000", "N"),
            default="0",
            help="stop when so many of the new app's serve, beside the rest of the old one's; 0 replaces it",
        ),
        Option(
            name="complete-cur",
            short="c",
            kind=FLAG,
            only_on_command_line=True,
            help="end a split: all traffic to the new app",
        ),
        Option(
            name="complete-prev",
            short="p",
            kind=FLAG,
            only_on_command_line=True,
            help="end a split, or what was left half done: all traffic back to the old app",
        ),
        Option(
            name="resume",
            short="r",
            kind=FLAG,
            only_on_command_line=True,
            help="go on with a deployment that was interrupted",
        ),
        Option(
            name="max-wait",
            short="w",
            kind=SECONDS,
            default="300",
            help="how long to wait for health, or for sessions to end, without coming nearer, before going back",
        ),
        Option(
            name="step-interval",
            short="s",
            kind=SECONDS,
            default="5",
            help="how long to wait between two looks, and so between two steps; also --step-delay",
        ),
        Option(
            name="pre-kill-hook",
            kind=PATH,
            help="a program that is asked before tasks are ended, with three arguments in JSON: the app whose tasks "
            "end, their ids, the other app. Another status than 0 turns the deployment back",
        ),
        Option(
            name="force",
            short="f",
            kind=FLAG,
            help="do not ask before beginning, where it runs on a terminal",
        ),
        Option(name="json", kind=FLAG, help="say what happens as one JSON object a line"),
        Option(
            name="dry-run",
            short="d",
            kind=FLAG,
            only_on_command_line=True,
            help="say what would be done, and change nothing",
        ),
    ),
)

_BY_NAME = {option.name: option for option in rows()}
MARATHON = Group("Marathon and the log", tuple(_BY_NAME[name] for name in _SHARED))
GROUPS = (DEPLOYMENT, MARATHON)


class ZddOptions(CommandLine, face=Face.SCRIPT, groups=GROUPS):
    """The command line."""

    synopsis = f"{NAME} [options] [FILE]"
    longdesc = "Replaces an app by its next version without an interruption, as a blue/green pair."

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read a command line; the app file may stand before its options as well as after them."""
        arguments = list(options or ())
        with suppress(getopt.error):
            found, rest = getopt.gnu_getopt(arguments, self.shortOpt, self.longOpt)
            arguments = [part for name, value in found for part in _spelled(name, value)] + ["--", *rest]
        super().parseOptions(arguments)  # type: ignore[no-untyped-call]

    def parseArgs(self, *rest: str) -> None:
        """The app file."""
        if len(rest) > 1:
            raise usage.UsageError(f"one app file is deployed, not {len(rest)}: {rest[1]!r}")
        for path in rest:
            self.gave(DEPLOYMENT.options[0], path)

    def documentation(self) -> str:
        """The options as Markdown."""
        return "\n\n".join(map(group_markdown, GROUPS)) + "\n"

    def opt_step_delay(self, value: str) -> None:
        """As --step-interval."""
        (option,) = (option for option in DEPLOYMENT.options if option.name == "step-interval")
        self.gave(option, value)

    def opt_longhelp(self) -> NoReturn:
        """Display the options as Markdown and exit."""
        sys.stdout.write(self.documentation())
        raise SystemExit(0)


def _spelled(name: str, value: str) -> list[str]:
    """An option as one writes it."""
    if name.startswith("--"):
        return [f"{name}={value}" if value else name]
    return [name, value] if value else [name]


@frozen(kw_only=True)
class Given:
    """
    What the command line and the environment say.

    :param app: the app file's path, ``-`` for standard input.
    :param settings: how Marathon is reached, and how the log is.
    :param marathon_lb: base URLs without credentials.
    :param credentials: by the URL that they are for.
    :param hook: a program; None asks nobody.
    """

    app: str
    settings: Settings
    wish: Wish
    marathon_lb: tuple[str, ...]
    credentials: dict[str, Credentials] = field(repr=False)
    hook: str | None
    force: bool
    json: bool
    dry_run: bool


def read_options(given: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> Given:
    """
    What was given, checked.

    :raises UsageError: a value is not what it should be, or two options contradict each other.
    """
    told = read_values(DEPLOYMENT.options, given, environ)
    if not told.one("app"):
        raise UsageError(option="--app", value="", expected="given: the app file is to be named")
    ways = [name for name in ("complete-cur", "complete-prev", "resume") if told.one(name)]
    if len(ways) > 1:
        raise UsageError(option=f"--{ways[1]}", value="", expected=f"possible together with --{ways[0]}")
    if ways and ways[0] != "resume" and told.one("new-instances"):
        text = str(told.one("new-instances"))
        raise UsageError(option="--new-instances", value=text, expected=f"possible together with --{ways[0]}")
    apart = [without_userinfo(url) for url in told.joined("marathon-lb")]
    return Given(
        app=told.one("app"),
        settings=_settings(given, environ),
        wish=Wish(
            new_instances=told.one("new-instances"),
            complete_cur=bool(told.one("complete-cur")),
            complete_prev=bool(told.one("complete-prev")),
            resume=bool(told.one("resume")),
            initial_instances=told.one("initial-instances"),
            max_wait=told.one("max-wait"),
            step_interval=told.one("step-interval"),
        ),
        marathon_lb=tuple(url for url, _ in apart),
        credentials={url: user for url, user in apart if user is not None},
        hook=told.one("pre-kill-hook"),
        force=bool(told.one("force")),
        json=bool(told.one("json")),
        dry_run=bool(told.one("dry-run")),
    )


def _settings(given: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> Settings:
    """How Marathon is reached: of the daemon's options and variables those that this tool has, too."""
    shared = [_BY_NAME[name] for name in _SHARED]
    variables = {*_CREDENTIALS, *(name for row in shared for name in (row.variable, *row.environment))}
    settings = settings_from(
        {name: texts for name, texts in given.items() if name in _SHARED},
        {name: text for name, text in environ.items() if name in variables},
        face=Face.SCRIPT,
    )
    if "log-level" not in given and not environ.get(_BY_NAME["log-level"].variable):
        settings = evolve(settings, log_level="warn")  # what happens is told on standard output
    if not settings.named_clusters:
        return settings
    if settings.marathon or len(settings.named_clusters) > 1:
        names = " ".join(cluster.name for cluster in settings.named_clusters)
        raise UsageError(
            option="--marathon", value=names, expected="one cluster, and an app is deployed to one"
        )
    return settings.named_clusters[0].among(settings)
