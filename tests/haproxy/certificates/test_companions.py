"""HAProxy is asked about the files beside certificates: what is found, and what that costs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.certificates.companions import MAX_RUNS, CompanionTrial
from marathonlb.haproxy.process.binary import Binary, FinishedProgram


class FakeBinary:
    """Refuses companions that hold one of these words; dies of the word ``abort`` without another."""

    def __init__(self) -> None:
        self.runs = 0
        self.away = False

    def run(self, *arguments: str, timeout: float) -> Deferred[FinishedProgram]:
        """Check a configuration as `marathonlb.haproxy.process.binary.Binary` has it checked."""
        if self.away:
            raise HAProxyUnavailable(reason="no HAProxy was found")
        self.runs += 1
        for path in re.findall(r"crt (\S+)", Path(arguments[-1]).read_text()):
            beside = [Path(path + end) for end in (".ocsp", ".issuer", ".sctl")]
            words = [each.read_text() for each in beside if each.exists()]
            if "abort" in words:
                return succeed(FinishedProgram(status=None, signal=6))
            if "bad" in words or ("needs issuer" in words and "issuer" not in words):
                return succeed(FinishedProgram(status=1))
        return succeed(FinishedProgram(status=0))


class TrialTests(SynchronousTestCase):
    """The companions that are to blame, and no others."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.binary = FakeBinary()
        self.asked: dict[str, tuple[str, ...]] = {}

    def beside(self, name: str, **texts: str) -> str:
        """A certificate with these companions."""
        path = self.directory / name
        path.write_text("certificate")
        for end, text in texts.items():
            Path(f"{path}.{end}").write_text(text)
        self.asked[str(path)] = tuple(f".{end}" for end in texts)
        return str(path)

    def refused(self) -> Any:
        """What the trial finds."""
        trial = CompanionTrial(cast(Binary, self.binary), str(self.directory / "trials"))
        found = self.successResultOf(trial(self.asked))
        self.assertEqual([], os.listdir(self.directory / "trials"))
        return found

    def test_good(self) -> None:
        """Good ones cost one run in all."""
        for number in range(50):
            self.beside(str(number), ocsp="good", issuer="issuer")
        self.assertEqual(({}, 1), (self.refused(), self.binary.runs))

    def test_bad(self) -> None:
        """Of each certificate as little as possible goes, also where HAProxy dies without a word."""
        for number in range(20):
            self.beside(str(number), ocsp="good")
        one = self.beside("one", ocsp="good", sctl="abort")
        two = self.beside("two", ocsp="bad", issuer="issuer")
        three = self.beside("three", ocsp="needs issuer", issuer="bad")
        self.beside("four", ocsp="needs issuer", issuer="issuer")
        expected = {one: {".sctl"}, two: {".ocsp"}, three: {".ocsp", ".issuer"}}
        self.assertEqual(expected, {path: set(ends) for path, ends in self.refused().items()})

    def test_bounded(self) -> None:
        """However many are bad, a trial ends; what is not proven goes."""
        for number in range(200):
            self.beside(str(number), sctl="abort")
        self.assertEqual((200, MAX_RUNS), (len(self.refused()), self.binary.runs))

    def test_nobody_to_ask(self) -> None:
        """Without a HAProxy nothing is refused."""
        self.beside("one", ocsp="bad")
        self.binary.away = True
        self.assertEqual({}, self.refused())
