"""Templates in both syntaxes."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base import limits
from marathonlb.config.templates.template import classic, jinja
from marathonlb.errors import TemplateError

VARIABLES = {"backend": "shop_80", "port": 80, "name": "x"}


def rendered(text: str, name: str = "BACKEND_HEAD") -> str:
    """A classic text with the variables above."""
    return classic(name, text, "label HAPROXY_0_X").render(VARIABLES)


class ClassicTests(SynchronousTestCase):
    """Labels, environment and plain files."""

    def test_substitution(self) -> None:
        """Plain names are variables, doubled braces one brace, any other brace itself."""
        table = {
            "backend {backend}:{port}": "backend shop_80:80",
            "if {{ ssl_fc }}": "if { ssl_fc }",
            "if { ssl_fc }": "if { ssl_fc }",
            "{backend.__class__} {backend!r} {0} {port:>5} {}": "{backend.__class__} {backend!r} {0} {port:>5} {}",
            "{{{backend}}}": "{shop_80}",
            "{{backend}}": "{backend}",
            "{ {backend} }": "{ shop_80 }",
            "a } b { c": "a } b { c",
            "{backend": "{backend",
            "{näme}": "{näme}",
            "%[var(txn.x)] \\1 $HOME": "%[var(txn.x)] \\1 $HOME",
            "": "",
        }
        for text, wanted in table.items():
            self.assertEqual(rendered(text), wanted, text)

    def test_unknown(self) -> None:
        """An unknown plain name is an error that names the source, the nearest name and those there are."""
        error = self.assertRaises(TemplateError, rendered, "x {backened} y")
        self.assertIn("label HAPROXY_0_X: HAPROXY_BACKEND_HEAD has no variable {backened}", str(error))
        self.assertIn("did you mean {backend}?", str(error))
        self.assertIn("{{backened}}", str(error))
        self.assertIn("backend, name, port", str(error))

    def test_values_are_not_read_again(self) -> None:
        """Braces in a variable's value are text."""
        template = classic("BACKEND_HEAD", "{name}", "")
        self.assertEqual(template.render({"name": "{backend}", "backend": "x"}), "{backend}")

    def test_literal(self) -> None:
        """A literal template is not substituted at all."""
        for name in ("HEAD", "BACKEND_HTTP_OPTIONS"):
            self.assertEqual(rendered("{backend} {{x}} {nope}", name), "{backend} {{x}} {nope}")

    def test_empty(self) -> None:
        """Blank text says nothing."""
        self.assertTrue(classic("BACKEND_HEAD", " \n", "").is_empty)
        self.assertFalse(classic("BACKEND_HEAD", "x", "").is_empty)

    @settings(max_examples=200, deadline=None)
    @given(st.text(alphabet="{}ab .!", max_size=12))
    def test_any(self, text: str) -> None:
        """Any text is rendered or refused with words, and without braces it stays as it is."""
        template = classic("BACKEND_HEAD", text, "label")
        try:
            found = template.render({"a": "1", "ab": "2"})
        except TemplateError as error:
            self.assertIn("has no variable", str(error))
        else:
            if "{" not in text and "}" not in text:
                self.assertEqual(found, text)


