"""Verdicts on the files that options and labels name: those that HAProxy can serve, and copies in place of bad ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from itertools import chain

from attrs import Factory, evolve, frozen
from msgspec import Struct

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import CertificateFiles
from marathonlb.haproxy.certificates.survey import CertificateFile, CertificateListing, digest_of

EXPIRES_SOON = 14 * 86400.0
"""Seconds before the end of a certificate from which a warning is given."""

NO_ANSWER = "its file system does not answer"

_PLAIN = re.compile(r"/[A-Za-z0-9@%^_+=:,./~-]*", re.ASCII)
"""A path that HAProxy reads as one word, unchanged."""


class CertificateFault(Enum):
    """A fault of a certificate that is still served."""

    REPLACED = "replaced"
    """The file cannot be served; the copy of the content that HAProxy accepted last replaces it. Detail: the reason."""

    COMPANION = "companion"
    """A file beside it cannot be used; the certificate is served without it. Detail: the reason."""

    NO_ANSWER = "no answer"
    """The file system does not answer; what was read before is served."""

    EXPIRED = "expired"
    EXPIRES = "expires"
    NOT_YET_VALID = "not yet valid"


class CertificateWarning(Struct, frozen=True):
    """
    A fault of something that is served.

    :param path: the file at fault.
    :param reason: why it cannot be used, in words that follow its name; empty if the fault says it all.
    :param end: what is appended to the certificate's name to name a companion.
    :param time: when the certificate ends or begins, in seconds since 1970.
    """

    path: str
    fault: CertificateFault
    reason: str = ""
    end: str = ""
    time: float = 0.0


@frozen
class CertificateVerdict:
    """
    The verdict on a path: what HAProxy can serve of it, and the faults.

    :param files: the certificates that HAProxy can serve, as the configuration names them: the file itself, those of a
        directory, or those of a bundle.
    :param digests: the digests of everything that HAProxy reads by that name, by path.
    :param reason: why the path cannot be served, in words that follow its name; empty if it can.
    :param haproxy: HAProxy's message if HAProxy itself has refused it, which `reason` quotes; else empty.
    :param bad: the files of a directory that cannot be served, each with the reason.
    :param warnings: the faults of what is served.
    :param named: the name that the configuration has in place of the path, if it cannot have the path itself.
    :param sources: the path of each copy that the configuration names.
    :param reals: the real paths of the files, symbolic links resolved.
    """

    files: tuple[str, ...] = ()
    digests: Mapping[str, str] = Factory(dict)
    reason: str = ""
    haproxy: str = ""
    bad: tuple[tuple[str, str], ...] = ()
    warnings: tuple[CertificateWarning, ...] = ()
    named: tuple[str, ...] = ()
    sources: Mapping[str, str] = Factory(dict)
    reals: tuple[str, ...] = ()

    def differs(self, before: CertificateVerdict) -> bool:
        """Return whether the configuration or a warning differs from that of the verdict before."""
        return evolve(self, digests={}) != evolve(before, digests={})


class CertificateJudge:
    """
    Makes verdicts of the files that were read.

    :param copies: where copies lie; None if none are kept, and each file is named as it is.
    :param now: seconds since 1970.
    """

    def __init__(
        self, files: CertificateFiles, copies: CertificateCopies | None, now: Callable[[], float]
    ) -> None:
        self._files = files
        self._copies = copies
        self._now = now

    def verdict(
        self, kind: str, path: str, app_id: str | None, *, labelled: bool, late: bool = False
    ) -> CertificateVerdict:
        """
        Judge a path.

        :param app_id: the app that the file is for: what HAProxy refused in that app's lines counts too.
        :param labelled: True if a label names it; HAProxy then gets only copies.
        :param late: True if the directory that holds it does not answer.
        """
        seen = self._files.seen(kind, path, app_id)
        late = late or self._files.is_late(kind, path)
        if isinstance(seen, CertificateListing):
            return self._of_several(path, seen, app_id, labelled=labelled, late=late)
        if seen is None:
            return self._of_bad(
                kind, path, app_id, CertificateFile(None, reason=f"cannot be read: {NO_ANSWER}")
            )
        if seen.reason:
            return self._of_bad(kind, path, app_id, seen)
        return self._of_good(kind, path, seen, labelled=labelled, late=late)

    def _of_bad(self, kind: str, path: str, app_id: str | None, seen: CertificateFile) -> CertificateVerdict:
        """Judge a file that cannot be served: the copy of the content that HAProxy accepted last replaces it."""
        copy = self._copies.of(kind, path) if self._copies is not None else None
        if copy is None or self._files.is_refused(copy, app_id):
            return CertificateVerdict(reason=seen.reason, haproxy=seen.haproxy)
        warning = CertificateWarning(path, CertificateFault.REPLACED, seen.reason)
        return self._named(kind, path, copy, "kept", (warning,))

    def _of_good(
        self, kind: str, path: str, seen: CertificateFile, *, labelled: bool, late: bool
    ) -> CertificateVerdict:
        wrong = {**seen.wrong, **dict.fromkeys(self._files.left_out(kind, path), "is refused by HAProxy")}
        warnings = [
            CertificateWarning(path + end, CertificateFault.COMPANION, reason, end)
            for end, reason in sorted(wrong.items())
        ]
        if late:
            warnings.append(CertificateWarning(path, CertificateFault.NO_ANSWER))
        warnings += self._dates(path, seen)
        served = path
        if self._copies is not None and (labelled or wrong or late or not _PLAIN.fullmatch(path)):
            if not seen.copied:
                return CertificateVerdict(reason="cannot be copied to the state directory: is there space?")
            served = self._copies.as_read(kind, path)
        return evolve(self._named(kind, path, served, seen.digest, tuple(warnings)), reals=(seen.real,))

    def _named(
        self, kind: str, path: str, served: str, digest: str, warnings: tuple[CertificateWarning, ...]
    ) -> CertificateVerdict:
        return CertificateVerdict(
            files=(served,) if kind == "crt" else (),
            digests={served: digest},
            warnings=warnings,
            named=() if served == path else (served,),
            sources={} if served == path else {served: path},
        )

    def _of_several(
        self, path: str, listing: CertificateListing, app_id: str | None, *, labelled: bool, late: bool
    ) -> CertificateVerdict:
        """Judge the files of a directory or a bundle."""
        if listing.reason:
            return CertificateVerdict(reason=listing.reason)
        verdicts = [
            (file, self.verdict("crt", file, app_id, labelled=labelled, late=late)) for file in listing.files
        ]
        good = [verdict for _, verdict in verdicts if not verdict.reason]
        bad = (*listing.bad, *((file, verdict.reason) for file, verdict in verdicts if verdict.reason))
        if not good:
            named = "; ".join(f"{os.path.basename(file)} {reason}" for file, reason in bad[:3])
            return CertificateVerdict(reason=f"holds no certificate that can be served: {named}")
        files = tuple(chain.from_iterable(verdict.files for verdict in good))
        whole = {path: digest_of(listing.files)} if listing.real and not labelled else {}
        inside = (real for verdict in good for real in verdict.reals)
        return CertificateVerdict(
            files=files,
            digests=whole | _joined(verdict.digests for verdict in good),
            bad=bad,
            warnings=tuple(chain.from_iterable(verdict.warnings for verdict in good)),
            named=files if bad or any(verdict.named for verdict in good) else (),
            sources=_joined(verdict.sources for verdict in good),
            reals=(
                *((listing.real,) if listing.real else ()),
                *(real for real in inside if not listing.real or os.path.dirname(real) != listing.real),
            ),
        )

    def _dates(self, path: str, seen: CertificateFile) -> Iterable[CertificateWarning]:
        now = self._now()
        if seen.ends <= now:
            yield CertificateWarning(path, CertificateFault.EXPIRED, time=seen.ends)
        elif seen.ends - now < EXPIRES_SOON:
            yield CertificateWarning(path, CertificateFault.EXPIRES, time=seen.ends)
        if seen.begins > now:
            yield CertificateWarning(path, CertificateFault.NOT_YET_VALID, time=seen.begins)


def _joined(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}
