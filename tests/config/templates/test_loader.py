"""Where a template's text comes from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.loader import (
    Templates,
    defaults_directory,
    load_templates,
    require_directory,
)
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.templates.template import classic
from marathonlb.errors import TemplateError
from tests.routing.apps import service


class SourceTests(SynchronousTestCase):
    """The four sources and their order."""

    def load(
        self, files: dict[str, str] | None = None, environment: dict[str, str] | None = None
    ) -> Templates:
        """The templates of a directory with these files; names lack ``HAPROXY_``."""
        directory = Path(self.mktemp())
        directory.mkdir()
        for name, text in (files or {}).items():
            (directory / name).write_text(text, encoding="utf-8")
        self.directory = str(directory)
        return load_templates(self.directory, environment or {})

    def test_defaults(self) -> None:
        """Without anything else every template has its default, whether the directory is there or not."""
        self.assertFalse(Path("templates").exists())
        for templates in (self.load(), load_templates("./templates", {}), load_templates("/nowhere", {})):
            self.assertEqual(set(templates.shared), set(BY_NAME))
            self.assertTrue(all(template.is_default for template in templates.shared.values()))

    def test_defaults_compile(self) -> None:
        """Every default with logic compiles; it is compiled in use when it is first rendered."""
        for name, template in load_templates("/nonexistent", {}).defaults.items():
            if template.program is not None:
                self.assertTrue(template.program.compiled, name)
                self.assertTrue(template.names, name)

    def test_no_directory(self) -> None:
        """A directory that somebody named and that is not there is said; the default one need not be there."""
        self.assertEqual((self.load().warnings, load_templates("./templates", {}).warnings), ((), ()))
        (warning,) = load_templates("/nowhere", {}).warnings
        self.assertIn("--templates: there is no directory /nowhere", warning)

    def test_shipped(self) -> None:
        """What ships is exactly one Jinja2 file for each template."""
        files = {path.name for path in defaults_directory().iterdir() if path.name.startswith("HAPROXY_")}
        self.assertEqual(files, {f"HAPROXY_{name}.j2" for name in BY_NAME})

    def test_order(self) -> None:
        """A label wins over the environment, the environment over the directory, that over the default."""
        files = {"HAPROXY_BACKEND_HEAD": "file {backend}", "HAPROXY_FRONTEND_HEAD": "file {backend}"}
        templates = self.load(files, {"HAPROXY_BACKEND_HEAD": "environment {backend}"})
        with_label = evolve(service(), overrides={"BACKEND_HEAD": "label {backend}"})
        said = [
            (template.render({"backend": "b"}), template.source)
            for template in (
                templates.get("BACKEND_HEAD", with_label),
                templates.get("BACKEND_HEAD", service()),
                templates.get("FRONTEND_HEAD", with_label),
            )
        ]
        self.assertEqual(
            said,
            [
                ("label b", "label HAPROXY_0_BACKEND_HEAD"),
                ("environment b", "environment HAPROXY_BACKEND_HEAD"),
                ("file b", f"file {self.directory}/HAPROXY_FRONTEND_HEAD"),
            ],
        )
        self.assertTrue(templates.overridden("FRONTEND_HEAD", service()))
        self.assertFalse(templates.overridden("USERLIST_HEAD", with_label))

    def test_syntaxes(self) -> None:
        """A file is classic, one that ends in ``.j2`` Jinja2; a literal template stays so but in Jinja2."""
        templates = self.load(
            {
                "HAPROXY_BACKEND_HEAD": "{backend} {{x}}\r\ny",
                "HAPROXY_FRONTEND_HEAD.j2": "{{ backend }} {x}",
                "HAPROXY_HEAD": "{backend}",
                "HAPROXY_BACKEND_HTTP_OPTIONS.j2": "{{ backend }}",
            }
        )
        names = ("BACKEND_HEAD", "FRONTEND_HEAD", "HEAD", "BACKEND_HTTP_OPTIONS")
        said = [templates.get(name).render({"backend": "b"}) for name in names]
        self.assertEqual(said, ["b {x}\ny", "b {x}", "{backend}", "b"])

    def test_newlines_in_the_environment(self) -> None:
        r"""The two characters ``\n`` mean a newline there, and only there."""
        templates = self.load({"HAPROXY_FRONTEND_HEAD": r"a\nb"}, {"HAPROXY_BACKEND_HEAD": r"a\nb\tc"})
        self.assertEqual(templates.get("BACKEND_HEAD").render({}), "a\nb\\tc")
        self.assertEqual(templates.get("FRONTEND_HEAD").render({}), r"a\nb")

    def test_both_files(self) -> None:
        """A classic and a Jinja2 file of one name are an error that names both."""
        error = self.assertRaises(TemplateError, self.load, {"HAPROXY_HEAD": "a", "HAPROXY_HEAD.j2": "b"})
        self.assertIn("HAPROXY_HEAD.j2:", str(error))
        self.assertIn("/HAPROXY_HEAD is for the same template", str(error))

    def test_unknown(self) -> None:
        """A file or a variable that is no template is reported with the nearest name, and others are not looked at."""
        files = {"HAPROXY_BACKEND_HEADS": "x", "HAPROXY_ZZZ.j2": "x", "README": "x"}
        environment = {
            "HAPROXY_FRONTEND_HEDA": "x",
            "HAPROXY_SSL_CERT": "x",
            "HAPROXY_GLOBAL_DEFAULT_OPTIONS": "x",
        }
        warnings = self.load(files, environment).warnings
        self.assertEqual(len(warnings), 3)
        self.assertRegex(
            warnings[0], "HAPROXY_BACKEND_HEADS is not a template .* nearest name is HAPROXY_BACKEND_HEAD$"
        )
        self.assertRegex(warnings[1], "HAPROXY_ZZZ.j2 is not a template and is not used$")
        self.assertRegex(
            warnings[2], "variable HAPROXY_FRONTEND_HEDA is not a template .* HAPROXY_FRONTEND_HEAD$"
        )

    def test_unusable(self) -> None:
        """A file that is no text, holds a NUL byte or is no Jinja2 is an error that names it."""
        for name, content in (
            ("HAPROXY_HEAD", b"\xff\xfe"),
            ("HAPROXY_HEAD", b"a\0b"),
            ("HAPROXY_HEAD.j2", b"{% nope %}"),
        ):
            directory = Path(self.mktemp())
            directory.mkdir()
            (directory / name).write_bytes(content)
            error = self.assertRaises(TemplateError, load_templates, str(directory), {})
            self.assertIn(name, str(error))
        self.assertRaises(TemplateError, load_templates, "/nowhere", {"HAPROXY_HEAD": "a\0b"})

    def test_unreadable(self) -> None:
        """A directory that is a file, or a template that is a directory, is an error that names it."""
        path = Path(self.mktemp())
        path.write_text("")
        self.assertIn(str(path), str(self.assertRaises(TemplateError, load_templates, str(path), {})))
        directory = Path(self.mktemp())
        (directory / "HAPROXY_HEAD").mkdir(parents=True)
        self.assertRaises(TemplateError, load_templates, str(directory), {})

    def test_put(self) -> None:
        """Another text can be put in the place of one."""
        templates = self.load({"HAPROXY_BACKEND_HEAD": "x", "HAPROXY_FRONTEND_HEAD": "y"})
        templates = templates.put({"BACKEND_HEAD": classic("BACKEND_HEAD", "z", "file z")})
        self.assertEqual(templates.get("BACKEND_HEAD").render({}), "z")
        self.assertEqual(templates.get("FRONTEND_HEAD").render({}), "y")

    def test_directory_is_gone(self) -> None:
        """A directory with whose templates HAProxy runs is not taken for an empty one when it is gone."""
        good = self.load({"HAPROXY_BACKEND_HEAD": "x"}).shared
        require_directory(self.directory, good)
        shutil.rmtree(self.directory)
        error = self.assertRaises(TemplateError, require_directory, self.directory, good)
        self.assertIn("is missing, and HAProxy last ran with its HAPROXY_BACKEND_HEAD", str(error))
        require_directory("/elsewhere", good)
        Path(self.directory).mkdir()
        require_directory(self.directory, good)


class EditorFileTests(SynchronousTestCase):
    """What editors leave behind."""

    def test_backup(self) -> None:
        """A backup copy of a template is reported, not used."""
        directory = Path(self.mktemp())
        directory.mkdir()
        for name in ("HAPROXY_HEAD~", "HAPROXY_HEAD.bak"):
            (directory / name).write_text("x")
        templates = load_templates(os.fspath(directory), {})
        self.assertEqual(len(templates.warnings), 2)
        self.assertTrue(templates.get("HEAD").is_default)
