"""What goes wrong below HTTP, in words that say what an operator can do about it."""

from __future__ import annotations

import re

from attrs import frozen
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.error import SchemeNotSupported

from marathonlb.errors import SourceError
from marathonlb.marathon.api.unpack import UnpackError

_WRAPPERS = (ResponseFailed, ResponseNeverReceived, RequestTransmissionFailed)
FAILURES = (
    *_WRAPPERS,
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    SSL.Error,
    SchemeNotSupported,
    OSError,
    UnicodeError,
    UnpackError,
)


@frozen
class Whom:
    """
    Who was asked, as advice names it.

    :param option: where its address stands.
    :param believed: what to do where its certificate is not believed.
    :param shown: what to do where ours is not.
    """

    option: str
    name: str
    believed: str = (
        "--marathon-ca-cert says whom to believe; a certificate that has expired has to be renewed"
    )
    shown: str = "--marathon-client-cert shows who we are"


MARATHON = Whom("--marathon", "Marathon")

_ABOUT_US = re.compile(
    r"alert (bad |unknown |unsupported )?(certificate|ca\b|access denied)|alert handshake failure"
)


def failure(url: str, error: Exception, prefix: str = "", whom: Whom = MARATHON) -> SourceError:
    """
    What went wrong below HTTP, and what can be done.

    :param whom: who was asked.
    :raises CancelledError: it was our own doing.
    """
    while isinstance(error, _WRAPPERS) and error.reasons:
        error = error.reasons[0].value
    if isinstance(error, CancelledError | ConnectingCancelledError):
        raise CancelledError
    if isinstance(error, VerificationError):
        reason = f"its certificate is not for this name or address; give {whom.option} one that the certificate names"
    elif isinstance(error, SSL.Error):
        said = (
            "; ".join(str(part[-1]) for part in (error.args[0] if error.args else ()) if part) or "no words"
        )
        # An alert is what the other side says of us: after our certificate, that it does not like it.
        advice = whom.shown if _ABOUT_US.search(said) else whom.believed
        reason = f"TLS failed ({said}); {advice}"
    elif isinstance(error, DNSLookupError):
        reason = f"its name is not known; check {whom.option} and the name server"
    elif isinstance(error, TimeoutError):
        reason = "it does not answer"
    elif isinstance(error, ConnectionRefusedError):
        reason = f"the connection is refused; check {whom.option}, and that {whom.name} runs there"
    else:
        reason = str(error).rstrip(".") or type(error).__name__
    return SourceError(url=url, reason=prefix + reason)
