"""
The certificates on the disk: which of them can be served, what is wrong with the others, and whether they have changed.

What HAProxy would refuse is found here before it is asked, so a bad file costs itself and nothing else. A file that a
label names is read here alone: HAProxy is given a copy, and its owner is told that it cannot be used, not why; that is
for the log.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy as shallow

from attrs import evolve, fields, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from marathonlb.config.templates.variables import LIST_SUFFIX
from marathonlb.files import replace
from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import PATIENCE, CertificateFiles, Trial
from marathonlb.haproxy.certificates.survey import COMPANIONS, Entry, Key, cannot
from marathonlb.haproxy.certificates.verdicts import Judge, Verdict
from marathonlb.haproxy.files.label_files import MAX_ARGUMENTS, SYSTEM, Named, files_of, given
from marathonlb.haproxy.files.reader import Reads
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import SENTENCES
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

Asked = tuple[str, str, str | None, bool]
"""A kind, a path, the app in whose lines HAProxy has refused something, and whether a label names it."""


@frozen
class Shared:
    """The certificates of the shared https frontend: what stands after ``crt``, and what is wrong with the others."""

    paths: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


class Certificates:
    """
    Knows what the settings and the services name, as of the last look.

    :param clock: its seconds are those since 1970.
    :param lists: makes the directory of certificate lists and returns it.
    :param reads: runs what reads files.
    :param copies: of what was read, and of what HAProxy has; None keeps none: files are named as they are, and what
        turns bad is left out.
    :param trial: asks HAProxy about the files beside a certificate.
    :param policy: says which files an app's labels may name.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        clock: IReactorTime,
        lists: Callable[[], str],
        reads: Reads,
        copies: CertificateCopies | None = None,
        trial: Trial | None = None,
        policy: Policy = OPEN,
    ) -> None:
        self.generation = 0
        self.copies = copies
        self._settings = settings
        self._lists = lists
        self._policy = policy
        self._files = CertificateFiles(clock, reads, copies, trial)
        self._judge = Judge(self._files, copies, clock.seconds)
        self._verdicts: dict[Asked, Verdict] = {}
        self._asked: set[Asked] = set()
        self._files_of: dict[str | None, dict[str, str]] = {}
        self._shared: dict[str, str] = {}
        self._used: dict[str, str] = {}
        self._sources: dict[str, Key] = {}
        self._told: frozenset[tuple[str, ...]] = frozenset()

    @property
    def used(self) -> Mapping[str, str]:
        """The digests of the files that the configuration names, as of the last look."""
        return self._used

    @property
    def sources(self) -> Mapping[str, Key]:
        """The kinds and paths of the files that the configuration names, or names copies of."""
        return self._sources

    def copy(self) -> Certificates:
        """One that has seen the same, for a configuration that is only supposed."""
        other = shallow(self)
        other._verdicts = dict(self._verdicts)
        return other

    # looking

    async def prepare(self, services: Iterable[Service]) -> None:
        """Have those files read that nobody has asked for yet; what does not come in time is left out."""
        shared = () if self._settings.dont_bind_http_https else self._settings.ssl_certs
        await self._first_look({("crt", path) for path in shared}, None)
        system = self._settings.system_ca
        named = {self._key(each) for service in services for each in files_of(service, system) if each.path}
        named |= {("ca", system)} if system.startswith("/") else set()
        await self._first_look(named, PATIENCE)

    async def _first_look(self, keys: set[Key], patience: float | None) -> None:
        new = {key for key in keys if self._files.seen(*key) is None and not self._files.is_late(*key)}
        if new:
            await self._files.refresh(new, patience)
            self._judge_again()

    async def look(self) -> bool:
        """Look at everything again; whether another configuration or another problem may follow."""
        keys = {(kind, path) for kind, path, _, _ in self._verdicts}
        self._files.forget(keys)
        await self._files.refresh(keys)
        return self._judge_again()

    def _judge_again(self) -> bool:
        before, self._verdicts = self._verdicts, {key: self._judged(key) for key in self._verdicts}
        for verdict in self._verdicts.values():
            if not verdict.reason:
                self._used |= {path: digest for path, digest in verdict.digests.items() if path in self._used}
        found = any(verdict.matters(before[key]) for key, verdict in self._verdicts.items())
        self.generation += found
        return found

    async def look_at(self, words: Iterable[str]) -> None:
        """Look again at those certificates that are named in what HAProxy says: they may have changed since."""
        said = " ".join(words)
        ours = {
            ("crt", path)
            for files in self._files_of.values()
            for served, path in files.items()
            if served in said
        }
        if ours:
            await self._files.refresh(ours, PATIENCE)

    def source(self, name: str) -> str:
        """The file that holds what the configuration names: a copy of ours, where there is one."""
        return self.copies.source(name) if self.copies is not None else name

    async def digests(self, names: Mapping[str, Key]) -> Mapping[str, str]:
        """The digests of what these hold now, by the name that HAProxy knows them by."""
        await self._files.refresh(names.values(), PATIENCE)
        seen = {name: self._files.seen(*key) for name, key in names.items()}
        return {name: each.digest for name, each in seen.items() if isinstance(each, Entry)}

    # admitting

    def shared(self) -> Shared:
        """What can be served of ``--ssl-certs``; begins a new configuration, whose services `admit` adds."""
        self._shared, self._files_of, self._asked, self._sources = {}, {}, set(), {}
        settings = self._settings
        if settings.dont_bind_http_https:
            return Shared(())
        paths: list[str] = []
        problems: list[Problem] = []
        default = settings.ssl_certs == fields(Settings).ssl_certs.default
        for path in settings.ssl_certs:
            verdict = self._ask("crt", path, None, labelled=False)
            wrong = [(path, verdict.reason)] if verdict.reason else list(verdict.bad)
            problems += [_of_all(name, f"{why}; it is left out", fatal=not default) for name, why in wrong]
            problems += [_of_all(each.path, each.words) for each in verdict.warnings]
            if not verdict.reason:
                paths += verdict.named or [path]
                self._shared |= verdict.digests
                self._note(None, "crt", verdict)
        if settings.ssl_certs and not paths:
            reason = f"no certificate can be served, so nothing ends TLS on {settings.bind_https}"
            problems.append(_of_all(",".join(settings.ssl_certs), reason))
        names = self._in_few_words(tuple(dict.fromkeys(paths)), problems)
        return Shared(names, tuple(problems))

    def admit(self, services: Iterable[Service]) -> tuple[list[Service], list[Problem]]:
        """Those services whose files can be served, each with what HAProxy is given, and the problems of the others."""
        self._used = dict(self._shared)
        kept: list[Service] = []
        problems: list[Problem] = []
        told: set[tuple[str, ...]] = set()
        for service in services:
            admitted, found = self._admitted(service, told)
            problems += found
            if admitted is not None:
                kept.append(admitted)
        self._tell(told)
        self._verdicts = {key: verdict for key, verdict in self._verdicts.items() if key in self._asked}
        return kept, problems

    def _admitted(self, service: Service, told: set[tuple[str, ...]]) -> tuple[Service | None, list[Problem]]:
        """One service as it may be served, and what its owner is told; to `told` comes what is for the log."""
        named = files_of(service, self._settings.system_ca)
        if not named and service.backend_ssl != self._settings.system_ca:
            return service, []
        problems: list[Problem] = []
        instead: dict[tuple[str, str], tuple[str, ...]] = {}
        used: dict[str, str] = {}
        for each in named:
            wrong = each.wrong or self._forbidden(service, each)
            if wrong or not each.path:
                problems += [each.problem(service, wrong)] if wrong else []
                continue
            verdict = self._ask(each.kind, each.path, service.app_id, labelled=True)
            self._note(service.app_id, each.kind, verdict)
            problems += _problems(service, each, verdict, reason := self._reason(service, each, verdict))
            told |= {(service.app_id, each.label, *words) for words in _details(each, verdict)}
            if not reason:
                used |= verdict.digests
                if each.label != "SERVER_EXTRA":
                    instead[each.kind, each.path] = verdict.named or (each.path,)
        instead |= self._system(service, used)
        if any(problem.fatal for problem in problems):
            return None, problems
        self._used |= used
        files = given(service, instead, self._list)
        return (evolve(service, copied_files=files) if files != service.files else service), problems

    def _forbidden(self, service: Service, named: Named) -> str:
        """Why an app may not name what is written there; empty where it may."""
        if named.written == SYSTEM:
            return ""
        return self._policy.file_violation(service.app_id, named.path or named.written)

    def _reason(self, service: Service, named: Named, verdict: Verdict) -> str:
        """Why a file cannot be served, as its owner is told; empty where it can."""
        elsewhere = any(self._policy.file_violation(service.app_id, real) for real in verdict.reals)
        if verdict.reason.startswith(_REFUSED):
            return verdict.reason
        return SENTENCES[named.kind] if verdict.reason or elsewhere else ""

    def _system(self, service: Service, used: dict[str, str]) -> dict[tuple[str, str], tuple[str, ...]]:
        """What stands in for the system's authorities, where these have turned bad."""
        path = self._settings.system_ca
        if service.backend_ssl != path or not path.startswith("/"):
            return {}
        verdict = self._ask("ca", path, None, labelled=False)
        self._note(None, "ca", verdict)
        if not verdict.reason:
            used |= verdict.digests
        return {("ca", path): verdict.named} if verdict.named else {}

    def _tell(self, told: set[tuple[str, ...]]) -> None:
        for app_id, label, path, why in sorted(told - self._told):
            self._log.info(
                "{label} of {app}: {path} {reason}",
                label=label,
                app=app_id,
                path=ascii(path),
                reason=why,
            )
        self._told = frozenset(told)

    # refusals

    def refuse(self, words: str, who: str | None = None) -> bool:
        """
        Take note that HAProxy refuses a certificate, or a companion of one, until its file has changed.

        Whoever writes a line can have HAProxy name any file, so what it says of an app's lines holds for that app.

        :param words: HAProxy's complaint; one that names no certificate of ours changes nothing.
        :param who: the app whose line it is about; None for one that belongs to none.
        :return: whether it names one that was thought to be good.
        """
        ours = self._files_of.get(who, {})
        found = False
        for name in sorted({name.rstrip(".:,;'") for name in re.findall(r"/[^\s'\"]+", words)}):
            served, end = _parted(name)
            if name in ours:
                served, end = name, ""
            path = ours.get(served)
            if path is None:
                continue
            if end and end != ".key" and self._files.leave_out(path, end):
                found = True
            elif self.copies is not None and served == self.copies.of("crt", path):
                found |= self._files.refuse_copy(served, who)
            elif not end or end == ".key":
                found |= self._files.refuse(path, f"{_REFUSED}: {self._told_of(words, ours)}", who)
        if found:
            self._judge_again()
        return found

    @staticmethod
    def _told_of(words: str, ours: Mapping[str, str]) -> str:
        """HAProxy's words with the files that were named in place of our copies."""
        for served in sorted(ours, key=len, reverse=True):
            if served in words:
                words = words.replace(served, ours[served])
        return words

    # inside

    def _key(self, named: Named) -> Key:
        return named.kind, named.path

    def _note(self, who: str | None, kind: str, verdict: Verdict) -> None:
        ours = self._files_of.setdefault(who, {})
        ours |= {name: verdict.sources.get(name, name) for name in verdict.files}
        self._sources |= {name: (kind, verdict.sources.get(name, name)) for name in verdict.digests}

    def _ask(self, kind: str, path: str, who: str | None, *, labelled: bool) -> Verdict:
        """The verdict on a path; on what is refused in an app's lines there is one of its own."""
        key = (kind, path, who if who in self._files.complainants else None, labelled)
        self._asked.add(key)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judged(key)
        return verdict

    def _judged(self, key: Asked) -> Verdict:
        kind, path, who, labelled = key
        return self._judge.verdict(kind, path, who, labelled=labelled)

    def _in_few_words(self, paths: tuple[str, ...], problems: list[Problem]) -> tuple[str, ...]:
        """The same certificates: HAProxy cuts a line of many words off."""
        if len(paths) <= MAX_ARGUMENTS:
            return paths
        files = dict.fromkeys(
            file for path in paths for file in self._ask("crt", path, None, labelled=False).files or (path,)
        )
        try:
            return (self._list(tuple(files)),)
        except OSError as error:
            reason = f"{cannot(error)}: no list of {len(paths)} certificates; {MAX_ARGUMENTS} are served"
            problems.append(_of_all(error.filename or "the state directory", reason, fatal=True))
            return paths[:MAX_ARGUMENTS]

    def _list(self, files: tuple[str, ...]) -> str:
        return _write_list(self._lists(), "".join(f"{file}\n" for file in files))


