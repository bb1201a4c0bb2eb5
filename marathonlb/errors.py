"""
The errors that this package raises on purpose, as a small tree.

Each error carries its facts as fields; ``str()`` makes one line of them that an operator can act on. Code compares the
fields and never the line.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from marathonlb.base import limits
from marathonlb.base.redaction import masked
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import TEMPLATE_ERROR
from marathonlb.problem_kinds.running import (
    ALREADY_RUNNING,
    CHECK_FAILED,
    CONFIGURATION_REFUSED,
    DAEMON_REFUSED,
    DAEMON_UNREACHABLE,
    HAPROXY_UNAVAILABLE,
    MARATHON,
    PUBLISH_FAILED,
    RELOAD_FAILED,
    SERVICES_REFUSED,
    TEMPLATES_HOLD,
    USAGE,
)


class MarathonLBError(Exception):
    """
    The root of the tree: the message of such an error is meant for an operator.

    :cvar kind: the kind of the problem; None for errors that only answer a request.
    """

    kind: ClassVar[ProblemKind | None] = None


def described(error: BaseException) -> str:
    """Return an error's message as the log, the API and the pages show it: the code of its kind first."""
    kind = getattr(error, "kind", None)
    return f"{kind.code} {error}" if isinstance(kind, ProblemKind) else str(error)


@frozen(str=False, kw_only=True)
class UsageError(MarathonLBError):
    """An option or an environment variable has a value that cannot be used."""

    kind = USAGE

    option: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.option}: {self.value!r} is not {self.expected}"


@frozen(str=False, kw_only=True)
class SourceError(MarathonLBError):
    """
    Marathon did not answer, or its answer cannot be used.

    :param url: the URL that was requested, without credentials.
    :param reason: what went wrong and what can be done about it.
    :param status: the HTTP status; None if there was no answer.
    """

    kind = MARATHON

    url: str
    reason: str
    status: int | None = None

    def __str__(self) -> str:
        status = "" if self.status is None else f" (status {self.status})"
        return f"{self.url}: {self.reason}{status}"


@frozen(str=False, kw_only=True)
class TemplateError(MarathonLBError):
    """
    The text of a template cannot be used.

    :param source: the label, environment variable or file that the text comes from.
    :param template: the template's name without ``HAPROXY_``; empty if none can be named.
    :param closed: True if the text was refused before and has been out of use since then.
    """

    kind = TEMPLATE_ERROR

    source: str
    reason: str = field(converter=masked)
    template: str = ""
    closed: bool = False

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


def _quoted(message: str) -> str:
    return limits.quoted(masked(message))


@frozen(kw_only=True)
class Complaint:
    """
    One message of HAProxy about a configuration.

    :param message: the message without its prefix of level, pid and file; shortened if it repeats a long line.
    :param line: the line in the configuration file, counted from 1; None if the message names no line.
    :param owner: the author of that line, a `marathonlb.config.text.model.Owner`; None if it is not known.
    """

    message: str = field(converter=_quoted)
    line: int | None = None
    owner: object | None = None


@frozen(str=False, kw_only=True)
class InvalidConfiguration(MarathonLBError):
    """HAProxy refused the configuration; the running configuration was not touched."""

    kind = CONFIGURATION_REFUSED

    complaints: tuple[Complaint, ...] = ()
    output: str = field(default="", repr=False, converter=masked)

    @property
    def words(self) -> str:
        """HAProxy's messages in one line, the first few of them; else the end of its output."""
        messages = "; ".join(
            f"line {c.line}: {c.message}" if c.line else c.message for c in self.complaints[:5]
        )
        return messages or self.output.strip()[-500:]

    def __str__(self) -> str:
        return f"HAProxy refuses the configuration: {self.words}"


@frozen(str=False, kw_only=True)
class TemplateRefused(InvalidConfiguration):
    """
    HAProxy refused the configuration because of templates of the operator; until they are corrected nothing changes.

    :param templates: the fault of each template, one line each.
    """

    kind = TEMPLATES_HOLD

    templates: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"templates keep HAProxy as it is: {'; '.join(self.templates)}"


@frozen(str=False, kw_only=True)
class ServicesRefused(MarathonLBError):
    """
    A service is invalid, and ``--skip-config-cleanup`` asks for all services or none.

    :param problems: the faults, one line each.
    """

    kind = SERVICES_REFUSED

    problems: tuple[str, ...]

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"with --skip-config-cleanup one bad service fails the whole update: {self.problems[0]}{more}"


@frozen(str=False, kw_only=True)
class ReloadFailed(MarathonLBError):
    """
    The configuration is on disk, but HAProxy does not run it.

    :param reason: one line.
    :param output: the output of HAProxy or of the reload command.
    :param refused: True if HAProxy certainly does not run the new configuration; the files before it were restored.
    :param repeatable: True if the operator's options allow more attempts than were made.
    """

    kind = RELOAD_FAILED

    reason: str
    output: str = field(default="", repr=False, converter=masked)
    complaints: tuple[Complaint, ...] = ()
    refused: bool = False
    repeatable: bool = False

    def __str__(self) -> str:
        return f"reload failed: {self.reason}"


@frozen(str=False, kw_only=True)
class PublishFailed(MarathonLBError):
    """The configuration could not be written; the file before it is intact."""

    kind = PUBLISH_FAILED

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@frozen(str=False, kw_only=True)
class HAProxyUnavailable(MarathonLBError):
    """There is no HAProxy binary, or HAProxy does not answer."""

    kind = HAPROXY_UNAVAILABLE

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False, kw_only=True)
class AlreadyRunning(MarathonLBError):
    """
    Another controller holds something that only one controller may use.

    :param what: the thing: the state directory, for example.
    :param holder: the process that holds it: its id, its program and since when.
    :param option: the option that names another one.
    """

    kind = ALREADY_RUNNING

    what: str
    holder: str
    option: str

    def __str__(self) -> str:
        return f"another controller has {self.what}: {self.holder}; end it, or give this one another {self.option}"


@frozen(str=False, kw_only=True)
class CheckFailed(HAProxyUnavailable):
    """
    ``haproxy -c`` neither accepted nor refused: it did not end in time, was killed, or failed without a message.

    :param how: how it ended, as a phrase.
    """

    kind = CHECK_FAILED

    how: str


@frozen(str=False, kw_only=True)
class DaemonUnreachable(MarathonLBError):
    """
    No controller answers on its socket.

    :param path: the path of the socket.
    """

    kind = DAEMON_UNREACHABLE

    path: str
    reason: str

    def __str__(self) -> str:
        return (
            f"no daemon answers at {self.path} ({self.reason}); name its --state-dir, and ask as a user who may use "
            "that socket"
        )


@frozen(str=False, kw_only=True)
class DaemonRefused(MarathonLBError):
    """
    The controller refused a request.

    :param status: the HTTP status.
    :param reason: the controller's message.
    """

    kind = DAEMON_REFUSED

    status: int
    reason: str

    def __str__(self) -> str:
        return f"the daemon answers {self.status}: {self.reason}"
