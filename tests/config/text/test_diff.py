"""Two configurations → their differences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.diff import Fate, differences, phrase, split
from marathonlb.config.text.model import Config, MapEntry, Owner
from tests.haproxy.samples import HEAD, A, B, backend, config, frontend

ONE = backend("one_10000", "server a 10.0.0.1:80")
OTHER = backend("one_10000", "server a 10.0.0.2:80")
MANY = tuple(backend(f"many_{number}") for number in range(12))

TABLE = (
    ("nothing differs", config(ONE), config(ONE), ""),
    (
        "the same text by other objects",
        config(ONE),
        config(backend("one_10000", "server a 10.0.0.1:80")),
        "",
    ),
    ("a backend is new", config(), config(ONE), "backend one_10000 is new"),
    ("a backend is gone", config(ONE), config(), "backend one_10000 is gone"),
    ("a backend differs", config(ONE), config(OTHER), "backend one_10000 differs"),
    (
        "two are new",
        config(),
        config(ONE, backend("two_1")),
        "backend one_10000 is new, backend two_1 is new",
    ),
    ("many are new", config(), config(*MANY), "12 backends are new"),
    ("many are gone", config(*MANY), config(), "12 backends are gone"),
    (
        "a frontend differs",
        Config((frontend("f", "a"),)),
        Config((frontend("f", "b"),)),
        "frontend f differs",
    ),
    ("a map differs", config(a="b"), config(a="c"), "map domain2backend.map differs"),
    ("a map is new", Config((HEAD,)), Config((HEAD,), {"m.map": ()}), "map m.map is new"),
    ("a map is gone", Config((HEAD,), {"m.map": ()}), Config((HEAD,)), "map m.map is gone"),
    (
        "the head differs, and a map",
        config(a="b"),
        Config((frontend("main"),), {"domain2backend.map": (MapEntry("a", "b", Owner(app_id="/other")),)}),
        "frontend main differs, the head is gone",
    ),
    (
        "the order differs",
        config(ONE, MANY[0]),
        config(MANY[0], ONE),
        "the order of the sections differs",
    ),
    ("a section stands twice", config(ONE, ONE), config(ONE, OTHER), "backend one_10000 differs"),
    ("one of two of a name is gone", config(ONE, ONE), config(ONE), "backend one_10000 is gone"),
    (
        "much differs",
        Config((frontend("f", "a"), backend("gone"), backend("x", "1"))),
        Config((HEAD, frontend("f", "b"), backend("new"), backend("x", "2")), {"m": ()}),
        "the head is new, frontend f differs, backend new is new, backend x differs and 2 more",
    ),
)


class DifferencesTests(SynchronousTestCase):
    """The differences between two configurations."""

    def test_table(self) -> None:
        """Each difference is one phrase; without any the phrase is empty."""
        for case, running, wanted, why in TABLE:
            with self.subTest(case):
                self.assertEqual(phrase(differences(running, wanted)), why)

    def test_difference_holds_the_sections(self) -> None:
        """A difference carries both sections, for the steps that can be taken without a reload."""
        (difference,) = differences(config(ONE), config(OTHER))
        self.assertEqual((difference.old, difference.new, difference.fate), (ONE, OTHER, Fate.CHANGED))


class SplitTests(SynchronousTestCase):
    """Bare texts become sections again."""

    def test_sections(self) -> None:
        """A text is split where a section's keyword stands, and keeps every byte."""
        text = "# note\n\nglobal\n  maxconn 1\n\ndefaults\n  mode http\nuserlist u\nbackend b from x\n  server s h:1\n"
        found = split(text, {})
        self.assertEqual(
            [(section.kind, section.name) for section in found],
            [("head", ""), ("global", ""), ("defaults", ""), ("userlist", "u"), ("backend", "b")],
        )
        self.assertEqual(found.template, text)

    def test_rendered_text_is_found_again(self) -> None:
        """What was published and split again differs from the next text in what the next text changed."""
        before, after = (split(c.text("/etc/haproxy"), c.map_texts()) for c in (A, B))
        self.assertEqual(
            phrase(differences(before, after)),
            "backend a differs, backend b is new, map domain2backend.map differs",
        )

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.sampled_from(["global", "backend x", "  server", "", "frontend y", "#z", "  a\tb"])))
    def test_any_text(self, lines: list[str]) -> None:
        """Whatever the text, splitting loses nothing and equals itself."""
        text = "".join(f"{line}\n" for line in lines)
        found = split(text, {"m": "a b\n"})
        self.assertEqual(found.template, text)
        self.assertEqual(differences(found, split(text, {"m": "a b\n"})), ())
