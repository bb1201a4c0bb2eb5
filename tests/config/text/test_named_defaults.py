"""The named defaults from which backends are made while HAProxy runs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text import named_defaults
from marathonlb.config.text.model import Chunk, Owner, Section
from marathonlb.config.text.named_defaults import PREFIX, InheritedDefaults, inherited
from marathonlb.marathon.model import HealthCheck
from tests.config.clusters import overriding, renderer
from tests.routing.apps import service

CHECK = HealthCheck(path="/up", timeout_seconds=7)


def head(*lines: str) -> Section:
    """A head of these lines."""
    return Section("head", "", (Chunk("".join(f"{line}\n" for line in lines), Owner()),))


class InheritedTests(SynchronousTestCase):
    """What the backends of a configuration inherit."""

    def test_last(self) -> None:
        """It is what the last defaults say, wherever they stand and whatever they are called."""
        first = head("global", "  maxconn 5", "defaults base", "  mode tcp", "", "listen stats", "  bind :1")
        self.assertEqual(inherited([first]), InheritedDefaults("", "  mode tcp\n"))
        second = head("defaults  # ours", "  mode http", "  retries 3")
        self.assertEqual(inherited([first, second]), InheritedDefaults("", "  mode http\n  retries 3\n"))
        self.assertEqual(inherited([head("global")]), InheritedDefaults())

    def test_parent(self) -> None:
        """Defaults that are made from others stay made from them."""
        found = inherited([head("defaults base", "  mode tcp", "defaults next from base", "  retries 3")])
        assert found is not None
        self.assertEqual(found, InheritedDefaults("from base", "  retries 3\n"))
        self.assertRegex(found.section("").text, rf"\ndefaults {PREFIX}\w+ from base\n  retries 3\n$")

    def test_conditions(self) -> None:
        """Where conditions decide, only HAProxy knows."""
        self.assertIsNone(
            inherited([head("defaults", "  mode http", "  .if defined(A)", "  retries 1", "  .endif")])
        )
        self.assertEqual(
            named_defaults.sections([head(".if defined(A)", "defaults", ".endif")], ["  mode http\n"], ()), ()
        )

    def test_ours(self) -> None:
        """The sections that this makes are inherited by nobody."""
        found = inherited([head("defaults", "  mode http")])
        assert found is not None
        self.assertEqual(inherited([head("defaults", "  mode http"), found.section("  mode tcp\n")]), found)


class SectionsTests(SynchronousTestCase):
    """Which sections there are."""

    above = (head("defaults", "  mode http"),)

    def made(self, *bodies: str, always: tuple[str, ...] = ()) -> list[str]:
        return [section.text for section in named_defaults.sections(self.above, always, bodies)]

    def test_one_each(self) -> None:
        """Backends that say the same share a section, whose name is the digest of all that it says."""
        one, other = "  balance first\n", "  balance leastconn\n"
        texts = self.made(one, other, one)
        self.assertEqual(len(texts), 2)
        self.assertEqual(texts, self.made(other, one))
        names = {text.split("defaults ")[1].split()[0] for text in texts}
        self.assertEqual(names, {InheritedDefaults("", "  mode http\n").name(body) for body in (one, other)})
        self.assertNotEqual(
            InheritedDefaults("", "  mode tcp\n").name(one), InheritedDefaults("", "  mode http\n").name(one)
        )

    def test_cannot_be_said(self) -> None:
        """What a defaults section cannot say has none: ACLs, stick tables, filters, what nobody knows."""
        for line in ("acl a src 1.2.3.4", "stick-table type ip size 1", "filter trace", "nonsense here"):
            self.assertEqual(self.made(f"  mode http\n  {line}\n"), [], line)

    def test_bound(self) -> None:
        """Of many kinds the most common ones have a section, and those that always have one."""
        bodies = [f"  retries {number}\n" for number in range(2 * named_defaults.MOST)]
        texts = "".join(self.made(*bodies, *bodies[-5:], always=("  retries 777\n",)))
        self.assertEqual(texts.count("\ndefaults "), named_defaults.MOST)
        for body in (*bodies[-5:], "  retries 777\n"):
            self.assertIn(body, texts)


class RenderedTests(SynchronousTestCase):
    """In a whole configuration."""

    def test_behind_everything(self) -> None:
        """They are written when they are asked for, stand last, and change nothing of the rest."""
        mine = renderer()
        services = [service("one", 1, hosts=("a.com",)), service("two", 2, mode="tcp")]
        without = mine.render(services).config
        self.assertTrue(mine.write_defaults())
        self.assertFalse(mine.write_defaults())
        config = mine.render(services).config
        self.assertTrue(config.template.startswith(without.template))
        self.assertEqual({section.kind for section in config.sections[len(without.sections) :]}, {"defaults"})
        self.assertEqual(mine.copy().render(services).config.template, config.template)

    def test_name_is_found_again(self) -> None:
        """The name for a backend is found from the text of the files alone, whatever its servers are."""
        mine = renderer()
        mine.write_defaults()
        config = mine.render([service("one", 1, hosts=("a.com",), health_check=CHECK)]).config
        backend = next(section for section in config if section.name == "one_1")
        rest = "".join(line for line in backend.text.splitlines(True) if not line.startswith("  server "))
        found = inherited(config.sections)
        assert found is not None
        name = found.name(named_defaults.body(rest))
        (section,) = (section for section in config if section.name == name)
        self.assertTrue(section.text.endswith(named_defaults.body(rest)))
        self.assertIn("option httpchk GET /up", section.text)

    def test_servers_alone(self) -> None:
        """A change of servers is still written into the right backend."""
        mine = renderer()
        mine.write_defaults()
        one, two = service("one", 1, hosts=("a.com",)), service("two", 2, hosts=("b.com",))
        rendered = mine.render([one, two])
        changed = service("two", 2, hosts=("b.com",), servers=())
        quick = mine.render_servers(rendered, [(two, changed)])
        assert quick is not None
        self.assertEqual(quick.config.template, mine.render([one, changed]).config.template)

    def test_operators_template(self) -> None:
        """They say what the operator's templates say; where that cannot be, there are none."""
        for text, count in (
            ("  retries 9", 2),
            ("  acl a always_true", 0),
            ("  retries {hostname_of_nobody}", 0),
            ("  http-request set-header X-App {appId}", 0),
        ):
            mine = renderer(overriding(BACKEND_HEAD=f"backend {{backend}}\n{text}\n"))
            mine.write_defaults()
            texts = [section.text for section in mine.render([]).config if section.kind == "defaults"]
            self.assertEqual(len([each for each in texts if text in each]), count, text)
            self.assertEqual(len(texts), count, text)
