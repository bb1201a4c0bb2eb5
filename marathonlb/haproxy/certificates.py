"""
The certificates on the disk: which of them can be served, what is wrong with the others, and whether they have changed.

What HAProxy would refuse is found here before it is asked, so a bad file costs itself and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain, pairwise

from attrs import Factory, evolve, fields, frozen

from marathonlb.config.variables import LIST_SUFFIX
from marathonlb.haproxy.certificatecopies import CertificateCopies
from marathonlb.haproxy.certificatefiles import (
    COMPANIONS,
    CertificateFile,
    CertificateFiles,
    cannot,
    digest_of,
)
from marathonlb.routing.problems import Problem
from marathonlb.routing.services import Service
from marathonlb.settings import Settings

SOON = 14 * 86400.0
"""Seconds before the end of a certificate in which somebody should be told."""

MAX_ARGUMENTS = 20
"""So many certificates go onto a ``bind`` line, which HAProxy cuts off after 64 words; more go into a list."""

BUNDLE = (".rsa", ".ecdsa", ".dsa")
"""The ends of the files that ``crt FILE`` means where FILE itself is not there."""


@frozen
class Verdict:
    """
    What is known of a path that an option or a label names.

    :param files: the certificates that HAProxy can serve there: the file itself, a directory's, or a bundle's.
    :param digests: of everything that HAProxy reads by that name, by path.
    :param reason: why it cannot be served, in words that follow its name; empty where it can.
    :param bad: the files of a directory that cannot be served, each with the reason.
    :param warnings: what is wrong with what is served.
    :param named: what the configuration names in place of the path, where that itself will not do.
    """

    files: tuple[str, ...] = ()
    digests: Mapping[str, str] = Factory(dict)
    reason: str = ""
    bad: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    named: tuple[str, ...] = ()

    def matters(self, before: Verdict) -> bool:
        """Whether something else follows from this than from what was known before."""
        return evolve(self, digests={}) != evolve(before, digests={})


@frozen
class Shared:
    """The certificates of the shared https frontend: what stands after ``crt``, and what is wrong with the others."""

    paths: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


class Certificates:
    """
    Looks at what the settings and the services name, and remembers what it saw until the next look.

    :param now: seconds since 1970.
    :param lists: makes the directory of certificate lists and returns it.
    :param copies: of what HAProxy has; None keeps none, and what turns bad is left out.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float],
        lists: Callable[[], str],
        copies: CertificateCopies | None = None,
    ) -> None:
        self.generation = 0
        self._settings = settings
        self._now = now
        self._lists = lists
        self._files = CertificateFiles(now)
        self.copies = copies
        self._verdicts: dict[tuple[str, str, str | None], Verdict] = {}
        self._files_of: dict[str | None, frozenset[str]] = {}
        self._shared: dict[str, str] = {}
        self._used: dict[str, str] = {}

    @property
    def used(self) -> Mapping[str, str]:
        """The digests of the files that the configuration names, as of the last look."""
        return self._used

    def copy(self) -> Certificates:
        """One that has seen the same, for a configuration that is only supposed."""
        other = Certificates(self._settings, self._now, self._lists, self.copies)
        other.generation, other._files, other._verdicts = self.generation, self._files, dict(self._verdicts)
        return other

    def look(self) -> bool:
        """Look at everything again; whether another configuration or another problem may follow."""
        before, self._verdicts = self._verdicts, {key: self._judge(*key) for key in self._verdicts}
        for verdict in self._verdicts.values():
            if not verdict.reason:
                self._used |= {path: digest for path, digest in verdict.digests.items() if path in self._used}
        found = any(verdict.matters(before[key]) for key, verdict in self._verdicts.items())
        self.generation += found
        return found

    def digest(self, path: str) -> str:
        """The digest of what HAProxy reads by this name, as of the last look; empty where it cannot be served."""
        return self._ask("crt", path).digests.get(path, "")

    def shared(self) -> Shared:
        """What can be served of ``--ssl-certs``; begins a new configuration, whose services `admit` adds."""
        self._shared, self._files_of = {}, {}
        settings = self._settings
        if settings.dont_bind_http_https:
            return Shared(())
        paths: list[str] = []
        problems: list[Problem] = []
        default = settings.ssl_certs == fields(Settings).ssl_certs.default
        for path in settings.ssl_certs:
            verdict = self._ask("crt", path)
            wrong = [(path, verdict.reason)] if verdict.reason else list(verdict.bad)
            problems += [_of_all(name, f"{why}; it is left out", fatal=not default) for name, why in wrong]
            problems += [_of_all(name, why) for name, why in verdict.warnings]
            if not verdict.reason:
                paths += verdict.named or [path]
                self._shared |= verdict.digests
                self._note(None, verdict)
        if settings.ssl_certs and not paths:
            reason = f"no certificate can be served, so nothing ends TLS on {settings.bind_https}"
            problems.append(_of_all(",".join(settings.ssl_certs), reason))
        names = self._in_few_words(tuple(dict.fromkeys(paths)), problems)
        return Shared(names, tuple(problems))

    def admit(self, services: Iterable[Service]) -> tuple[list[Service], list[Problem]]:
        """Those services whose files can be served, and the problems of the others."""
        used = dict(self._shared)
        kept: list[Service] = []
        problems: list[Problem] = []
        for service in services:
            bad = False
            others: dict[str, tuple[str, ...]] = {}
            for label, kind, path in files_of(service):
                verdict = self._ask(kind, path, service.app_id)
                self._note(service.app_id, verdict)
                wrong = [(path, verdict.reason)] if verdict.reason else verdict.bad
                problems += [_of_one(service, label, name, why) for name, why in wrong]
                problems += [
                    _of_one(service, label, name, why, fatal=False) for name, why in verdict.warnings
                ]
                bad = bad or bool(wrong)
                used |= {} if wrong else verdict.digests
                others |= {path: verdict.named} if verdict.named else {}
            if not bad:
                kept.append(_with_others(service, others) if others else service)
        self._used = used
        return kept, problems

    def refuse(self, words: str, who: str | None = None) -> bool:
        """
        Take note that HAProxy refuses a certificate, until its file has changed.

        Whoever writes a line can have HAProxy name any file, so what it says of an app's lines holds for that app.

        :param words: HAProxy's complaint; one that names no certificate of ours changes nothing.
        :param who: the app whose line it is about; None for one that belongs to none.
        :return: whether it names one that was thought to be good.
        """
        named = {name.rstrip(".:,;").removesuffix(".key") for name in re.findall(r"/[^\s'\"]+", words)}
        reason = f"is refused by HAProxy: {words}"
        files = sorted(self._files_of.get(who, frozenset()) & named)
        found = [path for path in files if self._files.refuse(path, reason, who)]
        if found:
            self._verdicts = {key: self._judge(*key) for key in self._verdicts}
            self.generation += 1
        return bool(found)

    def _note(self, who: str | None, verdict: Verdict) -> None:
        self._files_of[who] = self._files_of.get(who, frozenset()) | frozenset(verdict.files)

    def _ask(self, kind: str, path: str, who: str | None = None) -> Verdict:
        """The verdict on a path; on what is refused in an app's lines there is one of its own."""
        key = (kind, path, who if who in self._files.complainants else None)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judge(*key)
        return verdict

    def _judge(self, kind: str, path: str, who: str | None) -> Verdict:
        if os.path.isdir(path):
            return self._directory(kind, path, who)
        parts = [path + end for end in BUNDLE if os.path.exists(path + end)]
        if kind == "crt" and parts and not os.path.exists(path):
            return self._several(parts, who)
        file = self._files.read(kind, path, who)
        served, warnings = path, list[tuple[str, str]]()
        if file.reason and (copy := self._copy(kind, path, who)) is not None:
            warnings.append(_stands_in(path, file))
            served, file = copy
        warnings += ((path, words) for words in self._dates(file))
        return Verdict(
            files=(served,) if kind == "crt" and not file.reason else (),
            digests={served: file.digest},
            reason=file.reason,
            warnings=tuple(warnings),
            named=() if served == path else (served,),
        )

    def _copy(self, kind: str, path: str, who: str | None) -> tuple[str, CertificateFile] | None:
        """The copy of what a file held when it was served last, which is good; None where there is none."""
        copy = self.copies.of(path) if self.copies is not None else None
        file = self._files.read(kind, copy, who) if copy is not None else None
        return (copy, file) if copy is not None and file is not None and not file.reason else None

    def _directory(self, kind: str, path: str, who: str | None) -> Verdict:
        try:
            names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        except OSError as error:
            return Verdict(reason=cannot(error))
        found = [os.path.join(path, name) for name in names]
        if kind == "ca":
            return Verdict(digests={path: digest_of(found)})
        certificates = [each for each in found if not each.endswith(COMPANIONS) and os.path.isfile(each)]
        if not certificates:
            return Verdict(reason="is a directory without a certificate")
        verdict = self._several(certificates, who)
        return evolve(verdict, digests={path: digest_of(certificates), **verdict.digests})

    def _several(self, paths: list[str], who: str | None) -> Verdict:
        """The verdict on the files of a directory or a bundle."""
        each = [self._judge("crt", path, who) for path in paths]
        good = [verdict for verdict in each if not verdict.reason]
        bad = tuple(
            (path, verdict.reason) for path, verdict in zip(paths, each, strict=True) if verdict.reason
        )
        reason = ""
        if not good:
            named = "; ".join(f"{os.path.basename(path)} {why}" for path, why in bad[:3])
            reason = f"holds no certificate that can be served: {named}"
        files = tuple(chain.from_iterable(verdict.files for verdict in good))
        return Verdict(
            files=files,
            digests={path: digest for verdict in good for path, digest in verdict.digests.items()},
            reason=reason,
            bad=() if reason else bad,
            warnings=tuple(chain.from_iterable(verdict.warnings for verdict in good)),
            named=files if bad or any(verdict.named for verdict in good) else (),
        )

    def _dates(self, file: CertificateFile) -> Iterable[str]:
        now = self._now()
        if file.reason:
            return
        if file.ends <= now:
            yield f"has expired at {_said(file.ends)}: clients refuse it; it is served all the same"
        elif file.ends - now < SOON:
            yield f"expires at {_said(file.ends)}; renew it"
        if file.begins > now:
            yield f"is not valid before {_said(file.begins)}: clients refuse it; it is served all the same"

    def _in_few_words(self, paths: tuple[str, ...], problems: list[Problem]) -> tuple[str, ...]:
        """The same certificates: HAProxy cuts a line of many words off."""
        if len(paths) <= MAX_ARGUMENTS:
            return paths
        files = dict.fromkeys(file for path in paths for file in self._ask("crt", path).files)
        try:
            return (_write_list(self._lists(), "".join(f"{file}\n" for file in files)),)
        except OSError as error:
            reason = f"{cannot(error)}: no list of {len(paths)} certificates; {MAX_ARGUMENTS} are served"
            problems.append(_of_all(error.filename or "the state directory", reason, fatal=True))
            return paths[:MAX_ARGUMENTS]


