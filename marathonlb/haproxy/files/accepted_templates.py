"""
The operator's templates that HAProxy accepted last, kept for the next controllers.

A controller that is started with other templates than those in use must know the last good ones, and one that is
started with the same must know that they were good: see `marathonlb.config.templates.overrides`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from twisted.logger import Logger

from marathonlb.base.files import Ownership
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.templates.template import Template, classic, jinja
from marathonlb.errors import PublishFailed, TemplateError
from marathonlb.haproxy.files.disk import Disk, explain_error, read_text
from marathonlb.haproxy.files.state_directory import StateDirectory

FILE = "templates.json"

PRIVATE = Ownership(0o600)
"""A template may hold passwords."""


class AcceptedTemplates:
    """
    A file of the state directory that holds each template's text and source by the template's name.

    :param state: the state directory; it is made when something is first written.
    """

    _log = Logger()

    def __init__(self, state: StateDirectory, disk: Disk | None = None) -> None:
        self._state = state
        self._disk = disk or Disk()

    def read(self) -> Mapping[str, Template]:
        """Return the templates by name; none if the file cannot be read."""
        templates: dict[str, Template] = {}
        with suppress(OSError, PublishFailed, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(read_text(self._state.file(FILE)) or "{}")
            for name, entry in kept.items():
                if name in BY_NAME:
                    make = jinja if entry["source"].endswith(".j2") else classic
                    with suppress(TemplateError):
                        templates[name] = make(name, str(entry["text"]), str(entry["source"]))
        return templates

    def write(self, templates: Mapping[str, Template]) -> None:
        """Keep these templates. A failure is only logged: HAProxy runs what it accepted."""
        kept = {
            name: {"source": template.source, "text": template.text}
            for name, template in sorted(templates.items())
        }
        try:
            text = json.dumps(kept) + "\n"
            self._disk.replace(self._state.file(FILE), text, PRIVATE, durable=True)
        except (OSError, PublishFailed) as error:
            self._log.warn(
                "Could not save the templates that HAProxy accepted: {reason}. The next controller does not know them",
                reason=explain_error(error),
            )
