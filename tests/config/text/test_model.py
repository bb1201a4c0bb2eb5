"""A configuration that knows who wrote each line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import DIRECTORY, Chunk, Config, MapEntry, Owner, Section
from marathonlb.config.text.rows import BLOCK

HEAD = Owner(template="HEAD")
ONE = Owner("/one", 0, "BACKEND_HEAD")
TWO = Owner("/one", 0, "BACKEND_SERVER_OPTIONS", "label HAPROXY_0_BACKEND_SERVER_OPTIONS")

CONFIG = Config(
    (
        Section("head", "", (Chunk("global\n  daemon\n", HEAD),)),
        Section("frontend", "none", ()),
        Section(
            "backend", "one", (Chunk("\nbackend one\n", ONE), Chunk("", ONE), Chunk("  server a\n", TWO))
        ),
        Section("backend", "two", (Chunk("backend two\n", HEAD),)),
    ),
    {"m.map": (MapEntry("a.com", "one", ONE), MapEntry("b.com", "two", HEAD))},
)


class OwnerTests(SynchronousTestCase):
    """`Owner`: the author of a text."""

    def test_sources(self) -> None:
        """A text is a default's, a label's, or a template's of the operator."""
        for source, default, label, operator in (
            ("default", True, "", False),
            ("label HAPROXY_0_BACKEND_HEAD", False, "HAPROXY_0_BACKEND_HEAD", False),
            ("environment HAPROXY_HEAD", False, "", True),
            ("file /t/label HAPROXY_HEAD", False, "", True),
        ):
            owner = Owner("/one", 0, "BACKEND_HEAD", source)
            self.assertEqual((default, label, operator), (owner.is_default, owner.label, owner.is_operator))


class SectionTests(SynchronousTestCase):
    """`Section`."""

    def test_operator_templates(self) -> None:
        """The operator's templates with a line in a section are named; an empty text and a label's are not."""
        of_operator = Owner("/one", 0, "BACKEND_HEAD", "file /t/HAPROXY_BACKEND_HEAD")
        empty = Owner("/one", 0, "BACKEND_EXTRA", "environment HAPROXY_BACKEND_EXTRA")
        section = Section("backend", "one", (Chunk("x\n", of_operator), Chunk("", empty), Chunk("y\n", TWO)))
        self.assertEqual({"BACKEND_HEAD"}, section.operator_templates)
        self.assertEqual(frozenset(), CONFIG.sections[2].operator_templates)


class LocateTests(SynchronousTestCase):
    """From a line to its owner."""

    def test_every_line(self) -> None:
        """Each line is found with its section and its owner; none before the first and after the last."""
        wanted = [None, HEAD, HEAD, ONE, ONE, TWO, HEAD, None, None]
        found = []
        for line in range(len(wanted)):
            place = CONFIG.locate(line)
            found.append(place[1].owner if place else None)
            if place is not None:
                said = CONFIG.template.split("\n")[line - 1]
                self.assertIn(said, place[1].text.split("\n"))
                self.assertIn(place[1], place[0].chunks)
        self.assertEqual(found, wanted)
        self.assertIsNone(Config().locate(1))

    def test_after_a_replacement(self) -> None:
        """A configuration made by replacing sections locates its own lines, and knows where it differs."""
        longer = Section("head", "", (Chunk("a\nb\nc\nd\n", TWO),))
        other = CONFIG.replace({0: longer})
        place = other.locate(8)
        assert place is not None
        self.assertEqual(place[0].name, "two")
        self.assertEqual(other.places_that_differ(CONFIG), [0])
        self.assertIsNone(CONFIG.places_that_differ(other))


class TextTests(SynchronousTestCase):
    """What is written."""

    def test_directory(self) -> None:
        """The place of the map files is put in at the end, wherever it stands in the text."""
        config = Config((Section("head", "", (Chunk(f"a {DIRECTORY}/m.map {DIRECTORY}/n.map\n", HEAD),)),))
        self.assertEqual(config.text("/etc/haproxy"), "a /etc/haproxy/m.map /etc/haproxy/n.map\n")
        self.assertEqual(config.template, "a \0/m.map \0/n.map\n")

    def test_maps(self) -> None:
        """A map file has a line for each entry, in their order."""
        self.assertEqual(CONFIG.map_texts(), {"m.map": "a.com one\nb.com two\n"})

    def test_after_replacements(self) -> None:
        """Configurations made from one another share what they have in common, and each says its own text."""

        def section(number: int, word: str) -> Section:
            return Section(
                "backend", f"b{number}", (Chunk(f"backend b{number}\n  # {word} {DIRECTORY}\n", ONE),)
            )

        made = [Config(tuple(section(number, "old") for number in range(3 * BLOCK + 1)), CONFIG.maps)]
        made[0].text("/d")
        for place in (0, BLOCK - 1, BLOCK, 3 * BLOCK, BLOCK):
            made.append(made[-1].replace({place: section(place, f"new {len(made)}")}))
        for config in (*reversed(made), *made):
            wanted = "".join(each.text for each in config.sections)
            self.assertEqual(config.template, wanted)
            self.assertEqual(config.text("/etc/haproxy"), wanted.replace(DIRECTORY, "/etc/haproxy"))
            self.assertEqual(config.map_texts(), {"m.map": "a.com one\nb.com two\n"})
        self.assertEqual(len({config.template for config in made}), len(made))
