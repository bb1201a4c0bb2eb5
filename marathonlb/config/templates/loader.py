"""
Loads templates: an app's label, the environment, the operator's directory, the default; the first one found is used.

`load_templates` reads all files; everything after it is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from attrs import field, frozen

import marathonlb
from marathonlb.config.templates.table import BY_NAME, nearest
from marathonlb.config.templates.template import Template, classic, jinja
from marathonlb.config.text.model import LABEL_SOURCE
from marathonlb.errors import TemplateError
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

DEFAULT_DIRECTORY = Path(Settings().templates)
"""The default of --templates, which may be missing without a warning."""

ENVIRONMENT_NOT_TEMPLATES = frozenset(
    {
        "GLOBAL_DEFAULT_OPTIONS",
        "SSL_CERTS",
        "SSL_CERT",
        "SYSCTL_PARAMS",
        "SYSCTL_NONSTRICT",
        "SYSLOGD",
        "VERSION",
        "MAJOR",
        "MD5",
        "UUID",
        "SHA256",
        "URL",
        "LOCALPEER",
        "CLI",
        "MWORKER",
        "CFGFILES",
    }
)
"""``HAPROXY_`` environment variables that are no templates: ours, those of images, and HAProxy's own."""


@frozen(slots=False)
class Templates:
    """
    The templates of one controller.

    :param shared: template name to the template used for services without an overriding label.
    :param defaults: template name to the template that ships.
    :param warnings: files and variables named like a template that are none, one line each.
    """

    shared: Mapping[str, Template]
    defaults: Mapping[str, Template] = field(factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    changed: frozenset[str] = field(init=False, repr=False)
    """The names of the templates whose shared text is not the default."""

    @changed.default
    def _changed(self) -> frozenset[str]:
        return frozenset(name for name, template in self.shared.items() if not template.is_default)

    @cached_property
    def read_app(self) -> bool:
        """True if a shared template reads the object ``app``; then equal services may have different text."""
        return any(template.reads("app") for template in self.shared.values())

    def get(self, name: str, service: Service | None = None) -> Template:
        """Return the template of a service, or the shared one."""
        if service is not None:
            text = service.overrides.get(name)
            if text is not None:
                return classic(name, text, f"{LABEL_SOURCE}HAPROXY_{service.port_index}_{name}")
        return self.shared[name]

    def put(self, changed: Mapping[str, Template]) -> Templates:
        """Return a copy with other shared templates for some names."""
        return Templates({**self.shared, **changed}, self.defaults, self.warnings) if changed else self

    def overridden(self, name: str, service: Service) -> bool:
        """Return whether a label or the operator overrides the default of a template."""
        return name in service.overrides or name in self.changed


def defaults_directory() -> Path:
    """
    Return the directory of the templates that ship: inside an installed package, or at the top of a checkout.

    :raises TemplateError: there is none.
    """
    package = Path(marathonlb.__file__).parent
    for candidate in (package / "templates", package.parent / "templates"):
        if (candidate / "HAPROXY_HEAD.j2").is_file():
            return candidate
    raise TemplateError(
        source=str(package / "templates"), reason="the templates that ship are missing: reinstall"
    )


def load_templates(directory: str, environment: Mapping[str, str]) -> Templates:
    """
    Read all templates.

    :param directory: the operator's directory; it may be missing.
    :param environment: the ``HAPROXY_`` variables of the process.
    :raises TemplateError: a template has two files, a file cannot be read, or its Jinja2 is invalid.
    """
    shipped = defaults_directory()
    defaults = {
        name: jinja(name, (shipped / f"HAPROXY_{name}.j2").read_text(), "default") for name in BY_NAME
    }
    shared = dict(defaults)
    warnings: list[str] = []
    _add_files(Path(directory), shared, warnings)
    for variable in sorted(environment):
        name = variable.removeprefix("HAPROXY_")
        if name in BY_NAME:
            text = environment[variable].replace("\\n", "\n")
            shared[name] = classic(name, _checked(text, f"environment {variable}"), f"environment {variable}")
        elif name not in ENVIRONMENT_NOT_TEMPLATES and not name.startswith("SSL_CERT"):
            warnings.append(_not_a_template(f"environment variable {variable}", name))
    return Templates(shared, defaults, tuple(warnings))


def require_directory(directory: str, accepted: Mapping[str, Template]) -> None:
    """
    Refuse a missing directory if HAProxy last ran with templates from it; it may only be unmounted.

    :param accepted: template name to the template with which HAProxy ran last.
    :raises TemplateError: the directory is missing and templates came from it.
    """
    prefix = f"file {Path(directory)}/"
    missing = sorted(name for name, template in accepted.items() if template.source.startswith(prefix))
    if missing and not Path(directory).is_dir():
        names = ", ".join(f"HAPROXY_{name}" for name in missing)
        reason = (
            f"is missing, and HAProxy last ran with its {names}: restore it, empty if these are to be removed"
        )
        raise TemplateError(source=directory, reason=reason)


def _shipped(name: str) -> str:
    return (defaults_directory() / f"HAPROXY_{name}.j2").read_text(encoding="utf-8")


def _add_files(directory: Path, shared: dict[str, Template], warnings: list[str]) -> None:
    """Replace shared templates by the files of the operator's directory, and add warnings about other files."""
    try:
        files = sorted(path for path in directory.iterdir() if path.name.startswith("HAPROXY_"))
    except FileNotFoundError:
        if directory != DEFAULT_DIRECTORY:
            warnings.append(f"--templates: there is no directory {directory}, so no template is read from it")
        return
    except OSError as error:
        raise TemplateError(source=str(directory), reason=error.strerror or str(error)) from None
    seen: dict[str, Path] = {}
    for path in files:
        name = path.name.removeprefix("HAPROXY_").removesuffix(".j2")
        if name not in BY_NAME:
            warnings.append(_not_a_template(f"file {path}", name))
            continue
        if name in seen:
            raise TemplateError(
                source=str(path), reason=f"{seen[name]} is for the same template; keep one of them"
            )
        seen[name] = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(source=str(path), reason=f"cannot be read: {error}") from None
        if path.name.endswith(".j2") and text == _shipped(name):
            continue  # a copy of the default, or the directory of the checkout
        make = jinja if path.name.endswith(".j2") else classic
        shared[name] = make(name, _checked(text, str(path)), f"file {path}")


def _checked(text: str, source: str) -> str:
    """Return a text with newlines only. Raises `TemplateError` if it has a NUL byte."""
    text = text.replace("\r\n", "\n")
    if "\0" in text:
        raise TemplateError(source=source, reason="holds a NUL byte")
    return text


def _not_a_template(source: str, name: str) -> str:
    """Return the warning about a file or variable that is named like a template."""
    near = nearest(name)
    hint = f"; the nearest name is HAPROXY_{near}" if near else ""
    return f"{source} is not a template and is not used{hint}"
