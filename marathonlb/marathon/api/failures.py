"""Failures below HTTP (name resolution, connection, TLS) as errors that name the remedy."""

from __future__ import annotations

import re

from msgspec import Struct
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


class AskedServer(Struct, frozen=True):
    """
    The server that was asked, as the advice in errors names it.

    :param option: the option that holds its address.
    :param untrusted: the advice if its certificate is refused here.
    :param unknown_client: the advice if it refuses the client certificate.
    """

    option: str
    name: str
    untrusted: str = "--marathon-ca-cert names the trusted authorities; renew a certificate that has expired"
    unknown_client: str = "--marathon-client-cert names the client certificate"


MARATHON = AskedServer("--marathon", "Marathon")

_ALERT_ABOUT_CLIENT = re.compile(
    r"alert (bad |unknown |unsupported )?(certificate|ca\b|access denied)|alert handshake failure"
)


def failure(url: str, error: Exception, prefix: str = "", server: AskedServer = MARATHON) -> SourceError:
    """
    Return the error of a failure below HTTP, with the remedy.

    :param server: the server that was asked.
    :raises CancelledError: the request was cancelled here.
    """
    while isinstance(error, _WRAPPERS) and error.reasons:
        error = error.reasons[0].value
    if isinstance(error, CancelledError | ConnectingCancelledError):
        raise CancelledError
    if isinstance(error, VerificationError):
        reason = f"its certificate is not for this name or address; give {server.option} one that the certificate names"
    elif isinstance(error, SSL.Error):
        reason = _tls_reason(error, server)
    elif isinstance(error, DNSLookupError):
        reason = f"its name is not known; check {server.option} and the name server"
    elif isinstance(error, TimeoutError):
        reason = "it does not answer"
    elif isinstance(error, ConnectionRefusedError):
        reason = f"the connection is refused; check {server.option}, and that {server.name} runs there"
    else:
        reason = str(error).rstrip(".") or type(error).__name__
    return SourceError(url=url, reason=prefix + reason)


def _tls_reason(error: SSL.Error, server: AskedServer) -> str:
    """Return OpenSSL's messages, which have no codes in Python, with the advice for them."""
    parts = error.args[0] if error.args else ()
    messages = "; ".join(str(part[-1]) for part in parts if part)
    # An alert comes from the other side: after the client certificate was sent, it refuses that.
    refused = _ALERT_ABOUT_CLIENT.search(messages) is not None
    advice = server.unknown_client if refused else server.untrusted
    return f"TLS failed ({messages or 'without a message'}); {advice}"
