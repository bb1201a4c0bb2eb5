"""The options of ``marathon-lb-zdd``: those of a deployment, and the shared ones for Marathon and the log."""

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
from marathonlb.zdd.course import DeploymentRequest

NAME = "marathon-lb-zdd"
STATISTICS_PORT = 9090
"""The default port of a load balancer's stats address."""

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
    """Parse base URLs of load balancers; ``host:port`` and ``host`` are http, and the default port is 9090."""
    urls = []
    for item in re.split(r"[,\s]+", text.strip()):
        ((_, url),) = marathons(item if "://" in item else f"http://{item}")
        parts = urlsplit(url)
        if parts.path:
            raise ValueError
        port = "" if parts.port else f":{STATISTICS_PORT}"
        urls.append(urlunsplit(parts._replace(netloc=parts.netloc + port)))
    return tuple(urls)


_INSTANCES = ValueKind(integer(1, 100_000), "a whole number from 1 to 100000", "N")

DEPLOYMENT = Group(
    "Deployment",
    (
        Option(
            name="app",
            short="j",
            kind=PATH,
            help="the app file, JSON as for POST /v2/apps; or the only argument, - for standard input",
        ),
        Option(
            name="marathon-lb",
            short="l",
            kind=ValueKind(balancers, "an address such as http://marathon-lb:9090", "URL"),
            default="http://marathon-lb.marathon.mesos:9090",
            repeated=True,
            help="the load balancers' stats address; a name stands for all its addresses. Repeated, or several "
            "separated by commas or blanks",
        ),
        Option(
            name="initial-instances",
            short="i",
            kind=_INSTANCES,
            default="1",
            help="number of instances with which the new app starts; each step doubles them",
        ),
        Option(
            name="new-instances",
            short="n",
            kind=ValueKind(integer(0, 100_000), "a whole number from 0 to 100000", "N"),
            default="0",
            help="stop when this number of new instances serve beside the rest of the old ones; 0 replaces the old app",
        ),
        Option(
            name="complete-cur",
            short="c",
            kind=FLAG,
            only_on_command_line=True,
            help="finish a split: all traffic to the new app",
        ),
        Option(
            name="complete-prev",
            short="p",
            kind=FLAG,
            only_on_command_line=True,
            help="go back from a split or an unfinished deployment: all traffic to the old app",
        ),
        Option(
            name="resume",
            short="r",
            kind=FLAG,
            only_on_command_line=True,
            help="continue an interrupted deployment",
        ),
        Option(
            name="max-wait",
            short="w",
            kind=SECONDS,
            default="300",
            help="maximum time without progress (healthy tasks, ended sessions) before going back",
        ),
        Option(
            name="step-interval",
            short="s",
            kind=SECONDS,
            default="5",
            help="time between two steps; also --step-delay",
        ),
        Option(
            name="pre-kill-hook",
            kind=PATH,
            help="a program that runs before tasks are ended, with three arguments in JSON: the app whose tasks end, "
            "their ids, the other app. Any status but 0 makes the deployment go back",
        ),
        Option(
            name="force",
            short="f",
            kind=FLAG,
            help="do not ask for confirmation on a terminal",
        ),
        Option(name="json", kind=FLAG, help="print the progress as one JSON object per line"),
        Option(
            name="dry-run",
            short="d",
            kind=FLAG,
            only_on_command_line=True,
            help="print the plan, and change nothing",
        ),
    ),
)

_BY_NAME = {option.name: option for option in rows()}
MARATHON = Group("Marathon and the log", tuple(_BY_NAME[name] for name in _SHARED))
GROUPS = (DEPLOYMENT, MARATHON)


