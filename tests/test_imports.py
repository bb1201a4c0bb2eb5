"""The order of the house: a module imports from its own wing and from what stands below it, never upward."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.shared import CHECKOUT

FLOORS: tuple[tuple[str, ...], ...] = (
    ("cli", "tap", "image", "zdd"),
    ("script",),
    ("documentation",),
    ("exclusive",),
    ("service",),
    ("web",),
    ("controller",),
    ("haproxy",),
    ("config",),
    ("routing",),
    ("marathon",),
    ("logs",),
    ("options",),
    ("settings", "metrics", "errors", "timers"),
    ("redaction", "limits", "files"),
    ("__init__",),
    ("_version",),
)
"""From the top to the ground; the modules of one floor do not import each other."""

PURE = (
    "config",
    "routing",
    "settings",
    "errors",
    "limits",
    "redaction",
    "documentation",
    "haproxy.diagnostics",
    "marathon.model",
    "marathon.parsing",
    "marathon.cluster",
    "marathon.events.sse",
    "marathon.events.hints",
    "options.values",
    "options.option",
    "options.table",
    "options.settings",
    "options.markdown",
    "zdd.definition",
    "zdd.pair",
    "zdd.plan",
    "zdd.course",
    "zdd.clients.statistics",
)
"""What imports nothing of Twisted: modules, or whole wings."""

REACTOR = ("cli", "tap")
"""The only ones that import the global reactor."""

LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that is imported, wherever it stands, with the line; of ``from a import b`` also ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module, node.lineno
            for name in node.names:
                yield f"{module}.{name.name}", node.lineno


def modules(package: str) -> Iterable[tuple[str, Path]]:
    """The modules of a package of this checkout, by their names below the package."""
    root = CHECKOUT / package
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), path


def is_pure(module: str) -> bool:
    """Whether a module is, or lies in, one of the pure ones."""
    return any(module == name or module.startswith(f"{name}.") for name in PURE)


def runs_up(wing: str, parts: list[str]) -> bool:
    """Whether an import from this wing, in its parts, is of another one that does not stand below it."""
    if parts[0] != "marathonlb" or len(parts) < 2 or parts[1] == wing:
        return False
    return parts[1] in LEVEL and wing in LEVEL and LEVEL[parts[1]] <= LEVEL[wing]


def faults(module: str, source: str) -> list[str]:
    """
    What a module of marathonlb imports though it may not.

    :param module: its name below the package (``routing.rules``).
    """
    wing = module.split(".")[0]
    found = [] if wing in LEVEL else [f"{module}: {wing} has no floor in FLOORS"]
    for name, line in imports(ast.parse(source)):
        parts = name.split(".")
        where = f"{module}:{line} imports {name}"
        if name.startswith("."):
            found.append(f"{where}: not by its full name")
        elif parts[0] == "minimarathon":
            found.append(f"{where}: the two packages know nothing of each other")
        elif name == "twisted.internet.reactor" and wing not in REACTOR:
            found.append(f"{where}: only the faces may")
        elif parts[0] == "twisted" and is_pure(module):
            found.append(f"{where}: it is pure")
        elif runs_up(wing, parts):
            found.append(f"{where}: that is above it")
    return sorted(set(found))


class DirectionTests(SynchronousTestCase):
    """Every import of the packages."""

    def test_nothing_runs_up(self) -> None:
        """No module of marathonlb imports what stands above it, and the pure ones nothing of Twisted."""
        found = [
            fault
            for module, path in modules("marathonlb")
            for fault in faults(module, path.read_text(encoding="utf-8"))
        ]
        self.assertEqual([], found, "\n".join(found))

    def test_minimarathon_stands_alone(self) -> None:
        """The small Marathon imports nothing of the load balancer's, and no global reactor outside its faces."""
        for module, path in modules("minimarathon"):
            for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
                self.assertNotEqual("marathonlb", name.split(".")[0], f"{module}:{line}")
                if name == "twisted.internet.reactor":
                    self.assertIn(module, ("tap", "demo", "__main__"), f"{module}:{line}")

    def test_everything_pure_exists(self) -> None:
        """The list of pure modules names no module that is gone."""
        known = {module for module, _ in modules("marathonlb")}
        for name in PURE:
            self.assertTrue(any(module == name or module.startswith(f"{name}.") for module in known), name)

    def test_faults_are_found(self) -> None:
        """Each kind of forbidden import is noticed."""
        for module, source, expected in (
            ("routing.rules", "import marathonlb.config.text.model", "above"),
            ("routing.rules", "from marathonlb import config", "above"),
            ("routing.rules", "def f():\n    from marathonlb.service import x", "above"),
            ("routing.rules", "from twisted.internet import defer", "pure"),
            ("marathon.client", "from twisted.internet import reactor", "faces"),
            ("service", "from minimarathon import state", "each other"),
            ("service", "from . import web", "full name"),
            ("settings", "from marathonlb import errors", "above"),
            ("unheard_of", "", "no floor"),
        ):
            self.assertIn(expected, " ".join(faults(module, source)), source)
        for module, source in (
            ("config.render", "from marathonlb.routing.rules import x"),
            ("routing.rules", "from marathonlb.routing import labels"),
            ("tap", "from twisted.internet import reactor"),
            ("marathon.client", "from twisted.internet import defer"),
        ):
            self.assertEqual([], faults(module, source))