_REFUSED = "is refused by HAProxy"


def _parted(name: str) -> tuple[str, str]:
    """The certificate that a companion lies beside, and the end of its name, which HAProxy may append twice."""
    end = next((each for each in COMPANIONS if name.endswith(each)), "")
    while end and name.endswith(end):
        name = name.removesuffix(end)
    return name, end


def _problems(service: Service, named: Named, verdict: Verdict, reason: str) -> list[Problem]:
    """What an owner is told of a file: in one sentence that it cannot be used, or what is wrong with what is served."""
    if reason:
        return [named.problem(service, reason)]
    words = [each.told if each.path.startswith(named.path) else "" for each in verdict.warnings]
    if verdict.bad:
        words.append(
            f"has {len(verdict.bad)} files that cannot be used; they are left out, the others are served"
        )
    return [named.problem(service, each, fatal=False) for each in dict.fromkeys(filter(None, words))]


def _details(named: Named, verdict: Verdict) -> Iterable[tuple[str, str]]:
    """What the log alone says: the files and the reasons."""
    wrong = [(named.path, verdict.reason)] if verdict.reason else []
    return [*wrong, *verdict.bad, *((each.path, each.words) for each in verdict.warnings)]


def _write_list(directory: str, text: str) -> str:
    """Write a list under a name that follows from its text, so that what is written is never changed."""
    path = os.path.join(directory, hashlib.sha256(text.encode()).hexdigest()[:16] + LIST_SUFFIX)
    if not os.path.exists(path):
        replace(path, text, durable=True, mode=0o644)
    return path


def _of_all(path: str, reason: str, *, fatal: bool = False) -> Problem:
    return Problem("", None, "--ssl-certs", path, reason, fatal=fatal)
