"""The text of a service's ``server`` lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marathonlb.base import limits
from marathonlb.config.templates.chunks import whole_lines
from marathonlb.config.templates.structure import checked_text
from marathonlb.config.templates.template import Template
from marathonlb.config.templates.variables import SERVER_VARIABLES, server_variables
from marathonlb.errors import TemplateError
from marathonlb.routing.services.model import Service
from marathonlb.routing.services.servers import Server


class ServerLines:
    """
    Renders the ``server`` lines of a service.

    :param line: the template of a line.
    :param extra: the template of the words at its end.
    :param check: the template of its health check; None if the service has no health check.
    :param variables: the variables of the service.
    """

    def __init__(
        self,
        service: Service,
        line: Template,
        extra: Template,
        check: Template | None,
        variables: Mapping[str, Any],
    ) -> None:
        self._service = service
        self._line = line
        self._extra = None if extra.is_empty else extra
        self._check = check
        self._variables = variables
        self._overridden = [
            template for template in (line, extra, check) if template is not None and not template.is_default
        ]
        self._line_reads_service = not line.names <= SERVER_VARIABLES
        own = check.names & SERVER_VARIABLES if check is not None else frozenset()
        self._check_is_shared = own <= {"healthCheckPortOptions"}
        self._checks: dict[str, str] = {}

    @property
    def author(self) -> Template:
        """The template that owns the lines: a label's if any, else the last overridden one, else the default."""
        written = [template for template in self._overridden if not template.is_empty]
        labels = [template for template in written if template.label]
        return [*labels, *reversed(written), self._line][0]

    def text(self) -> str:
        """Return the lines, equal ones once. Raises `TemplateError` if they are too long or open a section."""
        labels = [template for template in self._overridden if template.label]
        room = limits.RENDERED + limits.PER_SERVER * len(self._service.servers)
        lines = []
        for server in self._service.servers:
            line = self._of(server)
            lines.append(line)
            room -= len(line)
            if room < 0 and labels:
                raise TemplateError(source=labels[0].source, reason=_TOO_LONG, template=labels[0].name)
        text = "".join(map(whole_lines, dict.fromkeys(lines)))
        for template in self._overridden:
            checked_text(template, text)
        return text

    def _of(self, server: Server) -> str:
        """Return the text of one server."""
        own = server_variables(server, self._service)
        port = own["healthCheckPortOptions"]
        options = self._checks.get(port) if self._check_is_shared else None
        own["healthCheckOptions"] = self._check_options(own) if options is None else options
        text = self._line.render({**self._variables, **own} if self._line_reads_service else own)
        if self._extra is None:
            return text
        return _with_words(text, self._extra.render({**self._variables, **own}))

    def _check_options(self, own: Mapping[str, Any]) -> str:
        """Render the words of the health check, after a blank; cache them for servers with the same check port."""
        words = "" if self._check is None else self._check.render({**self._variables, **own}).strip()
        options = self._checks[own["healthCheckPortOptions"]] = f" {words}" if words else ""
        return options


_TOO_LONG = "comes to too much text with all servers"


def _with_words(text: str, words: str) -> str:
    """Return the lines with words added to the end of each ``server`` line."""
    more = " ".join(words.split("\n")).strip()
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{line} {more}" if line.split()[:1] == ["server"] else line for line in lines)
