"""
Where a template's text comes from: an app's label, the environment, the operator's directory, the default.

The first hit wins. The files are read once, by `load_templates`; everything after it is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from attrs import field, frozen

import marathonlb
from marathonlb.config.templates.table import BY_NAME, Template, classic, jinja, nearest
from marathonlb.errors import TemplateError
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings

DEFAULT_DIRECTORY = Path(Settings().templates)
"""Where nobody wonders that it is not there."""

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
"""``HAPROXY_`` variables of the process that are no templates: ours, images', and HAProxy's own."""


@frozen(slots=False)
class Templates:
    """
    The templates of one controller.

    :param shared: by name, the text that holds where no label overrides it.
    :param defaults: by name, the text that ships.
    :param warnings: what looks like a template and is none; one line each.
    """

    shared: Mapping[str, Template]
    defaults: Mapping[str, Template] = field(factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    changed: frozenset[str] = field(init=False, repr=False)
    """The names of those whose shared text is not the default."""

    @changed.default
    def _changed(self) -> frozenset[str]:
        return frozenset(name for name, template in self.shared.items() if not template.is_default)

    @cached_property
    def read_app(self) -> bool:
        """Whether one of the operator's reads the object ``app``: then a text may differ where no service does."""
        return any("app" in template.names for template in self.shared.values())

    def get(self, name: str, service: Service | None = None) -> Template:
        """The template of a service, or the shared one."""
        if service is not None:
            text = service.overrides.get(name)
            if text is not None:
                return classic(name, text, f"label HAPROXY_{service.port_index}_{name}")
        return self.shared[name]

    def put(self, some: Mapping[str, Template]) -> Templates:
        """The same with other shared texts for some templates."""
        return Templates({**self.shared, **some}, self.defaults, self.warnings) if some else self

    def overridden(self, name: str, service: Service) -> bool:
        """Whether somebody's text stands in place of the default."""
        return name in service.overrides or name in self.changed


def defaults_directory() -> Path:
    """Where the templates that ship lie: inside an installed package, or at the top of a checkout."""
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

    :param directory: the operator's; it may be missing.
    :param environment: the ``HAPROXY_`` variables of the process.
    :raises TemplateError: two files for one template, a file that cannot be read, or one that is no Jinja2.
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
    Take a directory that is gone for no wish to do without the templates that were in it.

    :param accepted: those with which HAProxy ran last, by name.
    :raises TemplateError: some came from it.
    """
    here = f"file {Path(directory)}/"
    gone = sorted(name for name, each in accepted.items() if each.source.startswith(here))
    if gone and not Path(directory).is_dir():
        names = ", ".join(f"HAPROXY_{name}" for name in gone)
        reason = f"is not there any more, and HAProxy ran with {names} of it: put it back, empty where that is meant"
        raise TemplateError(source=directory, reason=reason)


def _shipped(name: str) -> str:
    return (defaults_directory() / f"HAPROXY_{name}.j2").read_text(encoding="utf-8")


def _add_files(directory: Path, shared: dict[str, Template], warnings: list[str]) -> None:
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
            raise TemplateError(source=str(path), reason=f"{seen[name]} is there too; keep one of them")
        seen[name] = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(source=str(path), reason=f"cannot be read: {error}") from None
        if path.name.endswith(".j2") and text == _shipped(name):
            continue  # a copy of the default, or the checkout's own directory
        make = jinja if path.name.endswith(".j2") else classic
        shared[name] = make(name, _checked(text, str(path)), f"file {path}")


def _checked(text: str, source: str) -> str:
    text = text.replace("\r\n", "\n")
    if "\0" in text:
        raise TemplateError(source=source, reason="holds a NUL byte")
    return text


def _not_a_template(what: str, name: str) -> str:
    near = nearest(name)
    hint = f"; the nearest name is HAPROXY_{near}" if near else ""
    return f"{what} is no template and is not used{hint}"
