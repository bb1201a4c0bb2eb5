"""
Admit services by the files that they name, and select the certificates of ``--ssl-certs`` that are served.

A file that a label names may be another team's. So the app's owner reads only that it cannot be used; the reason is in
the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy as shallow

from attrs import evolve, fields, frozen
from msgspec import Struct
from twisted.logger import Logger

from marathonlb.controller.certificates.label_files import SYSTEM, LabelFile, files_of, replace_files
from marathonlb.controller.certificates.sentences import for_operator, for_owner
from marathonlb.haproxy.certificates.file_cache import PATIENCE
from marathonlb.haproxy.certificates.inventory import Certificates
from marathonlb.haproxy.certificates.lists import MAX_ARGUMENTS
from marathonlb.haproxy.certificates.survey import cannot
from marathonlb.haproxy.certificates.verdicts import CertificateVerdict
from marathonlb.problem_kinds.kind import ProblemKind
from marathonlb.problem_kinds.operators import (
    CERTIFICATE_LIST,
    CERTIFICATE_REFUSED,
    CERTIFICATE_UNUSABLE,
    CERTIFICATE_WARNING,
    FILE_NAME,
    HTTPS_OFF,
    SSL_CERTS_UNUSABLE,
    SSL_CERTS_WARNING,
)
from marathonlb.problem_kinds.sharing import POLICY_FILE
from marathonlb.routing.policy.prefixes import OPEN, Policy
from marathonlb.routing.problems import Problem
from marathonlb.routing.services.files import SENTENCES
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


class SharedCertificates(Struct, frozen=True):
    """
    The certificates of the shared https frontend.

    :param paths: the arguments of ``crt``.
    :param problems: the faults of certificates that are left out, or are served with a fault.
    """

    paths: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


@frozen
class _Admitted:
    """
    One service as it may be served.

    :param service: the service with the files that HAProxy gets; None if one of its files cannot be served.
    :param problems: the problems that its owner sees.
    :param used: the digests of its files, by path.
    :param details: for the log: the app, the label, the path and the reason of each fault.
    """

    service: Service | None
    problems: list[Problem]
    used: dict[str, str]
    details: set[tuple[str, ...]]


class CertificateAdmission:
    """
    Admits services by the files that they name.

    :param certificates: the verdicts on files.
    :param policy: the files that an app's labels may name.
    """

    _log = Logger()

    def __init__(self, certificates: Certificates, settings: Settings, policy: Policy = OPEN) -> None:
        self.certificates = certificates
        self._settings = settings
        self._policy = policy
        self._shared: dict[str, str] = {}
        self._logged: frozenset[tuple[str, ...]] = frozenset()

    @property
    def generation(self) -> int:
        """See `Certificates.generation`."""
        return self.certificates.generation

    def copy(self) -> CertificateAdmission:
        """Return a copy with the same verdicts, for a hypothetical configuration."""
        other = shallow(self)
        other.certificates = self.certificates.copy()
        return other

    async def prepare(self, services: Iterable[Service]) -> None:
        """Read the files that have not been asked for yet; what does not come in time is left out."""
        shared = () if self._settings.dont_bind_http_https else self._settings.ssl_certs
        await self.certificates.read({("crt", path) for path in shared}, None)
        system = self._settings.system_ca
        keys = {
            (file.kind, file.path) for service in services for file in files_of(service, system) if file.path
        }
        keys |= {("ca", system)} if system.startswith("/") else set()
        await self.certificates.read(keys, PATIENCE)

    async def look_at(self, messages: Iterable[str]) -> None:
        """See `Certificates.look_at`."""
        await self.certificates.look_at(messages)

    def refuse(self, message: str, app_id: str | None = None) -> bool:
        """See `Certificates.refuse`."""
        return self.certificates.refuse(message, app_id)

    # the certificates of the settings

    def shared(self) -> SharedCertificates:
        """Begin a new configuration, whose services `admit` adds; return what can be served of ``--ssl-certs``."""
        self.certificates.begin()
        self._shared = {}
        settings = self._settings
        if settings.dont_bind_http_https:
            return SharedCertificates(())
        paths: list[str] = []
        problems: list[Problem] = []
        default = settings.ssl_certs == fields(Settings).ssl_certs.default
        for path in settings.ssl_certs:
            verdict = self.certificates.judge("crt", path)
            wrong = [(path, verdict.reason)] if verdict.reason else list(verdict.bad)
            problems += [
                _of_settings(
                    SSL_CERTS_UNUSABLE,
                    name,
                    f"{reason}; it is left out",
                    haproxy=verdict.haproxy,
                    fatal=not default,
                )
                for name, reason in wrong
            ]
            problems += [
                _of_settings(SSL_CERTS_WARNING, warning.path, for_operator(warning))
                for warning in verdict.warnings
            ]
            if not verdict.reason:
                paths += verdict.named or [path]
                self._shared |= verdict.digests
        if settings.ssl_certs and not paths:
            reason = f"HTTPS is off on {settings.bind_https}: no usable certificate"
            problems.append(_of_settings(HTTPS_OFF, ",".join(settings.ssl_certs), reason))
        arguments = self._shared_listed(tuple(dict.fromkeys(paths)), problems)
        return SharedCertificates(arguments, tuple(problems))

    def _shared_listed(self, paths: tuple[str, ...], problems: list[Problem]) -> tuple[str, ...]:
        """Return the certificates in a list where they are too many; without one the first are served."""
        try:
            return self.certificates.shared_listed(paths)
        except OSError as error:
            reason = f"{cannot(error)}: no list of {len(paths)} certificates; {MAX_ARGUMENTS} are served"
            problems.append(
                _of_settings(CERTIFICATE_LIST, error.filename or "the state directory", reason, fatal=True)
            )
            return paths[:MAX_ARGUMENTS]

    # the services

    def admit(self, services: Iterable[Service]) -> tuple[list[Service], list[Problem]]:
        """Return the services whose files can be served, each with the files that HAProxy gets, and the problems."""
        used = dict(self._shared)
        admitted: list[Service] = []
        problems: list[Problem] = []
        details: set[tuple[str, ...]] = set()
        for service in services:
            result = self._admit(service)
            problems += result.problems
            details |= result.details
            if result.service is not None:
                admitted.append(result.service)
                used |= result.used
        self._write_log(details)
        self.certificates.finish(used)
        return admitted, problems

    def _admit(self, service: Service) -> _Admitted:
        named = files_of(service, self._settings.system_ca)
        result = _Admitted(service, [], {}, set())
        if not named and service.backend_ssl != self._settings.system_ca:
            return result
        instead: dict[tuple[str, str], tuple[str, ...]] = {}
        for file in named:
            wrong = file.wrong or self._forbidden(service, file)
            if wrong or not file.path:
                kind = FILE_NAME if file.wrong else POLICY_FILE
                result.problems.extend([file.problem(service, wrong, kind)] if wrong else [])
                continue
            verdict = self.certificates.judge(file.kind, file.path, service.app_id)
            reason = self._reason(service, file, verdict)
            result.problems.extend(_problems(service, file, verdict, reason))
            result.details.update((service.app_id, file.label, *detail) for detail in _details(file, verdict))
            if not reason:
                result.used.update(verdict.digests)
                if file.label != "SERVER_EXTRA":
                    instead[file.kind, file.path] = verdict.named or (file.path,)
        instead |= self._system(service, result.used)
        if any(problem.fatal for problem in result.problems):
            return evolve(result, service=None)
        files = replace_files(service, instead, self.certificates.listed)
        return (
            result if files == service.files else evolve(result, service=evolve(service, copied_files=files))
        )

    def _forbidden(self, service: Service, file: LabelFile) -> str:
        """Return why an app may not name what its label holds; empty if it may."""
        if file.written == SYSTEM:
            return ""
        return self._policy.file_violation(service.app_id, file.path or file.written)

    def _reason(self, service: Service, file: LabelFile, verdict: CertificateVerdict) -> str:
        """Return why a file cannot be served, in words for the app's owner; empty if it can."""
        if verdict.haproxy:
            return verdict.reason
        elsewhere = any(self._policy.file_violation(service.app_id, real) for real in verdict.reals)
        return SENTENCES[file.kind] if verdict.reason or elsewhere else ""

    def _system(self, service: Service, used: dict[str, str]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return the replacement for the system's authorities if these have become unusable."""
        path = self._settings.system_ca
        if service.backend_ssl != path or not path.startswith("/"):
            return {}
        verdict = self.certificates.judge("ca", path)
        if not verdict.reason:
            used |= verdict.digests
        return {("ca", path): verdict.named} if verdict.named else {}

    def _write_log(self, details: set[tuple[str, ...]]) -> None:
        for app_id, label, path, reason in sorted(details - self._logged):
            self._log.info(
                "{label} of {app}: {path} {reason}",
                label=label,
                app=app_id,
                path=ascii(path),
                reason=reason,
            )
        self._logged = frozenset(details)


def _problems(service: Service, file: LabelFile, verdict: CertificateVerdict, reason: str) -> list[Problem]:
    """Return the problems for an owner: the file cannot be used, or has a fault although it is served."""
    if reason:
        kind = CERTIFICATE_REFUSED if verdict.haproxy else CERTIFICATE_UNUSABLE
        return [file.problem(service, reason, kind, haproxy=verdict.haproxy)]
    sentences = [for_owner(warning, file.kind) for warning in verdict.warnings]
    if verdict.bad:
        sentences.append(
            f"has {len(verdict.bad)} files that cannot be used; they are left out, the others are served"
        )
    return [
        file.problem(service, sentence, CERTIFICATE_WARNING, fatal=False)
        for sentence in dict.fromkeys(sentences)
    ]


def _details(file: LabelFile, verdict: CertificateVerdict) -> Iterable[tuple[str, str]]:
    """Return the details for the log alone: the files and the reasons."""
    wrong = [(file.path, verdict.reason)] if verdict.reason else []
    return [*wrong, *verdict.bad, *((warning.path, for_operator(warning)) for warning in verdict.warnings)]


def _of_settings(
    kind: ProblemKind, path: str, reason: str, *, haproxy: str = "", fatal: bool = False
) -> Problem:
    return Problem("", None, "--ssl-certs", path, reason, fatal=fatal, kind=kind, haproxy=haproxy)