class JinjaTests(SynchronousTestCase):
    """Files that end in ``.j2``, and our defaults."""

    def test_render(self) -> None:
        """Variables, logic and whole lines of logic that leave none."""
        text = "a {{ backend }}\n{% if port == 80 %}\n  http\n{% endif %}\n{% for n in [1, 2] %}\n{{ n }}\n{% endfor %}"
        self.assertEqual(jinja("BACKEND_HEAD", text, "file").render(VARIABLES), "a shop_80\n  http\n1\n2\n")

    def test_plain_is_fast(self) -> None:
        """A template of plain variables alone needs no program, and says the same."""
        text = "x {{ backend }} {{port}}\n { ssl_fc } }\n"
        template = jinja("HEAD", text, "file")
        self.assertIsNone(template.program)
        self.assertEqual(template.render(VARIABLES), "x shop_80 80\n { ssl_fc } }\n")
        self.assertEqual(template.names, {"backend", "port"})

    def test_undefined(self) -> None:
        """An unknown name is an error that names the file, with logic and without."""
        for text in ("{{ nope }}", "{% if nope %}x{% endif %}", "{{ service.nope }}"):
            template = jinja("BACKEND_HEAD", text, "file /t/HAPROXY_BACKEND_HEAD.j2")
            error = self.assertRaises(TemplateError, template.render, {**VARIABLES, "service": object()})
            self.assertIn("file /t/HAPROXY_BACKEND_HEAD.j2", str(error))

    def test_syntax(self) -> None:
        """What is no Jinja2 is an error that names file and line."""
        error = self.assertRaises(TemplateError, jinja, "HEAD", "ok\n{% if %}\n", "file x")
        self.assertIn("file x: line 2", str(error))

    def test_late(self) -> None:
        """A default is compiled when it is first rendered, a file of the operator at once."""
        broken = "{% if %}"
        self.assertRaises(TemplateError, jinja, "HEAD", broken, "file /t/HAPROXY_HEAD.j2")
        error = self.assertRaises(TemplateError, jinja("HEAD", broken, "default").render, {})
        self.assertIn("line 1", str(error))

    def test_reads(self) -> None:
        """A template knows whether it reads a variable; another word that holds its name is none."""
        for text, reads in (
            ("{{ app }}", True),
            ("{% if app.id %}x{% endif %}", True),
            ("{% if appId %}app{% endif %}", False),
            ("{% if appId %}x{% endif %}", False),
        ):
            self.assertEqual(jinja("HEAD", text, "default").reads("app"), reads, text)

    def test_sandbox(self) -> None:
        """No way leads from a variable to Python, and a mistake in an expression is an error with words."""
        for text in (
            "{{ backend.__class__.__mro__ }}", "{{ ''.__class__.__subclasses__() }}", "{{ 1 / 0 }}",
            "{{ backend + 1 }}", "{{ [][5] + 'x' }}", "{{ backend | nofilter }}", "{{ range(10 ** 9) | list }}",
        ):  # fmt: skip
            self.assertRaises(
                TemplateError, lambda text=text: jinja("HEAD", text, "file x").render(VARIABLES)
            )

    def test_no_escaping(self) -> None:
        """Nothing is escaped for HTML."""
        self.assertEqual(jinja("HEAD", "{{ name }}{# #}", "").render({"name": "<&'>"}), "<&'>")


class LimitTests(SynchronousTestCase):
    """The length of a label's text."""

    def test_length(self) -> None:
        """A label's text that becomes too long with its variables is an error; the operator's is not."""
        text = "{a}" * 4
        values = {"a": "x" * (limits.RENDERED // 4 + 1)}
        error = self.assertRaises(TemplateError, classic("BACKEND_HEAD", text, "label X").render, values)
        self.assertIn(f"the maximum is {limits.RENDERED}", error.reason)
        self.assertEqual(classic("BACKEND_HEAD", text, "file x").render(values), 4 * values["a"])


class AmendedTests(SynchronousTestCase):
    """Lines and texts that are not used."""

    def test_amended(self) -> None:
        """An amended line is replaced wherever it stands on its own."""
        template = evolve(
            classic("HEAD", "nbproc 4\nx nbproc 4\n", "file x"), amended=(("nbproc 4", "# nbproc 4"),)
        )
        self.assertEqual(template.render({}), "# nbproc 4\nx nbproc 4\n")

    def test_closed(self) -> None:
        """A closed template renders nothing: its error has the reason and says that it is closed."""
        template = evolve(classic("HEAD", "x", "file x"), closed="is closed")
        error = self.assertRaises(TemplateError, template.render, {})
        self.assertEqual((error.template, error.reason, error.closed), ("HEAD", "is closed", True))
