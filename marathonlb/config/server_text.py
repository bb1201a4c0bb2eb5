"""The text of a service's ``server`` lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from marathonlb import limits
from marathonlb.config.templates.chunks import whole_lines
from marathonlb.config.templates.structure import checked_text
from marathonlb.config.templates.template import Template
from marathonlb.config.templates.variables import SERVER_VARIABLES, server_variables
from marathonlb.errors import TemplateError
from marathonlb.routing.services.model import Service
from marathonlb.routing.services.servers import Server


@frozen
class ServerLines:
    """
    Renders the ``server`` lines of a service.

    :param line: the template of a line.
    :param extra: the template of the words at its end.
    :param check: the template of its health check; None if the service has no health check.
    :param variables: the variables of the service.
    """

    service: Service
    line: Template
    extra: Template
    check: Template | None
    variables: Mapping[str, Any]
    _checks: dict[str, str] = field(factory=dict, init=False)
    _has_extra: bool = field(init=False)
    _line_is_of_server: bool = field(init=False)
    _check_is_shared: bool = field(init=False)

    @_has_extra.default
    def _has_extra_words(self) -> bool:
        return not self.extra.is_empty

    @_line_is_of_server.default
    def _reads_server_only(self) -> bool:
        """Return whether the line needs no variables but a server's, so that it renders without the service's."""
        return self.line.names <= SERVER_VARIABLES

    @_check_is_shared.default
    def _check_reads_port_only(self) -> bool:
        """Return whether the check is the same for all servers with the same check port."""
        check = self.check
        return check is not None and SERVER_VARIABLES.isdisjoint(check.names - {"healthCheckPortOptions"})

    @property
    def author(self) -> Template:
        """The template that owns the lines: a label's if any, else the last overridden one, else the default."""
        written = [template for template in self._overridden if not template.is_empty]
        labels = [template for template in written if template.label]
        return [*labels, *reversed(written), self.line][0]

    @property
    def _overridden(self) -> list[Template]:
        return [
            each for each in (self.line, self.extra, self.check) if each is not None and not each.is_default
        ]

    def text(self) -> str:
        """Return the lines, equal ones once. Raises `TemplateError` if they are too long or open a section."""
        labels = [template for template in self._overridden if template.label]
        room = limits.RENDERED + limits.PER_SERVER * len(self.service.servers)
        lines = []
        for server in self.service.servers:
            line = self._line(server)
            lines.append(line)
            room -= len(line)
            if room < 0 and labels:
                raise TemplateError(source=labels[0].source, reason=_TOO_LONG, template=labels[0].name)
        text = "".join(map(whole_lines, dict.fromkeys(lines)))
        for template in self._overridden:
            checked_text(template, text)
        return text

    def _line(self, server: Server) -> str:
        """Return the text of one server."""
        own = server_variables(server, self.service)
        own["healthCheckOptions"] = "" if self.check is None else self._check_options(self.check, own)
        text = self.line.render(own if self._line_is_of_server else {**self.variables, **own})
        return _with_words(text, self.extra.render({**self.variables, **own})) if self._has_extra else text

    def _check_options(self, check: Template, own: Mapping[str, Any]) -> str:
        """Return the health check's words, with a blank before them; cached if other servers share them."""
        port = own["healthCheckPortOptions"]
        if self._check_is_shared and port in self._checks:
            return self._checks[port]
        words = check.render({**self.variables, **own}).strip()
        options = self._checks[port] = f" {words}" if words else ""
        return options


_TOO_LONG = "comes to too much text with all servers"


def _with_words(text: str, words: str) -> str:
    """Return the lines with words added to the end of each ``server`` line."""
    more = " ".join(words.split("\n")).strip()
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{line} {more}" if line.split()[:1] == ["server"] else line for line in lines)
