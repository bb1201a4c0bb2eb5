"""The table of kinds: its codes are stable, and each of them is used."""

from __future__ import annotations

import ast

from twisted.trial.unittest import SynchronousTestCase

from marathonlb import documentation
from marathonlb.problem_kinds import apps, operators, running, sharing
from marathonlb.problem_kinds.kind import Category, ProblemKind
from marathonlb.problem_kinds.table import BY_CODE, KINDS, TOPICS
from tests.paths import CHECKOUT

GOLDEN = """
MLB-101 label-value
MLB-102 label-unknown
MLB-103 label-limit
MLB-104 label-port
MLB-105 label-no-effect
MLB-106 host-name
MLB-107 password-hash
MLB-108 label-template
MLB-109 label-line-length
MLB-110 label-rewritten
MLB-111 bind-line
MLB-201 service-port
MLB-202 protocol
MLB-203 port-limit
MLB-204 health-check-path
MLB-205 routing-limit
MLB-206 map-entry
MLB-207 more-problems
MLB-301 port-reserved
MLB-302 port-taken
MLB-303 host-taken
MLB-304 backend-name
MLB-305 weight-unused
MLB-306 tls-passed-through
MLB-307 tls-options-unused
MLB-308 certificate-limit
MLB-309 userlist-taken
MLB-401 group-parent
MLB-402 group-full
MLB-403 group-port
MLB-501 certificate-unusable
MLB-502 file-name
MLB-503 certificate-warning
MLB-504 certificate-refused
MLB-505 host-certificate
MLB-506 ssl-certs-unusable
MLB-507 ssl-certs-warning
MLB-508 https-off
MLB-509 certificate-list
MLB-601 template-refused
MLB-602 template-error
MLB-603 template-rewritten
MLB-604 template-closed
MLB-605 template-service
MLB-606 templates-unreadable
MLB-607 template-password-cost
MLB-608 template-waits
MLB-609 haproxy-user
MLB-701 service-refused
MLB-702 service-fails
MLB-703 service-suspected
MLB-801 policy-text
MLB-802 policy-host
MLB-803 policy-port
MLB-804 policy-address
MLB-805 policy-network
MLB-806 policy-group
MLB-807 policy-file
MLB-901 pinned
MLB-902 usage
MLB-903 marathon
MLB-904 configuration-refused
MLB-905 templates-hold
MLB-906 services-refused
MLB-907 reload-failed
MLB-908 publish-failed
MLB-909 haproxy-unavailable
MLB-910 already-running
MLB-911 check-failed
MLB-912 daemon-unreachable
MLB-913 daemon-refused
"""
"""Codes and slugs, which are addresses in the documentation: lines are added here, and never changed or reused."""

MODULES = (apps, operators, running, sharing)


def constants() -> dict[str, ProblemKind]:
    """Return the names of the kinds in their modules."""
    return {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, ProblemKind)
    }


def names_used() -> set[str]:
    """Return every name that a module of the package uses, imports aside, outside the table itself."""
    used: set[str] = set()
    for path in sorted((CHECKOUT / "marathonlb").rglob("*.py")):
        if path.parent.name != "problem_kinds":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return used


class TableTests(SynchronousTestCase):
    """`marathonlb.problem_kinds`."""

    def test_stable(self) -> None:
        """No code and no slug changes, and none is used again."""
        self.assertEqual(GOLDEN.split("\n")[1:-1], [f"{kind.code} {kind.slug}" for kind in KINDS])

    def test_unique(self) -> None:
        """No two kinds share a code or a slug, and every kind is in the table."""
        self.assertEqual(len(KINDS), len(BY_CODE))
        self.assertEqual(len(KINDS), len({kind.slug for kind in KINDS}))
        self.assertEqual(set(KINDS), set(constants().values()))

    def test_used(self) -> None:
        """Every kind is raised somewhere in the package."""
        self.assertEqual(set(), constants().keys() - names_used())

    def test_categories(self) -> None:
        """The API's field has every value but that of errors, which are no problems of an app."""
        found = {kind.category for kind in KINDS}
        self.assertEqual(set(Category), found)

    def test_sentences(self) -> None:
        """A kind says in plain sentences what it means, what is served and what to do."""
        for kind in KINDS:
            self.assertRegex(kind.code, r"\AMLB-[1-9][0-9]{2}\Z")
            self.assertIn(kind.code[:5], TOPICS)
            self.assertRegex(kind.slug, r"\A[a-z]+(-[a-z]+)*\Z")
            self.assertFalse(kind.title.endswith("."), kind.code)
            for text in (kind.meaning, kind.meanwhile, kind.remedy):
                self.assertTrue(text.endswith((".", ").")), f"{kind.code}: {text}")
                self.assertEqual(0, text.count("`") % 2, f"{kind.code}: {text}")


class DocumentationTests(SynchronousTestCase):
    """docs/problems.md."""

    def test_fresh(self) -> None:
        """The file is what the table says; `make docs` writes it."""
        path = CHECKOUT / "docs" / "problems.md"
        self.assertEqual(documentation.documents()["problems.md"], path.read_text(encoding="utf-8"))

    def test_sections(self) -> None:
        """Each kind has a section of its own, whose address follows from code and slug."""
        text = documentation.problems_markdown()
        for kind in KINDS:
            self.assertEqual(1, text.count(f"\n### {kind.code} {kind.slug}\n"))
            self.assertEqual(f"{kind.code} {kind.slug}".lower().replace(" ", "-"), kind.anchor)
            self.assertIn(kind.meaning, text)
