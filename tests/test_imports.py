"""The order of the wings: a module imports from its own wing and from those below it, never upward."""

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
    ("settings", "metrics", "errors", "timers"),
    ("base", "problem_kinds"),
    ("__init__",),
    ("_version",),
)
"""The wings from the top to the ground; those of one floor do not import each other."""

MAY_IMPORT: dict[str, frozenset[str]] = {
    "haproxy": frozenset("base config logs options settings metrics errors timers".split()),
}
"""Wings that may import these others alone, though more stand below them: HAProxy is driven with plain values."""

INSIDE: dict[str, tuple[tuple[str, ...], ...]] = {
    "controller": (
        ("reconciler",),
        ("convergence", "scheduler"),
        ("recorder", "early_drain"),
        ("event_log",),
        ("refusals.search",),
        ("planner",),
        ("refusals",),
        ("planned_config",),
        ("certificates", "hold", "reload_limiter", "sentences", "status", "timeline"),
    ),
    "haproxy": (
        ("factory",),
        ("managed",),
        ("applier",),
        ("update_sequence",),
        ("background", "reload_sequence"),
        ("running_config", "config_store"),
        ("running_text",),
        ("certificates", "rollback", "dynamic"),
        ("process",),
        ("files",),
        ("interfaces",),
        ("outcome",),
        ("reload_reason",),
        ("runtime", "diagnostics"),
    ),
    "config": (("*",), ("templates",), ("text",)),
    "routing": (
        ("explain",),
        ("offers",),
        ("groups", "policy", "quarantine"),
        ("deployments", "sni"),
        ("tls_hosts",),
        ("rules",),
        ("acl_placement", "claims"),
        ("precedence",),
        ("services",),
        ("labels",),
        ("lines", "hosts", "names", "problems"),
    ),
    "marathon": (("factory", "federation"), ("*",), ("events",), ("parsing",), ("interfaces",), ("model",)),
    "web": (
        ("factory",),
        ("routes",),
        ("dashboard",),
        ("api",),
        ("server",),
        ("router",),
        ("access", "callback", "client", "context"),
        ("connections", "page", "redaction", "threads", "tokens"),
    ),
}
"""
The same inside a wing, for its folders and modules from the top to the ground. A name with a dot is a module that
stands on another floor than its folder. ``*`` stands for all that are not named, which may import each other.
"""

PURE = (
    "config",
    "routing",
    "settings",
    "errors",
    "base.causes",
    "base.limits",
    "base.redaction",
    "problem_kinds",
    "documentation",
    "haproxy.diagnostics",
    "marathon.model",
    "marathon.parsing",
    "marathon.cluster",
    "marathon.events.sse",
    "marathon.events.hints",
    "marathon.events.stream_lifecycle",
    "marathon.poll_lifecycle",
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
"""The modules and whole wings that import nothing of Twisted."""

REACTOR = ("cli", "tap")
"""The only wings that import the global reactor."""

LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every imported module with its line, wherever the import stands; of ``from a import b`` also ``a.b``."""
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
    """Yield the modules of a package of this checkout, by their names below the package."""
    root = CHECKOUT / package
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), path


def is_pure(module: str) -> bool:
    """Return whether a module is in PURE, by itself or with its wing."""
    return any(module == name or module.startswith(f"{name}.") for name in PURE)


def runs_up(wing: str, parts: list[str]) -> bool:
    """Return whether an import from a wing, in its parts, is of another wing that is not below it."""
    if parts[0] != "marathonlb" or len(parts) < 2 or parts[1] == wing:
        return False
    return parts[1] in LEVEL and wing in LEVEL and LEVEL[parts[1]] <= LEVEL[wing]


def is_not_allowed(wing: str, parts: list[str]) -> bool:
    """Return whether an import from a wing, in its parts, is of a wing that MAY_IMPORT does not list."""
    if parts[0] != "marathonlb" or len(parts) < 2 or parts[1] == wing or parts[1] not in LEVEL:
        return False
    return wing in MAY_IMPORT and parts[1] not in MAY_IMPORT[wing]


def floor_of(wing: str, name: str) -> tuple[str, int | None]:
    """
    Return which entry of INSIDE a module or a name in it belongs to, and its floor; None where it has none.

    :param name: the name below the wing (``labels.parse``).
    """
    floors = {entry: level for level, floor in enumerate(INSIDE[wing]) for entry in floor}
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        entry = ".".join(parts[:length])
        if entry in floors:
            return entry, floors[entry]
    return parts[0], floors.get("*")


def runs_up_inside(module: str, parts: list[str]) -> bool:
    """Return whether an import from a module, in its parts, is of another part of its wing that is not below it."""
    wing, _, name = module.partition(".")
    if parts[:2] != ["marathonlb", wing] or len(parts) < 3 or not name or wing not in INSIDE:
        return False
    (own, level), (other, its) = floor_of(wing, name), floor_of(wing, ".".join(parts[2:]))
    if own == other or level is None or its is None:
        return False
    listed = {entry for floor in INSIDE[wing] for entry in floor}
    return its < level or (its == level and (own in listed or other in listed))


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
        elif runs_up_inside(module, parts):
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

    def test_everything_inside_has_a_floor(self) -> None:
        """Each part of a wing that INSIDE orders has a floor there, and INSIDE names nothing that is gone."""
        known = {module for module, _ in modules("marathonlb")}
        for wing, floors in INSIDE.items():
            for module in known:
                if module.startswith(f"{wing}."):
                    _, level = floor_of(wing, module.partition(".")[2])
                    self.assertIsNotNone(level, f"{module}: give it a floor in INSIDE")
            for entry in (entry for floor in floors for entry in floor if entry != "*"):
                self.assertIn(f"{wing}.{entry}", known)

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
