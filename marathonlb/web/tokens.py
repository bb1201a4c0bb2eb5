"""
The token of ``--admin-token``: a text, or a file that holds it and is read again when it changes.

While the file cannot be read, no token is accepted: removing the file withdraws the right.
"""

from __future__ import annotations

import stat
from hashlib import sha256
from hmac import compare_digest

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.base.files import ChangedFile
from marathonlb.options.values import is_path

SHORT = 16
"""Minimum number of characters of a token that cannot be guessed."""

MAX_FILE = 4096
"""Maximum number of bytes of the file."""

FAILURES, FORGIVEN_AFTER = 10, 6.0
"""Wrong tokens that a client may send at once, and seconds until it may send one more."""

CLIENTS = 1000
"""Maximum number of clients whose wrong tokens are counted."""


class AdminToken:
    """
    The token that allows changes.

    :param given: the value of ``--admin-token``.
    """

    _log = Logger()

    def __init__(self, given: str) -> None:
        self._path = given if is_path(given) else ""
        self._token = "" if self._path else given.strip()
        self._file = ChangedFile(self._path)
        self._problem = ""
        if self._path:
            self._refresh()
        else:
            self._judge(given.strip(), "--admin-token")

    def matches(self, given: str) -> bool:
        """Return whether this is the token, in constant time."""
        token = self.text()
        return bool(token) and compare_digest(_digest(token), _digest(given))

    def text(self) -> str:
        """Return the token as it is now; empty while there is none."""
        if self._path:
            self._refresh()
        return self._token

    def _refresh(self) -> None:
        try:
            version = self._file.changed()
            if version is not None:
                self._read(version.mode)
                self._file.accept(version)
            self._problem = ""
        except (OSError, ValueError) as error:
            self._file.forget()
            self._token = ""
            self._complain((error.strerror or "") if isinstance(error, OSError) else str(error))

    def _read(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise ValueError("not a regular file")
        with open(self._path, "rb") as file:
            text = file.read(MAX_FILE + 1).strip().decode("ascii", "replace")
        if not text or len(text) > MAX_FILE or not text.isprintable() or " " in text:
            raise ValueError("it does not contain one token in ASCII; make one with openssl rand -hex 32")
        self._token = text
        self._judge(text, self._path)
        if mode & 0o077:
            self._log.warn(
                "{path}: users other than its owner can read or write the --admin-token (mode {mode:04o}); run "
                "chmod 600 on it",
                path=self._path,
                mode=stat.S_IMODE(mode),
            )

    def _judge(self, token: str, where: str) -> None:
        if len(token) < SHORT:
            self._log.warn(
                "{where}: the token is short enough to be guessed; make a longer one with openssl rand -hex 32",
                where=where,
            )

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._log.error(
                "--admin-token: {path} cannot be used: {problem}. No token is accepted until it can",
                path=self._path,
                problem=problem,
            )


class FailedTokens:
    """
    Counts the wrong tokens of each client, against guessing.

    :param clock: provides the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def wait(self, client: str) -> float:
        """Return seconds until this client may send a token; 0 if it may now."""
        until = self._until.get(client, 0.0)
        return max(0.0, until - self._clock.seconds() - (FAILURES - 1) * FORGIVEN_AFTER)

    def note(self, client: str) -> None:
        """Count a wrong token of this client."""
        now = self._clock.seconds()
        self._until[client] = max(now, self._until.pop(client, 0.0)) + FORGIVEN_AFTER
        if len(self._until) > CLIENTS:
            del self._until[next(iter(self._until))]


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
