"""The reader of JSON fields."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from minimarathon.definitions.fields import Fields, Mistakes
from minimarathon.errors import Refused


class FieldsTests(SynchronousTestCase):
    """`Fields`."""

    def fields(self, **body: Any) -> Fields:
        return Fields(body, Mistakes(), "/app")

    def test_missing(self) -> None:
        """A missing or null field gives the default, and is no mistake."""
        fields = self.fields(cmd=None)
        self.assertIsNone(fields.text("cmd"))
        self.assertEqual("a", fields.word("kind", "a", ("a", "b")))
        self.assertFalse(fields.flag("force"))
        self.assertEqual(1.5, fields.number("cpus", 1.5))
        self.assertIsNone(fields.optional_integer("port"))
        self.assertIsNone(fields.texts("args"))
        self.assertEqual({}, fields.mapping("env"))
        self.assertIsNone(fields.inner("container"))
        self.assertIsNone(fields.list_of("ports"))
        fields.mistakes.refuse()

    def test_types(self) -> None:
        """Every value of a wrong type is named with its path, and all of them together are 400."""
        fields = self.fields(a=1, b="x", c="x", d=1.5, e=[1], f=[], g={}, h=[1], i={"k": []})
        fields.text("a")
        fields.flag("b")
        fields.number("c", 0)
        fields.integer("d", 0)
        fields.texts("e")
        fields.mapping("f")
        fields.list_of("g")
        fields.list_of("h")
        fields.mapping("i", only_texts=True)
        refused = self.assertRaises(Refused, fields.mistakes.refuse)
        self.assertEqual(400, refused.status)
        self.assertEqual(
            [f"/app/{name}" for name in ("a", "b", "c", "d", "e", "f", "g", "h(0)", "i/k")],
            [mistake["path"] for mistake in refused.more["details"]],
        )

    def test_values(self) -> None:
        """Values out of range are 422, with their paths."""
        fields = self.fields(low=-1, high=2, kind="c")
        fields.number("low", 0)
        fields.integer("high", 0, 0, 1)
        self.assertEqual("a", fields.word("kind", "a", ("a", "b")))
        refused = self.assertRaises(Refused, fields.mistakes.refuse)
        self.assertEqual(422, refused.status)
        self.assertEqual(
            [("/app/low", ["is less than 0"]), ("/app/high", ["is greater than 1"]),
             ("/app/kind", ["must be one of a, b"])],
            [(mistake["path"], mistake["errors"]) for mistake in refused.more["details"]],
        )  # fmt: skip

    def test_nested(self) -> None:
        """Readers of inner objects know their paths, and share the list of mistakes."""
        fields = self.fields(container={"docker": {"image": 5}}, ports=[{"port": 80}, {"port": "x"}])
        container = fields.inner("container")
        assert container is not None
        docker = container.inner("docker")
        assert docker is not None
        docker.text("image")
        ports = [port.integer("port", 0) for port in fields.list_of("ports") or ()]
        self.assertEqual([80, 0], ports)
        self.assertEqual(
            ["/app/container/docker/image", "/app/ports(1)/port"],
            [mistake["path"] for mistake in fields.mistakes.types],
        )

    def test_texts_of_a_mapping(self) -> None:
        """Numbers and booleans become strings where only strings are allowed, and null is left out."""
        fields = self.fields(labels={"a": "x", "b": 1, "c": True, "d": None})
        self.assertEqual({"a": "x", "b": "1", "c": "true"}, fields.mapping("labels", only_texts=True))
