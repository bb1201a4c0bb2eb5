"""The errors: their messages for operators."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb import errors
from marathonlb.errors import (
    HAProxyUnavailable,
    InvalidConfiguration,
    MarathonLBError,
    ReloadFailed,
    SourceError,
    TemplateRefused,
    described,
)
from marathonlb.web.page import Refusal


class DescribedTests(SynchronousTestCase):
    """`described`."""

    def test_code(self) -> None:
        """The code of the error's kind stands before its message."""
        error = SourceError(url="http://m:8080/v2/apps", reason="connection refused")
        self.assertEqual("MLB-903 http://m:8080/v2/apps: connection refused", described(error))
        self.assertEqual("MLB-907 reload failed: no", described(ReloadFailed(reason="no")))

    def test_own_code(self) -> None:
        """An error that says more than the one it derives from has a code of its own."""
        self.assertTrue(described(InvalidConfiguration(output="no")).startswith("MLB-904 HAProxy refuses"))
        held = TemplateRefused(templates=("MLB-601 HAPROXY_HEAD: HAProxy says: no",))
        self.assertEqual(
            "MLB-905 templates keep HAProxy as it is: MLB-601 HAPROXY_HEAD: HAProxy says: no", described(held)
        )

    def test_none(self) -> None:
        """An error that only answers a request, or is none of ours, is its message alone."""
        self.assertEqual("no such path", described(Refusal(404, "no such path")))
        self.assertEqual("x", described(ValueError("x")))

    def test_all(self) -> None:
        """Every error of the tree has a code."""
        tree = [
            value
            for value in vars(errors).values()
            if isinstance(value, type) and issubclass(value, MarathonLBError) and value is not MarathonLBError
        ]
        self.assertIn(HAProxyUnavailable, tree)
        self.assertEqual([], [each.__name__ for each in tree if each.kind is None])