def files_of(service: Service) -> list[tuple[str, str, str]]:
    """The files that a service's labels name: the label without its index, the kind, the path."""
    found = [("SSL_CERT", "crt", path) for path in service.ssl_certs]
    if service.backend_ssl.startswith("/"):
        found.append(("BACKEND_SSL", "ca", service.backend_ssl))
    for word, value in pairwise(service.bind_options.split()) if service.bind_options else ():
        if value.startswith("/") and word in _FILE_WORDS:
            found.append(("BIND_OPTIONS", _FILE_WORDS[word], value))
    return found


def _with_others(service: Service, others: Mapping[str, tuple[str, ...]]) -> Service:
    """The service with other files in place of some that its labels name."""
    words = service.bind_options.split()
    for place, (word, value) in enumerate(pairwise(words), 1):
        if word in _FILE_WORDS and value in others:
            words[place] = f" {word} ".join(others[value])
    return evolve(
        service,
        ssl_certs=tuple(chain.from_iterable(others.get(path, (path,)) for path in service.ssl_certs)),
        bind_options=" ".join(words),
        backend_ssl=others.get(service.backend_ssl, (service.backend_ssl,))[0],
    )


def _stands_in(path: str, file: CertificateFile) -> tuple[str, str]:
    return path, f"{file.reason}; what it held before is served in its place, by a copy: mend or remove it"


_FILE_WORDS = {"crt": "crt", "ca-file": "ca", "ca-verify-file": "ca", "crl-file": "ca"}


def _write_list(directory: str, text: str) -> str:
    """Write a list under a name that follows from its text, so that what is written is never changed."""
    path = os.path.join(directory, hashlib.sha256(text.encode()).hexdigest()[:16] + LIST_SUFFIX)
    if not os.path.exists(path):
        with open(path + ".writing", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".writing", path)
    return path


def _of_all(path: str, reason: str, *, fatal: bool = False) -> Problem:
    return Problem("", None, "--ssl-certs", path, reason, fatal=fatal)


def _of_one(service: Service, label: str, path: str, reason: str, *, fatal: bool = True) -> Problem:
    index = service.port_index
    return Problem(service.app_id, index, f"HAPROXY_{index}_{label}", path, reason, fatal=fatal)


def _said(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a date far away"
