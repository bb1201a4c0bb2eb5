"""
The certificates on the disk: which can be served, what is wrong with the others, and which have changed.

A file that HAProxy would refuse is found here before HAProxy is asked, so a bad file costs itself and nothing else. A
file that a label names is read only by the controller: HAProxy gets a copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy as shallow

from twisted.internet.interfaces import IReactorTime

from marathonlb.haproxy.certificates.backup import CertificateCopies
from marathonlb.haproxy.certificates.file_cache import PATIENCE, CertificateFiles, CompanionCheck
from marathonlb.haproxy.certificates.lists import MAX_ARGUMENTS, CertificateLists
from marathonlb.haproxy.certificates.survey import COMPANIONS, CertificateFile, FileKey
from marathonlb.haproxy.certificates.verdicts import CertificateJudge, CertificateVerdict
from marathonlb.haproxy.files.reader import Reads

VerdictKey = tuple[str, str, str | None, bool]
"""A kind, a path, the app in whose lines HAProxy has refused something, and True if a label names the path."""


class Certificates:
    """
    The verdicts on the files that the settings and the labels name, as of the last look.

    A configuration is made between `begin` and `finish`: `judge` is asked about each file that it may name.

    :param clock: its seconds are those since 1970.
    :param lists: makes the directory of certificate lists and returns its path.
    :param reads: runs what reads files.
    :param copies: of what was read, and of what HAProxy has accepted; None keeps none: files are named as they are, and
        one that becomes invalid is left out.
    :param trial: asks HAProxy about the files beside a certificate.
    :ivar generation: counts the looks after which another configuration or another problem may follow.
    """

    def __init__(
        self,
        clock: IReactorTime,
        lists: Callable[[], str],
        reads: Reads,
        copies: CertificateCopies | None = None,
        trial: CompanionCheck | None = None,
    ) -> None:
        self.generation = 0
        self.copies = copies
        self._lists = CertificateLists(lists)
        self._files = CertificateFiles(clock, reads, copies, trial)
        self._judge = CertificateJudge(self._files, copies, clock.seconds)
        self._verdicts: dict[VerdictKey, CertificateVerdict] = {}
        self._asked: set[VerdictKey] = set()
        self._files_of: dict[str | None, dict[str, str]] = {}
        self._used: dict[str, str] = {}
        self._sources: dict[str, FileKey] = {}

    @property
    def used(self) -> Mapping[str, str]:
        """The digests of the files that the configuration names, as of the last look."""
        return self._used

    @property
    def sources(self) -> Mapping[str, FileKey]:
        """The kinds and paths of the files that the configuration names, or names copies of."""
        return self._sources

    def copy(self) -> Certificates:
        """Return a copy with the same verdicts, for a hypothetical configuration."""
        other = shallow(self)
        other._verdicts, other._used = dict(self._verdicts), dict(self._used)
        return other

    # looking

    async def read(self, keys: Iterable[FileKey], patience: float | None) -> None:
        """
        Read those files that have not been asked for yet.

        :param patience: maximum number of seconds to wait; None waits as long as there is progress.
        """
        new = {key for key in keys if self._files.seen(*key) is None and not self._files.is_late(*key)}
        if new:
            await self._files.refresh(new, patience)
            self._judge_again()

    async def look(self) -> bool:
        """Look at every file again; return whether another configuration or another problem may follow."""
        keys = {(kind, path) for kind, path, _, _ in self._verdicts}
        self._files.keep_only(keys)
        await self._files.refresh(keys)
        return self._judge_again()

    def _judge_again(self) -> bool:
        before, self._verdicts = self._verdicts, {key: self._judged(key) for key in self._verdicts}
        for verdict in self._verdicts.values():
            if not verdict.reason:
                self._used |= {path: digest for path, digest in verdict.digests.items() if path in self._used}
        differs = any(verdict.differs(before[key]) for key, verdict in self._verdicts.items())
        self.generation += differs
        return differs

    async def look_at(self, messages: Iterable[str]) -> None:
        """Read the certificates again that HAProxy's messages name: they may have changed since."""
        text = " ".join(messages)
        ours = {
            ("crt", path)
            for files in self._files_of.values()
            for served, path in files.items()
            if served in text
        }
        if ours:
            await self._files.refresh(ours, PATIENCE)

    def source(self, name: str) -> str:
        """Return the file that holds what the configuration names: a copy, if there is one."""
        return self.copies.source(name) if self.copies is not None else name

    async def digests(self, names: Mapping[str, FileKey]) -> Mapping[str, str]:
        """Return the digests of what these files hold now, by the name that HAProxy knows them by."""
        await self._files.refresh(names.values(), PATIENCE)
        seen = {name: self._files.seen(*key) for name, key in names.items()}
        return {name: entry.digest for name, entry in seen.items() if isinstance(entry, CertificateFile)}

    # judging

    def begin(self) -> None:
        """Begin a new configuration, which names no file yet."""
        self._files_of, self._asked, self._sources = {}, set(), {}

    def judge(self, kind: str, path: str, app_id: str | None = None) -> CertificateVerdict:
        """
        Return the verdict on a path that the new configuration may name.

        :param app_id: the app whose label names it, None for a path of the settings. What HAProxy refuses in the lines
            of one app has a verdict of its own.
        """
        verdict = self._ask(kind, path, app_id)
        ours = self._files_of.setdefault(app_id, {})
        ours |= {name: verdict.sources.get(name, name) for name in verdict.files}
        self._sources |= {name: (kind, verdict.sources.get(name, name)) for name in verdict.digests}
        return verdict

    def finish(self, used: Mapping[str, str]) -> None:
        """
        End the new configuration.

        :param used: the digests of the files that it names.
        """
        self._used = dict(used)
        self._verdicts = {key: verdict for key, verdict in self._verdicts.items() if key in self._asked}

    def _ask(self, kind: str, path: str, app_id: str | None) -> CertificateVerdict:
        complainant = app_id if app_id in self._files.complainants else None
        key = (kind, path, complainant, app_id is not None)
        self._asked.add(key)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judged(key)
        return verdict

    def _judged(self, key: VerdictKey) -> CertificateVerdict:
        kind, path, app_id, labelled = key
        return self._judge.verdict(kind, path, app_id, labelled=labelled)

    # lists

    def listed(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """
        Return the same certificates, in a list where they are too many for a ``bind`` line.

        :raises OSError: the list cannot be written.
        """
        return paths if len(paths) <= MAX_ARGUMENTS else (self._lists.write(paths),)

    def shared_listed(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """
        Return the same certificates of the settings, the files of directories in the list too.

        :raises OSError: the list cannot be written.
        """
        if len(paths) <= MAX_ARGUMENTS:
            return paths
        files = (file for path in paths for file in self._ask("crt", path, None).files or (path,))
        return (self._lists.write(tuple(dict.fromkeys(files))),)

    # refusals

    def refuse(self, message: str, app_id: str | None = None) -> bool:
        """
        Record that HAProxy refuses a certificate, or a companion of one, until its file has changed.

        An app can have HAProxy name any file, so a complaint about an app's lines counts only for that app.

        :param message: HAProxy's complaint; one that names none of these certificates changes nothing.
        :param app_id: the app whose line it is about; None for a line of no app.
        :return: True if it names one that was thought to be good.
        """
        ours = self._files_of.get(app_id, {})
        names = {name.rstrip(".:,;'") for name in re.findall(r"/[^\s'\"]+", message)}
        refused = [self._refuse(name, message, ours, app_id) for name in sorted(names)]
        if any(refused):
            self._judge_again()
        return any(refused)

    def _refuse(self, name: str, message: str, ours: Mapping[str, str], app_id: str | None) -> bool:
        """Record one file that HAProxy's complaint names."""
        served, end = (name, "") if name in ours else _parted(name)
        path = ours.get(served)
        if path is None:
            return False
        if end and end != ".key" and self._files.leave_out(path, end):
            return True
        if self.copies is not None and served == self.copies.of("crt", path):
            return self._files.refuse_copy(served, app_id)
        if not end or end == ".key":
            return self._files.refuse(path, _with_sources(message, ours), app_id)
        return False


def _with_sources(message: str, ours: Mapping[str, str]) -> str:
    """Return HAProxy's message with the paths that options and labels name, in place of the paths of copies."""
    for served in sorted(ours, key=len, reverse=True):
        if served in message:
            message = message.replace(served, ours[served])
    return message


def _parted(name: str) -> tuple[str, str]:
    """Return the certificate that a companion lies beside, and the end of its name; HAProxy may append that twice."""
    end = next((end for end in COMPANIONS if name.endswith(end)), "")
    while end and name.endswith(end):
        name = name.removesuffix(end)
    return name, end
