"""What becomes of an operator's text that is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.loader import Templates, load_templates
from marathonlb.config.templates.overrides import AGAIN, Overrides, TemplateFailure
from marathonlb.config.templates.removed_lines import Amendment
from marathonlb.errors import TemplateError

NAME = "BACKEND_EXTRA"


def templates(text: str, name: str = NAME) -> Templates:
    """The templates of an operator with one text of his own."""
    return load_templates("/nowhere", {f"HAPROXY_{name}": text})


def refuse(
    overrides: Overrides,
    reason: str,
    now: float,
    *,
    running: bool,
    name: str = NAME,
    used: Templates | None = None,
) -> bool:
    """Refuse a template."""
    return overrides.refuse(TemplateFailure(name=name, reason=reason, running=running, used=used), now)


class OverridesTests(SynchronousTestCase):
    """`Overrides`."""

    def text(self, overrides: Overrides, name: str = NAME) -> str:
        """What serves of a template."""
        return overrides.templates().shared[name].render({})

    def assertClosed(self, overrides: Overrides) -> None:
        """Nothing is rendered of the template, neither the text nor the default."""
        error = self.assertRaises(TemplateError, self.text, overrides)
        self.assertEqual((error.template, error.closed), (NAME, True))
        self.assertEqual(len(overrides.closed), 1)

    def test_closed(self) -> None:
        """Where there never was a good text, what it guards is closed, whether HAProxy runs or not."""
        for running in (False, True):
            made = Overrides(templates("a"))
            self.assertTrue(refuse(made, "why", 0, running=running))
            self.assertClosed(made)
            self.assertFalse(refuse(made, "again", 0, running=running))

    def test_last_good(self) -> None:
        """The last good text serves in the place of another one, of this controller's time or of one before."""
        for running in (False, True):
            made = Overrides(templates("b"), templates("a").shared)
            self.assertTrue(refuse(made, "why", 0, running=running))
            self.assertEqual((self.text(made), made.closed, len(made.replaced)), ("a", (), 1))
            self.assertEqual(refuse(made, "that, too", 1, running=running), not running)
            (told,) = made.held if running else made.problems
            self.assertIn("why; its last good text is refused, too: that, too", told.reason)

    def test_runs_on(self) -> None:
        """A text that was good keeps HAProxy as it runs; where it does not run, what the text guards is closed."""
        made = Overrides(templates("a"))
        made.accepted([NAME], made.templates())
        self.assertEqual(made.proven, {NAME})
        self.assertFalse(refuse(made, "a file is empty", 0, running=True))
        self.assertEqual((self.text(made), len(made.held), made.closed), ("a", 1, ()))
        made.accepted([NAME], made.templates())
        self.assertEqual(made.held, ())
        self.assertTrue(refuse(made, "a file is empty", 0, running=False))
        self.assertClosed(made)

    def test_forgotten(self) -> None:
        """What HAProxy runs without is no good text any more: a controller after this one closes it again."""
        made = Overrides(templates("a"))
        self.assertTrue(made.accepted([NAME], made.templates()))
        self.assertFalse(made.accepted([NAME], made.templates()))
        refuse(made, "why", 0, running=False)
        self.assertTrue(made.accepted([], made.templates()))
        self.assertEqual(made.good, {})

    def test_read_meanwhile(self) -> None:
        """What HAProxy accepted or refused is the text that it was given, though another one was read since then."""
        made = Overrides(templates("a"))
        used = made.templates()
        self.assertTrue(made.use(templates("b")))
        self.assertTrue(refuse(made, "why", 0, running=True, used=used))
        self.assertEqual((self.text(made), made.problems), ("b", ()))
        made.accepted([NAME], used)
        self.assertEqual((made.good[NAME].text, made.proven), ("a", frozenset()))
        self.assertTrue(refuse(made, "why", 0, running=True))
        self.assertEqual(self.text(made), "a")

    def test_fallback(self) -> None:
        """The default serves where the operator asks for it, and only where there never was a good text."""
        made = Overrides(templates("a"), fallback=True)
        self.assertTrue(refuse(made, "why", 0, running=True))
        self.assertEqual((self.text(made), made.closed), ("", ()))
        self.assertIn("--template-fallback", made.problems[0].reason)
        made = Overrides(templates("a"), fallback=True)
        made.accepted([NAME], made.templates())
        self.assertFalse(refuse(made, "why", 0, running=True))

    def test_due(self) -> None:
        """It is tried again a while later, ever more rarely where nothing happens, and at once when that is asked."""
        made = Overrides(templates("a"))
        refuse(made, "why", 10, running=False)
        self.assertEqual((made.due(10), made.due(10 + AGAIN), made.next_try()), ([], [NAME], 10 + AGAIN))
        made.tried(NAME, 20, good=False)
        self.assertEqual((made.due(20), made.next_try()), ([], 20 + 2 * AGAIN))
        made.retry_soon()
        self.assertEqual(made.due(20), [NAME])
        self.assertEqual(made.templates(trying=NAME).shared[NAME].render({}), "a")
        made.tried(NAME, 20, good=True)
        self.assertEqual((self.text(made), made.problems, made.next_try()), ("a", (), None))

    def test_amended(self) -> None:
        """A line that guards nothing is written in another way in whatever serves, and the operator is told once."""
        made = Overrides(templates("nbproc 4\nx"))
        made.amend(NAME, [Amendment("nbproc 4", "# nbproc 4", "`nbproc 4` is left out")] * 2)
        self.assertEqual(self.text(made), "# nbproc 4\nx")
        (problem,) = made.problems
        self.assertEqual((problem.label, problem.fatal), (f"HAPROXY_{NAME}", False))
        made.accepted([NAME], made.templates())
        self.assertEqual((made.good[NAME].text, made.proven), ("nbproc 4\nx", {NAME}))
        self.assertFalse(made.use(templates("nbproc 4\nx")))
        self.assertEqual(self.text(made), "# nbproc 4\nx")
        self.assertTrue(made.use(templates("y")))
        self.assertEqual((self.text(made), made.problems), ("y", ()))

    def test_unreadable(self) -> None:
        """Where nothing can be read anew, what was read before serves on, and that is said until it can."""
        made = Overrides(templates("a"))
        made.unreadable("/templates", "cannot be read")
        self.assertEqual(self.text(made), "a")
        self.assertIn("stay in use", made.problems[0].reason)
        made.use(templates("a"))
        self.assertEqual(made.problems, ())

    def test_defaults(self) -> None:
        """A default is never refused, and a copy knows the same."""
        made = Overrides(templates("a"))
        self.assertFalse(refuse(made, "why", 0, name="BACKEND_HEAD", running=False))
        other = made.copy()
        refuse(made, "why", 0, running=False)
        self.assertEqual((other.problems, len(made.copy().closed)), ((), 1))
