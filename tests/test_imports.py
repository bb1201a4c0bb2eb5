"""The order of the house: a module imports from its own wing and from what stands below it, never upward."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

FLOORS: tuple[tuple[str, ...], ...] = (
    ("cli", "tap", "image", "zdd"),
    ("script",),
    ("documentation",),
    ("service",),
    ("exclusive",),
    ("web",),
    ("parts",),
    ("controller",),
    ("haproxy",),
    ("config",),
    ("routing",),
    ("marathon",),
    ("logs",),
    ("options",),
    ("settings", "metrics", "errors", "timers", "causes"),
    ("redaction", "limits", "figures", "files", "endpoints", "problem_kinds"),
    ("__init__",),
    ("_version",),
)
"""From the top to the ground; the modules of one floor do not import each other."""

MAY_IMPORT: dict[str, frozenset[str]] = {
    "haproxy": frozenset(
        {
            "config",
            "logs",
            "options",
            "settings",
            "metrics",
            "errors",
            "files",
            "timers",
            "causes",
            "redaction",
            "limits",
        }
    ),
}
"""Wings that may import these others alone, though more stand below them: HAProxy is driven with plain values."""

INSIDE: dict[str, tuple[tuple[str, ...], ...]] = {
    "controller": (
        ("reconciler",),
        ("recorder", "early_drain", "cold_start"),
        ("event_log",),
        ("planner",),
        ("refusals",),
        ("certificates", "hold", "reload_limiter", "sentences", "timeline", "unready"),
    ),
    "haproxy": (
        ("factory",),
        ("applier",),
        ("running_config",),
        ("config_store", "background"),
        ("certificates", "rollback", "dynamic"),
        ("process",),
        ("runtime",),
        ("files", "diagnostics"),
        ("interfaces",),
    ),
    "config": (("*",), ("templates",), ("text",)),
    "routing": (("explain",), ("*",), ("services",), ("labels",), ("lines", "hosts", "names", "problems")),
    "marathon": (("factory", "federation"), ("*",), ("events",), ("parsing",), ("interfaces",), ("model",)),
    "web": (
        ("factory",),
        ("routes",),
        ("dashboard",),
        ("api",),
        ("server",),
        ("router",),
        ("access", "callback", "client", "context"),
    ),
}
"""
The same inside a wing, for its folders and modules from the top to the ground.

``*`` stands for all that are not named, which may import each other.
"""

STILL_WRONG = frozenset(
    {
        ("config.templates.heads", "config.frontends"),
        ("config.text.line_check", "config.sections"),
        ("controller.refusals.search", "controller.planner"),
        ("haproxy.files.state_directory", "haproxy.process.account"),
    }
)
"""Imports against INSIDE that wait to be put right; none may be added."""

PURE = (
    "config",
    "routing",
    "settings",
    "errors",
    "causes",
    "limits",
    "problem_kinds",
    "problem_kinds",
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
    "options.notices",
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


def is_not_allowed(wing: str, parts: list[str]) -> bool:
    """Whether an import from this wing, in its parts, is of a wing that MAY_IMPORT does not list."""
    if parts[0] != "marathonlb" or len(parts) < 2 or parts[1] == wing or parts[1] not in LEVEL:
        return False
    return wing in MAY_IMPORT and parts[1] not in MAY_IMPORT[wing]


def runs_up_inside(module: str, parts: list[str]) -> bool:
    """Whether an import from this module, in its parts, is of another folder of its wing that is not below it."""
    wing, _, rest = module.partition(".")
    if parts[:2] != ["marathonlb", wing] or len(parts) < 3 or not rest or wing not in INSIDE:
        return False
    floors = {name: level for level, floor in enumerate(INSIDE[wing]) for name in floor}
    own, other = rest.split(".")[0], parts[2]
    mine, its = (floors.get(name, floors.get("*")) for name in (own, other))
    if own == other or mine is None or its is None:
        return False
    if mine == its:
        return own in floors or other in floors
    return its < mine


def imported(parts: list[str]) -> str:
    """The module of marathonlb that an import names, without the name that is taken from it."""
    for length in (len(parts), len(parts) - 1):
        path = CHECKOUT.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file() or path.is_dir():
            return ".".join(parts[1:length])
    return ".".join(parts[1:])


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
        elif is_not_allowed(wing, parts):
            found.append(f"{where}: {wing} is driven with plain values")
        elif runs_up_inside(module, parts) and (module, imported(parts)) not in STILL_WRONG:
            found.append(f"{where}: that is above it in {wing}")
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

    def test_exceptions_are_needed(self) -> None:
        """Each import that is still wrong is there, so the list shrinks with them."""
        sources = {module: path.read_text(encoding="utf-8") for module, path in modules("marathonlb")}
        for module, other in STILL_WRONG:
            names = {name for name, _ in imports(ast.parse(sources.get(module, "")))}
            self.assertIn(f"marathonlb.{other}", names, f"{module}: take it off the list")

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
            ("haproxy.factory", "from marathonlb.routing.problems import Problem", "plain values"),
            ("haproxy.rollback.pin", "from marathonlb.marathon.model import App", "plain values"),
            (
                "haproxy.runtime.stats",
                "from marathonlb.haproxy.dynamic.servers import x",
                "above it in haproxy",
            ),
            ("haproxy.running_config", "from marathonlb.haproxy.applier import x", "above it in haproxy"),
            ("haproxy.rollback.pin", "from marathonlb.haproxy.dynamic.plan import x", "above it in haproxy"),
            ("config.text.diff", "from marathonlb.config.templates.table import x", "above it in config"),
            ("config.templates.loader", "from marathonlb.config.render import x", "above it in config"),
            ("routing.labels.parse", "from marathonlb.routing.services import x", "above it in routing"),
            ("routing.offers", "from marathonlb.routing.explain.answer import x", "above it in routing"),
            (
                "marathon.parsing.apps",
                "from marathonlb.marathon.events.hints import x",
                "above it in marathon",
            ),
            ("marathon.dns", "from marathonlb.marathon.factory import x", "above it in marathon"),
            (
                "controller.planner",
                "from marathonlb.controller.reconciler import x",
                "above it in controller",
            ),
            ("web.api.pin", "from marathonlb.web.dashboard.pages import x", "above it in web"),
            ("web.context", "from marathonlb.web import router", "above it in web"),
        ):
            self.assertIn(expected, " ".join(faults(module, source)), source)
        for module, source in (
            ("config.render", "from marathonlb.routing.rules import x"),
            ("routing.rules", "from marathonlb.routing import labels"),
            ("tap", "from twisted.internet import reactor"),
            ("marathon.client", "from twisted.internet import defer"),
            ("haproxy.applier", "from marathonlb.config.text.model import Config"),
            ("haproxy.certificates.companions", "from marathonlb.haproxy.process.binary import Binary"),
            ("routing.offers", "from marathonlb.routing.claims.settle import x"),
            ("web.api.pin", "from marathonlb.web.context import x"),
        ):
            self.assertEqual([], faults(module, source))
