"""
The files beside a certificate (``.ocsp``, ``.issuer``, ``.sctl``) are tried with ``haproxy -c`` before they are used.

Which of them HAProxy refuses differs by its version and its TLS library, and some end ``haproxy -c`` by a signal,
without a message. So a small configuration of nothing but certificates is checked first. If HAProxy refuses it,
halving finds the certificates at fault, and leaving out one companion after the other finds the files at fault.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from marathonlb.errors import HAProxyUnavailable
from marathonlb.haproxy.certificates.backup import link
from marathonlb.haproxy.process.binary import Binary

MAX_RUNS = 64
"""Maximum number of runs of ``haproxy -c`` in a trial; certificates that are left go without companions."""

TIMEOUT = 20.0
"""Maximum number of seconds of one run."""

PER_LINE = 20
"""Maximum number of certificates on one ``bind`` line."""

_HEAD = """\
global
  maxconn 100
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend companions
"""


class _Companions(Struct, frozen=True):
    """A certificate with some of its companions."""

    path: str
    ends: tuple[str, ...]


class CompanionTrial:
    """
    Asks ``haproxy -c`` about companions.

    :param directory: a directory for trials only; each trial makes one below it.
    """

    _log = Logger()

    def __init__(self, binary: Binary, directory: str) -> None:
        self._binary = binary
        self._directory = directory
        self._begun = False

    def __call__(self, asked: Mapping[str, tuple[str, ...]]) -> Deferred[Mapping[str, frozenset[str]]]:
        """
        Find the companions that HAProxy refuses.

        :param asked: paths of certificates, and what is appended to them to name the companions.
        """
        return Deferred.fromCoroutine(self._ask([_Companions(path, ends) for path, ends in asked.items()]))

    async def _ask(self, sets: Sequence[_Companions]) -> Mapping[str, frozenset[str]]:
        try:
            if not self._begun:  # remove the trials of a controller that was killed
                shutil.rmtree(self._directory, ignore_errors=True)
            self._begun = True
            os.makedirs(self._directory, 0o700, exist_ok=True)
            place = tempfile.mkdtemp(dir=self._directory, prefix="trial-")
        except OSError as error:
            self._log_failure(error)
            return {}
        try:
            return await _CompanionSearch(self._binary, place).refused(sets)
        except HAProxyUnavailable:  # without a binary nothing is refused
            return {}
        except OSError as error:
            self._log_failure(error)
            return {}
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _log_failure(self, error: OSError) -> None:
        self._log.warn(
            "The files beside certificates could not be tried with haproxy -c: {error}. They are used untried; check "
            "space and permissions of {directory}",
            error=str(error),
            directory=self._directory,
        )


class _CompanionSearch:
    """One trial, in a directory of its own."""

    def __init__(self, binary: Binary, place: str) -> None:
        self._binary = binary
        self._place = place
        self._runs = 0

    async def refused(self, sets: Sequence[_Companions]) -> Mapping[str, frozenset[str]]:
        """Return the companions without which HAProxy accepts everything, by the certificate's path."""
        if await self._passes(sets):
            return {}
        if len(sets) > 1:
            middle = len(sets) // 2
            return {**await self.refused(sets[:middle]), **await self.refused(sets[middle:])}
        (one,) = sets
        for left in _subsets(one.ends):
            if len(left) < len(one.ends) and await self._passes([_Companions(one.path, left)]):
                return {one.path: frozenset(one.ends) - frozenset(left)}
        return {one.path: frozenset(one.ends)}

    async def _passes(self, sets: Iterable[_Companions]) -> bool:
        self._runs += 1
        if self._runs > MAX_RUNS:
            return False
        paths = []
        for number, companions in enumerate(sets):
            path = os.path.join(self._place, f"{self._runs}-{number}.pem")
            for end in ("", *companions.ends):
                link(companions.path + end, path + end)
            paths.append(path)
        config = os.path.join(self._place, "haproxy.cfg")
        with open(config, "w", encoding="utf-8") as file:
            file.write(_HEAD)
            for place in range(0, len(paths), PER_LINE):
                words = " ".join(f"crt {path}" for path in paths[place : place + PER_LINE])
                file.write(f"  bind 127.0.0.1:1 ssl {words}\n")
        finished = await self._binary.run("-c", "-f", config, timeout=TIMEOUT)
        return finished.status == 0


def _subsets(ends: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """List the subsets of companions, the largest first; an issuer goes with the response that needs it."""
    chosen = sorted(range(2 ** len(ends)), key=lambda bits: -bits.bit_count())
    return [tuple(end for place, end in enumerate(ends) if bits >> place & 1) for bits in chosen]
