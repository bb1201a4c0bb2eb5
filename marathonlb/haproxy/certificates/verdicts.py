"""What is known of a path that an option or a label names, and what HAProxy is given in its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain

from attrs import Factory, evolve, frozen

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import CertificateFiles
from marathonlb.haproxy.certificates.survey import Entry, Listing, digest_of
from marathonlb.routing.services.files import SENTENCES

SOON = 14 * 86400.0
"""Seconds before the end of a certificate in which somebody should be told."""

HUNG = "its file system does not answer"

_PLAIN = re.compile(r"/[A-Za-z0-9@%^_+=:,./~-]*", re.ASCII)
"""A path that HAProxy reads as one word, and as it is."""


@frozen
class Remark:
    """
    Something wrong with what is served.

    :param path: the file.
    :param words: that follow its name.
    :param told: the words that follow what a label holds, for its owner: they name no file, and tell nothing of the
        file system.
    """

    path: str
    words: str
    told: str


@frozen
class Verdict:
    """
    What follows from what is there.

    :param files: the certificates that HAProxy can serve, as the configuration names them: the file itself, a
        directory's, or a bundle's.
    :param digests: of everything that HAProxy reads by that name, by path.
    :param reason: why it cannot be served, in words that follow its name; empty where it can.
    :param bad: the files of a directory that cannot be served, each with the reason.
    :param warnings: what is wrong with what is served.
    :param named: what the configuration names in place of the path, where that itself will not do.
    :param sources: the path of what the configuration names, where that is a copy.
    :param reals: the paths that the files really have.
    """

    files: tuple[str, ...] = ()
    digests: Mapping[str, str] = Factory(dict)
    reason: str = ""
    bad: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Remark, ...] = ()
    named: tuple[str, ...] = ()
    sources: Mapping[str, str] = Factory(dict)
    reals: tuple[str, ...] = ()

    def matters(self, before: Verdict) -> bool:
        """Whether something else follows from this than from what was known before."""
        return evolve(self, digests={}) != evolve(before, digests={})


class Judge:
    """
    Makes verdicts of what was seen.

    :param now: seconds since 1970.
    :param copies: None where nothing is kept, and everything is named as it is.
    """

    def __init__(
        self, files: CertificateFiles, copies: CertificateCopies | None, now: Callable[[], float]
    ) -> None:
        self._files = files
        self._copies = copies
        self._now = now

    def verdict(
        self, kind: str, path: str, who: str | None, *, labelled: bool, late: bool = False
    ) -> Verdict:
        """
        Judge a path.

        :param who: the app that it is for: what HAProxy refused in its lines counts, too.
        :param labelled: whether a label names it, so that HAProxy is given copies alone.
        :param late: whether the directory that it was found in does not answer.
        """
        seen = self._files.seen(kind, path, who)
        late = late or self._files.is_late(kind, path)
        if isinstance(seen, Listing):
            return self._several(path, seen, who, labelled=labelled, late=late)
        if seen is None or seen.reason:
            return self._without(kind, path, who, seen.reason if seen else f"cannot be read: {HUNG}")
        return self._good(kind, path, seen, labelled=labelled, late=late)

    def _without(self, kind: str, path: str, who: str | None, reason: str) -> Verdict:
        """The verdict on a file that cannot be served: the copy of what was served before stands in."""
        copy = self._copies.of(kind, path) if self._copies is not None else None
        if copy is None or self._files.is_refused(copy, who):
            return Verdict(reason=reason)
        fate = "what it held before is served in its place, by a copy: mend or remove it"
        remark = Remark(path, f"{reason}; {fate}", f"{SENTENCES[kind]}; {fate}")
        return self._named(kind, path, copy, "kept", (remark,))

    def _good(self, kind: str, path: str, seen: Entry, *, labelled: bool, late: bool) -> Verdict:
        wrong = {**seen.wrong, **dict.fromkeys(self._files.left_out(kind, path), "is refused by HAProxy")}
        fate = "its certificate is served without it; replace or remove it"
        remarks = [
            Remark(path + end, f"{why}: {fate}", f"has a file beside it ({end}) that cannot be used: {fate}")
            for end, why in sorted(wrong.items())
        ]
        words = [f"cannot be read now: {HUNG}; what it held before is served"] if late else []
        remarks += (Remark(path, each, each) for each in (*words, *self._dates(seen)))
        served = path
        if self._copies is not None and (labelled or wrong or late or not _PLAIN.fullmatch(path)):
            if not seen.copied:
                return Verdict(reason="cannot be copied to the state directory: is there space?")
            served = self._copies.as_read(kind, path)
        return evolve(self._named(kind, path, served, seen.digest, tuple(remarks)), reals=(seen.real,))

    def _named(self, kind: str, path: str, served: str, digest: str, warnings: tuple[Remark, ...]) -> Verdict:
        return Verdict(
            files=(served,) if kind == "crt" else (),
            digests={served: digest},
            warnings=warnings,
            named=() if served == path else (served,),
            sources={} if served == path else {served: path},
        )

    def _several(
        self, path: str, listing: Listing, who: str | None, *, labelled: bool, late: bool
    ) -> Verdict:
        """The verdict on the files of a directory or a bundle."""
        if listing.reason:
            return Verdict(reason=listing.reason)
        each = [
            (file, self.verdict("crt", file, who, labelled=labelled, late=late)) for file in listing.files
        ]
        good = [verdict for _, verdict in each if not verdict.reason]
        bad = (*listing.bad, *((file, verdict.reason) for file, verdict in each if verdict.reason))
        if not good:
            named = "; ".join(f"{os.path.basename(file)} {why}" for file, why in bad[:3])
            return Verdict(reason=f"holds no certificate that can be served: {named}")
        files = tuple(chain.from_iterable(verdict.files for verdict in good))
        whole = {path: digest_of(listing.files)} if listing.real and not labelled else {}
        inside = (real for verdict in good for real in verdict.reals)
        return Verdict(
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

    def _dates(self, seen: Entry) -> Iterable[str]:
        now = self._now()
        if seen.ends <= now:
            yield f"has expired at {_said(seen.ends)}: clients refuse it; it is served all the same"
        elif seen.ends - now < SOON:
            yield f"expires at {_said(seen.ends)}; renew it"
        if seen.begins > now:
            yield f"is not valid before {_said(seen.begins)}: clients refuse it; it is served all the same"


def _joined(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for table in tables for key, value in table.items()}


def _said(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a date far away"
