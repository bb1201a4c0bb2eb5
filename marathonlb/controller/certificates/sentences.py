"""The sentences about certificates: the log names the files and the reasons, an app's owner sees neither."""

from __future__ import annotations

from datetime import UTC, datetime

from marathonlb.haproxy.certificates.verdicts import NO_ANSWER, CertificateFault, CertificateWarning
from marathonlb.routing.services.files import SENTENCES

_REPLACED = "a copy of its last good content is served instead: fix or remove it"
_WITHOUT = "its certificate is served without it; replace or remove it"


def for_operator(warning: CertificateWarning) -> str:
    """Return the fault with its reason, as a phrase after the path."""
    match warning.fault:
        case CertificateFault.REPLACED:
            return f"{warning.reason}; {_REPLACED}"
        case CertificateFault.COMPANION:
            return f"{warning.reason}: {_WITHOUT}"
        case _:
            return _for_everybody(warning)


def for_owner(warning: CertificateWarning, kind: str) -> str:
    """
    Return the reason for an app's owner, as a phrase after the label's value; it reveals nothing about the file system.

    :param kind: the kind of file that the label names.
    """
    match warning.fault:
        case CertificateFault.REPLACED:
            return f"{SENTENCES[kind]}; {_REPLACED}"
        case CertificateFault.COMPANION:
            return f"has a file beside it ({warning.end}) that cannot be used: {_WITHOUT}"
        case _:
            return _for_everybody(warning)


def _for_everybody(warning: CertificateWarning) -> str:
    match warning.fault:
        case CertificateFault.NO_ANSWER:
            return f"cannot be read now: {NO_ANSWER}; the content that was read before is served"
        case CertificateFault.EXPIRED:
            return f"has expired at {_date(warning.time)}: clients refuse it, although it is served"
        case CertificateFault.EXPIRES:
            return f"expires at {_date(warning.time)}; renew it"
        case _:
            return f"is not valid before {_date(warning.time)}: clients refuse it, although it is served"


def _date(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a date far away"
