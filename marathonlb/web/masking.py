"""
A configuration as anybody may see it: without passwords. Pure.

What is hidden are the passwords and hashes of user lists (HAProxy configuration manual, "userlist") and those of the
statistics page (``stats auth``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from marathonlb.haproxy.files import Published

_WORD = r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+"""
_USER = re.compile(
    rf"^(?P<kept>[ \t]*user[ \t]+{_WORD}[ \t].*?\b(?:insecure-)?password[ \t]+){_WORD}", re.MULTILINE
)
_STATS = re.compile(rf"^(?P<kept>[ \t]*stats[ \t]+auth[ \t]+[^\s:]+:){_WORD}", re.MULTILINE)

HIDDEN = "***"


def masked(text: str) -> str:
    """A text of HAProxy's configuration language, or some of its lines, without passwords."""
    if "password" in text:
        text = _USER.sub(rf"\g<kept>{HIDDEN}", text)
    return _STATS.sub(rf"\g<kept>{HIDDEN}", text) if "auth" in text else text


def shown(published: Published, *, admin: bool) -> Published:
    """A configuration for a client; admins see all of it."""
    return published if admin else Published(masked(published.text), published.maps)


def shown_maps(published: Published, name: str) -> str | None:
    """The text of a map file; None where there is none of this name."""
    maps: Mapping[str, str] = published.maps
    return maps.get(name)
