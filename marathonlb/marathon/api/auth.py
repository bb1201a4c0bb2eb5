"""The credentials for Marathon; `marathonlb.marathon.api.request` decides which Marathon gets them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Interface, implementer

from marathonlb.base.files import ChangedFile
from marathonlb.errors import SourceError

Headers = dict[str, str]


class IAuthorization(Interface):
    """A source of the headers that authorize a request."""

    def headers(url: str) -> Deferred[Headers]:
        """
        Return the headers for a request; empty if no credentials are needed.

        Fails with `marathonlb.errors.SourceError` if credentials are needed and there are none.
        """

    def refused(headers: Headers) -> bool:
        """Record that Marathon refused these with a 401; return whether to repeat the request with new ones."""


@implementer(IAuthorization)
class NoAuthorization:
    """No credentials, for a Marathon that needs none."""

    def headers(self, url: str) -> Deferred[Headers]:
        """Return no headers."""
        return succeed({})

    def refused(self, headers: Headers) -> bool:
        """Return False, since there are no other credentials."""
        return False


@implementer(IAuthorization)
class BasicAuthorization:
    """HTTP basic authentication (``--auth-credentials``; Marathon's ``--http_credentials``)."""

    def __init__(self, user: str, password: str) -> None:
        self._headers = _basic(f"{user}:{password}")

    def headers(self, url: str) -> Deferred[Headers]:
        """Return the same headers for every request."""
        return succeed(dict(self._headers))

    def refused(self, headers: Headers) -> bool:
        """Return False, since there are no other credentials."""
        return False


@implementer(IAuthorization)
class FileAuthorization:
    """
    HTTP basic authentication from a file that holds ``user:pass`` and is read again when it changes.

    While the file cannot be used, the credentials read before are used.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = ChangedFile(path)
        self._headers: Headers | None = None
        self._problem = ""

    def headers(self, url: str) -> Deferred[Headers]:
        """Return the credentials that the file holds now."""
        self._refresh()
        if self._headers is None:
            reason = f"no credentials in {self._path}: {self._problem}; --marathon-auth-credential-file needs user:pass"
            return fail(SourceError(url=url, reason=reason))
        return succeed(dict(self._headers))

    def refused(self, headers: Headers) -> bool:
        """Return whether the file holds other credentials now."""
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
                error.strerror or "it cannot be read"
                if isinstance(error, OSError)
                else "it is not UTF-8 text"
            )
            return
        if ":" not in text or "\n" in text:
            self._problem = "it does not hold one line user:pass"
            return
        self._file.accept(version)
        self._headers = _basic(text)


def _basic(credentials: str) -> Headers:
    return {"Authorization": "Basic " + b64encode(credentials.encode()).decode()}
