"""``twistd minimarathon``: its options, checked, and the service they make."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.python import usage

from minimarathon.definitions.app_file import load
from minimarathon.dialect import Dialect
from minimarathon.model import App
from minimarathon.service import Config, MiniMarathon


class Options(usage.Options):
    """The options of the plugin."""

    optParameters = [  # noqa: RUF012 - Twisted's way to declare options
        ["port", "p", "8080", "Port of the API; 0 takes a free one and logs it."],
        ["host", None, "127.0.0.1", "Address of the API. Tasks always listen on 127.0.0.1."],
        ["apps", "a", None, "JSON file with a group, a list of apps or one app to begin with."],
        ["version", None, "1.5", "Marathon's version to speak: 1.4 (with /v2/eventSubscriptions) to 1.11."],
        ["credentials", None, None, "user:password that the API wants; better in MINIMARATHON_CREDENTIALS."],
        ["task-ports", None, "31000-32000", "Range of the host ports that tasks get."],
        ["work-dir", None, None, "Where tasks have their directories and output; else a new temporary one."],
        ["keep-alive", None, "10", "Seconds between keep-alives of the event stream."],
    ]
    optFlags = [  # noqa: RUF012
        ["no-processes", None, "Start nothing: tasks run at once, are healthy and share the task ports."],
    ]

    def opt_version(self, value: str = "") -> None:
        """Marathon's version to speak: 1.4 (with /v2/eventSubscriptions) to 1.11."""
        self["version"] = value

    def postOptions(self) -> None:
        """
        Check every value.

        :raise twisted.python.usage.UsageError: with a line that names option, value and what was expected.
        """
        self["port"] = _whole("--port", self["port"], 0, 65535)
        try:
            self["keep-alive"] = float(self["keep-alive"])
        except ValueError:
            raise usage.UsageError(f"--keep-alive: {self['keep-alive']!r} is no number of seconds") from None
        try:
            self["dialect"] = Dialect.parse(self["version"])
        except ValueError as error:
            raise usage.UsageError(f"--version: {error}") from error
        self["credentials"] = self["credentials"] or os.environ.get("MINIMARATHON_CREDENTIALS")
        if self["credentials"] and ":" not in self["credentials"]:
            raise usage.UsageError("--credentials: the value is not of the form user:password")
        found = re.fullmatch(r"(\d+)-(\d+)", self["task-ports"])
        if found is None:
            raise usage.UsageError(f"--task-ports: {self['task-ports']!r} is no range such as 31000-32000")
        ports = tuple(_whole("--task-ports", one, 1, 65535) for one in found.groups())
        if ports[0] > ports[1]:
            raise usage.UsageError(f"--task-ports: {self['task-ports']!r} ends before it begins")
        self["task_ports"] = ports
        self["definitions"] = self._apps()

    def _apps(self) -> dict[str, App]:
        if self["apps"] is None:
            return {}
        try:
            return load(Path(self["apps"]))
        except ValueError as error:
            raise usage.UsageError(f"--apps: {error}") from error


def _whole(option: str, value: str, low: int, high: int) -> int:
    if not value.isdigit() or not low <= int(value) <= high:
        raise usage.UsageError(f"{option}: {value!r} is no port between {low} and {high}")
    return int(value)


class _Plugin(MiniMarathon):
    """The service as twistd starts it: a port that is taken is one line, not a traceback."""

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except CannotListenError as error:
            reason = f"port {self.config.port} cannot be bound ({error.socketError}): give another --port"
            raise SystemExit(f"minimarathon: {reason}") from error


def makeService(options: Options) -> IService:
    """Return the service that the options describe."""
    from twisted.internet import reactor

    work_dir = options["work-dir"] or (
        "minimarathon-unused" if options["no-processes"] else tempfile.mkdtemp(prefix="minimarathon-")
    )
    config = Config(
        dialect=options["dialect"],
        host=options["host"],
        port=options["port"],
        credentials=options["credentials"],
        processes=not options["no-processes"],
        work_dir=Path(work_dir),
        task_ports=options["task_ports"],
        keep_alive=options["keep-alive"],
    )
    return _Plugin(reactor, config, options["definitions"])
