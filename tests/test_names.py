"""Class names are unique, and no code takes a sentence apart."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_imports import modules

SENTENCES = frozenset({"reason", "why", "message", "summary"})
"""Names of variables and attributes that hold a sentence for a person."""

PARSING = frozenset(
    {"startswith", "endswith", "split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix"}
)
"""Methods of strings that take a sentence apart."""

FOREIGN = frozenset(
    {
        "config.templates.removed_lines",  # HAProxy's warnings and alerts
        "controller.refusals.label",  # HAProxy's complaint about a line
        "haproxy.certificates.inventory",  # a path in HAProxy's message
        "haproxy.diagnostics.blame",  # HAProxy's complaint
        "haproxy.diagnostics.hints",  # HAProxy's complaint
        "haproxy.diagnostics.messages",  # the output of `haproxy -c`
        "marathon.api.answer",  # Marathon's message, which gives no code
    }
)
"""Modules that read sentences of HAProxy or Marathon: these give no facts in another form."""


def name_of(node: ast.expr) -> str:
    """Return the last name of an expression (``reason`` of ``error.reason``); empty if there is none."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def is_parsing(node: ast.AST) -> bool:
    """Return whether an expression takes a sentence apart: a method, ``in``, or a regular expression."""
    if isinstance(node, ast.Compare):
        pairs = zip(node.ops, node.comparators, strict=True)
        return any(isinstance(op, (ast.In, ast.NotIn)) and name_of(right) in SENTENCES for op, right in pairs)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr in PARSING and name_of(node.func.value) in SENTENCES:
        return True
    is_search = node.func.attr in ("search", "match", "fullmatch", "findall", "finditer")
    return is_search and any(name_of(argument) in SENTENCES for argument in node.args)


def parsed(source: str) -> Iterator[str]:
    """Yield the expressions of a module that take a sentence apart."""
    return (ast.unparse(node) for node in ast.walk(ast.parse(source)) if is_parsing(node))


class NameTests(SynchronousTestCase):
    """Every module of marathonlb."""

    def test_classes_are_unique(self) -> None:
        """No two classes of marathonlb have the same name."""
        places = defaultdict[str, list[str]](list)
        for module, path in modules("marathonlb"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(module)
        self.assertEqual({}, {name: where for name, where in places.items() if len(where) > 1})

    def test_no_sentence_is_parsed(self) -> None:
        """No module takes a sentence of marathon-lb apart; those that read foreign sentences are listed."""
        found = {
            module: list(parsed(path.read_text(encoding="utf-8"))) for module, path in modules("marathonlb")
        }
        self.assertEqual(
            {}, {module: places for module, places in found.items() if places and module not in FOREIGN}
        )
        self.assertEqual(
            [], [module for module in FOREIGN if not found.get(module)], "these need no exception"
        )

    def test_parsing_is_found(self) -> None:
        """Each way to take a sentence apart is noticed, and other uses of it are not."""
        for source in (
            "reason.startswith('certificate')",
            "hint.why.split(', ')",
            "problem.message.removeprefix('x')",
            "'map' in outcome.reason",
            "'map' not in reason",
            "re.search('map', reason)",
            "PATTERN.match(problem.summary)",
        ):
            self.assertEqual([source], list(parsed(source)))
        for source in (
            "f'{reason}.'",
            "reason == other",
            "reasons.split(',')",
            "message.lower()",
            "reason in REASONS",
        ):
            self.assertEqual([], list(parsed(source)))