class ZddOptions(CommandLine, face=Face.SCRIPT, groups=GROUPS):
    """The command line."""

    synopsis = f"{NAME} [options] [FILE]"
    longdesc = "Replaces an app by its next version without interruption, as a blue/green pair."

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse a command line; the app file may precede or follow the options."""
        arguments = list(options or ())
        with suppress(getopt.error):
            options_given, rest = getopt.gnu_getopt(arguments, self.shortOpt, self.longOpt)
            arguments = [part for name, value in options_given for part in _spelled(name, value)] + [
                "--",
                *rest,
            ]
        super().parseOptions(arguments)  # type: ignore[no-untyped-call]

    def parseArgs(self, *rest: str) -> None:
        """Take the app file."""
        if len(rest) > 1:
            raise usage.UsageError(f"expected one app file, not {len(rest)}: {rest[1]!r}")
        for path in rest:
            self.gave(DEPLOYMENT.options[0], path)

    def documentation(self) -> str:
        """Return the options as Markdown."""
        return "\n\n".join(map(group_markdown, GROUPS)) + "\n"

    def opt_step_delay(self, value: str) -> None:
        """Take --step-delay as --step-interval."""
        (option,) = (option for option in DEPLOYMENT.options if option.name == "step-interval")
        self.gave(option, value)

    def opt_longhelp(self) -> NoReturn:
        """Display the options as Markdown and exit."""
        sys.stdout.write(self.documentation())
        raise SystemExit(0)


def _spelled(name: str, value: str) -> list[str]:
    """Return an option as it is written on a command line."""
    if name.startswith("--"):
        return [f"{name}={value}" if value else name]
    return [name, value] if value else [name]


@frozen(kw_only=True)
class ZddArguments:
    """
    The checked options of the command line and the environment.

    :param app: the app file's path, ``-`` for standard input.
    :param settings: the settings for Marathon and the log.
    :param request: the deployment.
    :param marathon_lb: base URLs of load balancers, without credentials.
    :param credentials: URL to user and password.
    :param hook: a program that runs before tasks are ended; None for none.
    :param force: do not ask for confirmation.
    :param json: print JSON lines.
    :param dry_run: print the plan only.
    """

    app: str
    settings: Settings
    request: DeploymentRequest
    marathon_lb: tuple[str, ...]
    credentials: dict[str, Credentials] = field(repr=False)
    hook: str | None
    force: bool
    json: bool
    dry_run: bool


def read_options(given: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> ZddArguments:
    """
    Check the options.

    :param given: option name to the values of the command line.
    :raises UsageError: a value is wrong, or two options contradict each other.
    """
    values = read_values(DEPLOYMENT.options, given, environ)
    if not values.one("app"):
        raise UsageError(option="--app", value="", expected="given: name the app file")
    modes = [name for name in ("complete-cur", "complete-prev", "resume") if values.one(name)]
    if len(modes) > 1:
        raise UsageError(option=f"--{modes[1]}", value="", expected=f"possible together with --{modes[0]}")
    if modes and modes[0] != "resume" and values.one("new-instances"):
        text = str(values.one("new-instances"))
        raise UsageError(
            option="--new-instances", value=text, expected=f"possible together with --{modes[0]}"
        )
    balancer_urls = [without_userinfo(url) for url in values.joined("marathon-lb")]
    return ZddArguments(
        app=values.one("app"),
        settings=_settings(given, environ),
        request=DeploymentRequest(
            new_instances=values.one("new-instances"),
            complete_cur=bool(values.one("complete-cur")),
            complete_prev=bool(values.one("complete-prev")),
            resume=bool(values.one("resume")),
            initial_instances=values.one("initial-instances"),
            max_wait=values.one("max-wait"),
            step_interval=values.one("step-interval"),
        ),
        marathon_lb=tuple(url for url, _ in balancer_urls),
        credentials={url: user for url, user in balancer_urls if user is not None},
        hook=values.one("pre-kill-hook"),
        force=bool(values.one("force")),
        json=bool(values.one("json")),
        dry_run=bool(values.one("dry-run")),
    )


def _settings(given: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> Settings:
    """Return the settings for Marathon and the log, from the shared options and their variables."""
    shared = [_BY_NAME[name] for name in _SHARED]
    variables = {*_CREDENTIALS, *(name for row in shared for name in (row.variable, *row.environment))}
    settings = settings_from(
        {name: texts for name, texts in given.items() if name in _SHARED},
        {name: text for name, text in environ.items() if name in variables},
        face=Face.SCRIPT,
    )
    if "log-level" not in given and not environ.get(_BY_NAME["log-level"].variable):
        settings = evolve(settings, log_level="warn")  # standard output has the progress
    if not settings.named_clusters:
        return settings
    if settings.marathon or len(settings.named_clusters) > 1:
        names = " ".join(cluster.name for cluster in settings.named_clusters)
        raise UsageError(
            option="--marathon", value=names, expected="a single cluster, to which the app is deployed"
        )
    return settings.named_clusters[0].among(settings)
