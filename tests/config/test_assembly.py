"""One rendering of a whole configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.assembly import MAPS
from tests.config.clusters import overriding, renderer
from tests.routing.apps import service

ASKING = "frontend {frontend}\n  bind :1 ssl crt /x verify required ca-file /ca\n"


class AssemblyTests(SynchronousTestCase):
    """`Assembly`, by what a renderer makes with it."""

    def test_order(self) -> None:
        """The head comes first, userlists and frontends before backends."""
        made = renderer().render([service("a", 1, hosts=("a.test",), auth=("r", "u", "$1$a$b"))])
        kinds = [section.kind for section in made.config]
        self.assertEqual(kinds[0], "head")
        self.assertLess(kinds.index("userlist"), kinds.index("frontend"))
        self.assertEqual(made.config.sections[made.first_backend].name, "a_1")

    def test_maps(self) -> None:
        """There are four map files, or none where maps are switched off."""
        one = service("a", 1, hosts=("a.test",))
        self.assertEqual(tuple(renderer().render([one]).config.maps), MAPS)
        self.assertEqual(renderer(haproxy_map=False).render([one]).config.maps, {})

    def test_sessions(self) -> None:
        """Where a port asks clients for certificates no TLS session is resumed, unless HAProxy does that safely."""
        asking = service("a", 1, overrides={"FRONTEND_HEAD": ASKING})
        line = "tune.ssl.cachesize 0\n"
        self.assertIn(line, renderer().render([asking]).config.template)
        self.assertNotIn(line, renderer().render([service("a", 1)]).config.template)
        safe = renderer()
        safe.trust_sessions()
        self.assertNotIn(line, safe.render([asking]).config.template)

    def test_remarks(self) -> None:
        """A remark about the operator's template is one problem, one about a label is the app's."""
        old = "  option httpchk GET / HTTP/1.1\\r\\nHost:\\ www\n"
        made = renderer(overriding(BACKEND_EXTRA=old)).render(
            [service("a", 1), service("b", 2), service("c", 3, overrides={"BACKEND_EXTRA": old})]
        )
        self.assertEqual(
            [(problem.app_id, problem.label) for problem in made.problems],
            [("/c", "HAPROXY_0_BACKEND_EXTRA"), ("", "HAPROXY_BACKEND_EXTRA")],
        )

    def test_left_out(self) -> None:
        """A service without a backend is left out without a problem, one with a wrong template with its problem."""
        off = service("a", 1, overrides={"BACKEND_HEAD": ""})
        wrong = service("b", 2, overrides={"BACKEND_EXTRA": "{nope}"})
        made = renderer().render([off, wrong])
        self.assertIsNone(made.left_out[off.key][1])
        self.assertEqual(made.left_out[wrong.key][1], made.problems[0])
        self.assertFalse(made.holds(off.key) or made.holds(wrong.key))
