"""
The daemon's command line: ``twistd marathon-lb``.

twistd makes the service before it starts to log, and asks the application for its log observer. So the service sets
its own observer when the application becomes its parent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO, Any

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, LegacyLogObserverWrapper, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.util import runAsEffectiveUser

from marathonlb import logs
from marathonlb.documentation import longhelp
from marathonlb.errors import MarathonLBError, UsageError, described
from marathonlb.options import CommandLine, Face, notices, settings_from
from marathonlb.service import make_daemon
from marathonlb.settings import Settings

Maker = Callable[[Settings, Any], IService]


class Options(CommandLine, face=Face.DAEMON):
    """
    The options of ``twistd marathon-lb``.

    :ivar settings: the settings of the command line and the environment.
    :ivar notices: the notices about them, which are logged at the start.
    """

    settings: Settings
    notices: tuple[str, ...] = ()

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._environ = os.environ if environ is None else environ

    def documentation(self) -> str:
        """Return options, labels and templates as Markdown."""
        return longhelp()

    def postOptions(self) -> None:
        """Check all values; an error becomes twistd's usage error."""
        try:
            self.settings = settings_from(self.given, self._environ)
            self.notices = notices(self.given, self._environ)
        except UsageError as error:
            raise usage.UsageError(str(error)) from None


class TwistdService(MultiService):
    """
    The controller's service as twistd runs it: with its own log, and with the notices logged first.

    :param observer: the log observer; None for twistd's.
    """

    _log = Logger()

    def __init__(self, observer: ILogObserver | None, notices: tuple[str, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._observer = observer
        self._notices = notices

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and set its log observer."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Log the notices, then start."""
        for notice in self._notices:
            self._log.warn("{notice}", notice=notice)
        super().startService()  # type: ignore[no-untyped-call]


def makeService(options: Options, maker: Maker = make_daemon) -> IService:
    """
    Return the daemon's service.

    :param maker: makes the service; a test passes its own.
    :raises SystemExit: it cannot be made; the message is one line.
    """
    from twisted.internet import reactor

    try:
        service = _as_user(options.parent, partial(maker, options.settings, reactor))
    except MarathonLBError as error:
        raise SystemExit(f"marathon-lb: {described(error)}") from None
    daemon = TwistdService(_observer(options.settings, options.parent), options.notices)
    service.setServiceParent(daemon)
    return daemon


def _as_user(twistd: Mapping[str, Any] | None, make: Callable[[], IService]) -> IService:
    """Make the service as the user that ``twistd --uid`` switches to, so that files and HAProxy belong to that user."""
    if twistd is None or twistd.get("uid") is None or twistd["uid"] == os.geteuid():
        return make()
    gid = os.getegid() if twistd.get("gid") is None else twistd["gid"]
    made: IService = runAsEffectiveUser(twistd["uid"], gid, make)
    return made


def _observer(settings: Settings, twistd: Mapping[str, Any] | None) -> ILogObserver | None:
    """
    Return the log observer for the place where twistd would log, with our formats; None for twistd's.

    :param twistd: twistd's own options.
    """
    if twistd is None or twistd.get("logger"):
        return None
    if twistd.get("syslog"):
        from twisted.python.syslog import SyslogObserver

        syslog = SyslogObserver(twistd.get("prefix", ""))
        return logs.at_level(LegacyLogObserverWrapper(syslog.emit), settings.log_level)  # type: ignore[arg-type]
    return logs.observer(settings, _stream(twistd.get("logfile"), bool(twistd.get("nodaemon"))))


def _stream(path: str | None, foreground: bool) -> IO[Any]:
    if foreground and path in (None, "", "-"):
        return sys.stdout
    if path == "-":
        raise SystemExit("a daemon cannot log to stdout: give --logfile a path, or use twistd -n")
    try:
        stream: IO[Any] = LogFile.fromFullPath(path or "twistd.log")
    except OSError as error:
        raise SystemExit(
            f"marathon-lb: the log {error.filename} cannot be written: {error.strerror}; "
            "choose another --logfile, or another directory with --rundir"
        ) from None
    return stream
