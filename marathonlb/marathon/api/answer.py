"""
The answer to one request to a Marathon, and the meaning of a refusal.

Marathon's errors are JSON with a ``message`` and no code. `MarathonAnswer.refusal` is the one place that recognizes its
messages; everything else decides by that type or by the HTTP status.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import Struct
from twisted.web.http_headers import Headers

from marathonlb.errors import SourceError

QUOTED = 200
"""Maximum number of characters of Marathon's message that an error quotes."""


class MarathonRefusal(Enum):
    """The refusals that decide something; each has the statuses that it comes with and a part of its message."""

    UNKNOWN_APP = ((404,), "does not exist")
    """There is no such app or pod. A proxy's 404 has another message, or none."""

    UNKNOWN_PAGE = ((404, 500), "URI not found")
    """This Marathon has no such page: a 404 up to 1.5, a 500 later."""

    NO_CALLBACKS = ((400,), "not running")
    """Marathon (up to 1.4) runs without ``--event_subscriber http_callback``."""

    LOCKED = ((409,), "locked")
    """A deployment holds the app."""

    def __init__(self, statuses: tuple[int, ...], text: str) -> None:
        self.statuses = statuses
        self.text = text


class _ErrorMessage(msgspec.Struct):
    """The body of Marathon's errors."""

    message: str = ""


_decoder = msgspec.json.Decoder(_ErrorMessage)


class MarathonAnswer(Struct, frozen=True):
    """
    One complete answer.

    :param url: the URL that gave it after all redirects, without the query.
    :param trusted: True if that Marathon is listed, or a listed one names it as leader; then it got the credentials.
    """

    url: str
    status: int
    headers: Headers
    body: bytes | bytearray
    trusted: bool = True

    @property
    def message(self) -> str | None:
        """The message of an error of Marathon's; None if the body is something else, such as a proxy's page."""
        try:
            return _decoder.decode(self.body).message
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @property
    def refusal(self) -> MarathonRefusal | None:
        """The kind of an error of Marathon's; None if the answer is none of these."""
        if self.status < 400:
            return None
        message = self.message or ""
        kinds = (kind for kind in MarathonRefusal if self.status in kind.statuses and kind.text in message)
        return next(kinds, None)

    def error(self) -> SourceError:
        """Return the error that this status means, with the option or the remedy."""
        reason = _REASONS.get(self.status, "an answer that was not expected")
        if self.status == 401 and not self.trusted:
            reason = (
                "it got no credentials, since no listed Marathon names it as the leader; add it to --marathon"
            )
        message = self.message
        if message:
            quoted = "".join(letter if letter.isprintable() else " " for letter in message[:QUOTED])
            reason = f"{reason}; it says: {quoted}"
        return SourceError(url=self.url, reason=reason, status=self.status)

    def unusable(self, reason: str) -> SourceError:
        """Return the error of an answer that cannot be used, with its status unless that is 200."""
        status = None if self.status == 200 else self.status
        return SourceError(url=self.url, reason=reason, status=status)


def event_stream_refused(answer: MarathonAnswer) -> SourceError:
    """
    Return the error of a refused ``/v2/events``.

    Marathon has it since 0.9, for requests that accept only ``text/event-stream``; it refuses others with a 405.
    """
    if answer.refusal is MarathonRefusal.UNKNOWN_PAGE:
        return answer.unusable(
            "this Marathon has no event stream (0.8 and earlier have none); use --mode=event or --mode=poll"
        )
    if answer.status == 405:
        return answer.unusable(
            "a proxy changes the header Accept; give --marathon another address, or use --mode=poll"
        )
    return answer.error()


def subscriptions_refused(answer: MarathonAnswer) -> SourceError:
    """Return the error of a refused ``/v2/eventSubscriptions``, which Marathon has up to 1.4."""
    if answer.status == 404 or answer.refusal is MarathonRefusal.UNKNOWN_PAGE:
        return answer.unusable("this Marathon posts no events (1.5 and later cannot); use --mode=sse")
    if answer.refusal is MarathonRefusal.NO_CALLBACKS:
        return answer.unusable(
            "this Marathon runs without --event_subscriber http_callback; add it, or use --mode=sse"
        )
    if answer.status == 422:
        return answer.unusable("this Marathon refuses the callback's URL; check --callback-url")
    return answer.error()


_REASONS = {
    401: "it requires credentials; check --auth-credentials, --marathon-auth-credential-file or "
    "--dcos-auth-credentials",
    403: "it refuses these credentials; give them the right to view apps",
    404: "there is no such page; check that --marathon is Marathon's address, without a path",
    500: "it failed; see its log",
    502: "it cannot reach its leader",
    503: "it knows no leader, or is overloaded",
    504: "its leader does not answer",
}
