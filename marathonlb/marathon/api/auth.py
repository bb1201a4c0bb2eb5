"""Credentials for Marathon: who gives them, never who gets them (that is `marathonlb.marathon.api.request`)."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Interface, implementer

from marathonlb.errors import SourceError
from marathonlb.files import ChangedFile

Headers = dict[str, str]


class IAuthorization(Interface):
    """Gives the headers that open Marathon's door."""

    def headers(url: str) -> Deferred[Headers]:
        """
        The headers for a request; empty where no credentials are needed.

        Fails with `marathonlb.errors.SourceError` where there should be some and none can be had.
        """

    def refused(headers: Headers) -> bool:
        """Marathon said 401 to these. Whether asking again with new ones is worth it."""


@implementer(IAuthorization)
class NoAuthorization:
    """For a Marathon that lets everyone in."""

    def headers(self, url: str) -> Deferred[Headers]:
        """Nothing."""
        return succeed({})

    def refused(self, headers: Headers) -> bool:
        """There is nothing else to try."""
        return False


@implementer(IAuthorization)
class BasicAuthorization:
    """HTTP basic authentication (``--auth-credentials``; Marathon's ``--http_credentials``)."""

    def __init__(self, user: str, password: str) -> None:
        self._headers = _basic(f"{user}:{password}")

    def headers(self, url: str) -> Deferred[Headers]:
        """The same for every request."""
        return succeed(dict(self._headers))

    def refused(self, headers: Headers) -> bool:
        """There is nothing else to try."""
        return False


@implementer(IAuthorization)
class FileAuthorization:
    """
    HTTP basic authentication from a file that holds ``user:pass`` and is read again when it changes.

    While the file is being replaced, what it held before is used.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = ChangedFile(path)
        self._headers: Headers | None = None
        self._problem = ""

    def headers(self, url: str) -> Deferred[Headers]:
        """The file's present credentials."""
        self._refresh()
        if self._headers is None:
            reason = f"no credentials in {self._path}: {self._problem}; --marathon-auth-credential-file wants user:pass"
            return fail(SourceError(url=url, reason=reason))
        return succeed(dict(self._headers))

    def refused(self, headers: Headers) -> bool:
        """Whether the file holds something else now."""
        self._file.forget()
        self._refresh()
        return self._headers != headers

    def _refresh(self) -> None:
        try:
            version = self._file.changed()
            if version is None:
                return
            text = self._path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._problem = (
                error.strerror or "it cannot be read" if isinstance(error, OSError) else "it is no text"
            )
            return
        if ":" not in text or "\n" in text:
            self._problem = "it does not hold one line user:pass"
            return
        self._file.accept(version)
        self._headers = _basic(text)


def _basic(credentials: str) -> Headers:
    return {"Authorization": "Basic " + b64encode(credentials.encode()).decode()}
