"""Which ports this load balancer serves."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.labels.parse import AppLabels, parse_labels
from marathonlb.routing.labels.selection import in_group, why_not_offered
from marathonlb.settings import Settings
from tests.routing.apps import app


def labels(**values: str) -> AppLabels:
    """Return parsed labels, named without ``HAPROXY``."""
    return parse_labels(app(labels={name.lstrip("_"): text for name, text in values.items()}), PER_APP_NAMES)


class SelectionTests(SynchronousTestCase):
    """`in_group` and `why_not_offered`."""

    def test_groups(self) -> None:
        """A port's own groups win over the app's; ``*`` selects all, and no group the apps without one."""
        both = labels(GROUP="a,b", _0_GROUP="c")
        for index, wanted, expected in (
            (1, {"a"}, True),
            (1, {"c"}, False),
            (0, {"c"}, True),
            (0, {"a"}, False),
            (0, {"*"}, True),
            (0, set[str](), False),
        ):
            found = in_group(both, both.port(index), frozenset(wanted))
            self.assertIs(expected, found, (index, wanted))
        self.assertTrue(in_group(labels(), labels().port(0), frozenset()))
        self.assertFalse(in_group(labels(), labels().port(0), frozenset({"a"})))

    def test_reasons(self) -> None:
        """The owner is told which group is served, or which label switches the port off."""
        self.assertIsNone(why_not_offered(labels(), 0, Settings()))
        self.assertEqual(
            "it is in the group a, and this load balancer serves the group b (--group)",
            why_not_offered(labels(GROUP="a"), 0, Settings(groups=frozenset({"b"}))),
        )
        self.assertEqual(
            "HAPROXY_0_ENABLED is false", why_not_offered(labels(_0_ENABLED="no"), 0, Settings())
        )
        strict = Settings(strict_mode=True)
        self.assertIn("--strict-mode", why_not_offered(labels(), 0, strict) or "")
        self.assertIsNone(why_not_offered(labels(_0_ENABLED="yes"), 0, strict))
