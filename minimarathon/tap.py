"""``twistd minimarathon``: its options and their validation, and the service."""

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
        ["port", "p", "8080", "Port of the API; 0 uses a free port and logs it."],
        ["host", None, "127.0.0.1", "Address of the API. Tasks always listen on 127.0.0.1."],
        ["apps", "a", None, "JSON file with a group, a list of apps or one app to start with."],
        ["version", None, "1.5", "Marathon version to emulate: 1.4 (with /v2/eventSubscriptions) to 1.11."],
        ["credentials", None, None, "user:password required by the API; better in MINIMARATHON_CREDENTIALS."],
        ["task-ports", None, "31000-32000", "Range of the host ports for tasks."],
        [
            "work-dir",
            None,
            None,
            "Directory for the tasks' directories and output; default: a temporary one.",
        ],
        ["keep-alive", None, "10", "Seconds between keep-alives of the event stream."],
    ]
    optFlags = [  # noqa: RUF012
        [
            "no-processes",
            None,
            "Start no processes: tasks are running and healthy at once and share the task ports.",
        ],
    ]

    def opt_version(self, value: str = "") -> None:
        """Set the Marathon version to emulate: 1.4 (with /v2/eventSubscriptions) to 1.11."""
        self["version"] = value

    def postOptions(self) -> None:
        """
        Check every value.

        :raise twisted.python.usage.UsageError: with a line that names the option, the value and the expected form.
        """
        self["port"] = _port("--port", self["port"], 0)
        try:
            self["keep-alive"] = float(self["keep-alive"])
        except ValueError:
            raise usage.UsageError(
                f"--keep-alive: {self['keep-alive']!r} is not a number of seconds"
            ) from None
        try:
            self["dialect"] = Dialect.parse(self["version"])
        except ValueError as error:
            raise usage.UsageError(f"--version: {error}") from error
        self["credentials"] = self["credentials"] or os.environ.get("MINIMARATHON_CREDENTIALS")
        if self["credentials"] and ":" not in self["credentials"]:
            raise usage.UsageError("--credentials: expected user:password")
        match = re.fullmatch(r"(\d+)-(\d+)", self["task-ports"])
        if match is None:
            raise usage.UsageError(f"--task-ports: {self['task-ports']!r} is not a range such as 31000-32000")
        ports = tuple(_port("--task-ports", text, 1) for text in match.groups())
        if ports[0] > ports[1]:
            raise usage.UsageError(f"--task-ports: {self['task-ports']!r} ends before it starts")
        self["task_ports"] = ports
        self["definitions"] = self._apps()

    def _apps(self) -> dict[str, App]:
        if self["apps"] is None:
            return {}
        try:
            return load(Path(self["apps"]))
        except ValueError as error:
            raise usage.UsageError(f"--apps: {error}") from error


def _port(option: str, value: str, lowest: int) -> int:
    if not value.isdigit() or not lowest <= int(value) <= 65535:
        raise usage.UsageError(f"{option}: {value!r} is not a port between {lowest} and 65535")
    return int(value)


class _Plugin(MiniMarathon):
    """The service for twistd: a port that is in use ends it with one line instead of a traceback."""

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except CannotListenError as error:
            reason = f"port {self.config.port} cannot be bound ({error.socketError}): choose another --port"
            raise SystemExit(f"minimarathon: {reason}") from error


def makeService(options: Options) -> IService:
    """Return the service for the options."""
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
