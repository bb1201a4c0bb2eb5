"""
The table of options: one row makes the daemon's and the script's command lines, the help and the documentation.

The rows are in `marathonlb.options.groups`.
"""

from __future__ import annotations

from collections.abc import Iterator

from marathonlb.options.groups.access import ACCESS
from marathonlb.options.groups.haproxy import HAPROXY
from marathonlb.options.groups.marathon import MARATHON
from marathonlb.options.groups.script import SCRIPT
from marathonlb.options.groups.services import SERVICES
from marathonlb.options.option import Face, Option

GROUPS = (MARATHON, HAPROXY, SERVICES, SCRIPT, ACCESS)
"""The table, in the order of the help."""

IMAGE_ONLY = (
    "HAPROXY_SSL_CERT",
    *(f"HAPROXY_SSL_CERT{number}" for number in range(101)),
    "HAPROXY_SYSCTL_PARAMS",
    "HAPROXY_SYSCTL_NONSTRICT",
    "HAPROXY_SYSLOGD",
)
"""Variables that the image's entrypoint reads and that are no templates."""


def options(face: Face = Face.BOTH) -> Iterator[Option]:
    """Yield the options of a face in the order of the help; all of them for `Face.BOTH`."""
    for group in GROUPS:
        for option in group.options:
            if face is Face.BOTH or option.face.takes(face):
                yield option
