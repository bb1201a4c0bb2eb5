"""
Everything that this package raises on purpose, as a small tree.

Each error carries its facts as fields and says in ``str()`` one line that an operator can act on.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from marathonlb import limits
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
from marathonlb.redaction import masked


class MarathonLBError(Exception):
    """
    The root: an error whose message is fit for an operator.

    :cvar kind: what kind of problem it is; None for errors that only answer a request.
    """

    kind: ClassVar[ProblemKind | None] = None

    @property
    def coded(self) -> str:
        """The message with the code of its kind before it, as the log and the API show it."""
        return str(self) if self.kind is None else f"{self.kind.code} {self}"


@frozen(str=False, kw_only=True)
class UsageError(MarathonLBError):
    """An option or an environment variable holds what it should not."""

    kind = USAGE

    option: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.option}: {self.value!r} is not {self.expected}"


@frozen(str=False, kw_only=True)
class SourceError(MarathonLBError):
    """
    Marathon could not be asked, or its answer cannot be believed.

    :param url: what was asked, without credentials.
    :param reason: what went wrong and what can be done.
    :param status: the HTTP status, where there was an answer.
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
    A template's text cannot be used.

    :param source: where the text comes from: a label, an environment variable or a file.
    :param template: which one it is, without ``HAPROXY_``; empty where none can be named.
    :param closed: whether it was refused before, and is kept out of use since then.
    """

    kind = TEMPLATE_ERROR

    source: str
    reason: str = field(converter=masked)
    template: str = ""
    closed: bool = False

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


def _quoted(words: str) -> str:
    return limits.quoted(masked(words))


@frozen(kw_only=True)
class Complaint:
    """
    One thing that HAProxy said about a configuration.

    :param message: HAProxy's words, without its prefix of level, pid and file; cut off where it repeats a long line.
    :param line: the line in the configuration file, counted from 1, where it names one.
    :param owner: who wrote that line (`marathonlb.config.text.model.Owner`), where it is known.
    """

    message: str = field(converter=_quoted)
    line: int | None = None
    owner: object | None = None


@frozen(str=False, kw_only=True)
class InvalidConfiguration(MarathonLBError):
    """HAProxy refused the configuration; what runs was not touched."""

    kind = CONFIGURATION_REFUSED

    complaints: tuple[Complaint, ...] = ()
    output: str = field(default="", repr=False, converter=masked)

    @property
    def words(self) -> str:
        """HAProxy's."""
        said = "; ".join(f"line {c.line}: {c.message}" if c.line else c.message for c in self.complaints[:5])
        return said or self.output.strip()[-500:]

    def __str__(self) -> str:
        return f"HAProxy refuses the configuration: {self.words}"


@frozen(str=False, kw_only=True)
class TemplateRefused(InvalidConfiguration):
    """
    The same, because of templates of the operator's with which HAProxy runs on as it is.

    :param templates: what is wrong with each, in one line.
    """

    kind = TEMPLATES_HOLD

    templates: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(self.templates)


@frozen(str=False, kw_only=True)
class ServicesRefused(MarathonLBError):
    """
    Under ``--skip-config-cleanup`` one service that is wrong fails the whole update.

    :param problems: what is wrong, one line each.
    """

    kind = SERVICES_REFUSED

    problems: tuple[str, ...]

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"with --skip-config-cleanup one bad service fails the whole update: {self.problems[0]}{more}"


@frozen(str=False, kw_only=True)
class ReloadFailed(MarathonLBError):
    """
    The configuration is on disk but HAProxy does not run it.

    :param reason: one line.
    :param output: what HAProxy or the reload command said.
    :param refused: whether HAProxy surely does not run the new one; then the files before were put back.
    :param repeatable: whether the operator has asked for more attempts than were made.
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
    """The configuration could not be written; the file that was there is whole."""

    kind = PUBLISH_FAILED

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@frozen(str=False, kw_only=True)
class HAProxyUnavailable(MarathonLBError):
    """There is no HAProxy to run, or it does not answer."""

    kind = HAPROXY_UNAVAILABLE

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False, kw_only=True)
class AlreadyRunning(MarathonLBError):
    """
    Another controller has what only one may have.

    :param what: the state directory, say.
    :param holder: who has it: process id, program, since when.
    :param option: what names another one.
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
    ``haproxy -c`` has come to no verdict: it did not end in time, was killed, or ended without a word.

    :param how: in a few words.
    """

    kind = CHECK_FAILED

    how: str


@frozen(str=False, kw_only=True)
class DaemonUnreachable(MarathonLBError):
    """
    No controller answers on its socket.

    :param path: of the socket.
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
    The controller was asked and gives no such answer.

    :param status: HTTP's.
    :param reason: in its words.
    """

    kind = DAEMON_REFUSED

    status: int
    reason: str

    def __str__(self) -> str:
        return f"the daemon answers {self.status}: {self.reason}"
