"""Paths in labels: their plain form, and the patterns of a policy that they are compared with."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.policy.prefixes import Grant, Policy
from marathonlb.routing.services.files import covered, normal


class NormalTests(SynchronousTestCase):
    """One form for each path."""

    def test_plain(self) -> None:
        """Empty parts and dots go."""
        for path in ("/a/b.pem", "//a//b.pem", "/a/./b.pem", "/./a/b.pem/"):
            self.assertEqual("/a/b.pem", normal(path))

    def test_refused(self) -> None:
        """What leads upward, or begins nowhere, is no path for a label."""
        for path in ("/a/../b", "/..", "a/b", "", "/a\0b"):
            self.assertRaises(ValueError, normal, path)


class CoveredTests(SynchronousTestCase):
    """Patterns."""

    def test_each(self) -> None:
        """A star ends at a slash, two stars do not."""
        for path, pattern, expected in (
            ("/ssl/shop/a.pem", "/ssl/shop/*.pem", True),
            ("/ssl/shop/b/a.pem", "/ssl/shop/*.pem", False),
            ("/ssl/shop", "/ssl/shop/*.pem", False),
            ("/ssl/shop/b/a.pem", "/ssl/shop/**", True),
            ("/ssl/shop", "/ssl/shop/**", True),
            ("/ssl/shopping/a.pem", "/ssl/shop/**", False),
            ("/ssl/a/b/c/d.pem", "/ssl/**/c/*.pem", True),
            ("/ssl/a/b/c/d.crt", "/ssl/**/c/*.pem", False),
            ("/ssl/a.pem", "/ssl/**/a.pem", True),
            ("/ssl/bank/a.pem", "/ssl/shop/*.pem", False),
            ("/ssl/a[1].pem", "/ssl/a[[]1].pem", True),
        ):
            self.assertEqual(expected, covered(path, (pattern,)), (path, pattern))

    def test_cost(self) -> None:
        """Long paths and many stars are compared in a moment."""
        path = "/a" * 2000
        self.assertFalse(covered(path, ("/**/a/**/a/**/a/**/b",)))


class PolicyTests(SynchronousTestCase):
    """The key ``certificates``."""

    def test_read(self) -> None:
        """Patterns are absolute paths in their plain form."""
        policy = policy_of('[apps."/shop"]\ncertificates = ["/ssl//shop/*.pem"]\n', frozenset())
        self.assertEqual(("/ssl/shop/*.pem",), policy.grant("/shop/web").certificates)
        for wrong in ("shop/*.pem", "/ssl/../x"):
            with self.assertRaisesRegex(ValueError, "certificates"):
                policy_of(f'[defaults]\ncertificates = ["{wrong}"]\n', frozenset())

    def test_violation(self) -> None:
        """What no pattern covers is forbidden, with the patterns; without the key everything is allowed."""
        policy = Policy(Grant(certificates=("/ssl/*.pem",)), {"/all": Grant()})
        self.assertEqual("", policy.file_violation("/shop", "/ssl/a.pem"))
        self.assertIn("allows the certificates /ssl/*.pem alone", policy.file_violation("/shop", "/x.pem"))
        self.assertEqual("", policy.file_violation("/all", "/x.pem"))
        none = Policy(Grant(certificates=()))
        self.assertIn("allows no certificates", none.file_violation("/shop", "/x.pem"))
