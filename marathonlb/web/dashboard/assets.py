"""
The static files of the pages: style, script and icon.

Each has the hash of its content in its path, so a browser may cache it for ever and never uses an old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from attrs import field, frozen

from marathonlb.web.page import Answer, ClientRequest, Page, Refusal

DIRECTORY = Path(__file__).parent

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

CACHE_FOREVER = "public, max-age=31536000, immutable"


@frozen
class Asset:
    """
    One file.

    :param version: the first digits of the hash of its content.
    """

    name: str
    content: bytes = field(repr=False)
    version: str
    content_type: str

    @property
    def path(self) -> str:
        """The path of its URL."""
        return f"/static/{self.version}/{self.name}"


@frozen(slots=False)
class Assets:
    """The files of a directory, read at the first use."""

    directory: Path = DIRECTORY / "static"

    @cached_property
    def by_name(self) -> Mapping[str, Asset]:
        """All files by name."""
        return {path.name: _read(path) for path in self.directory.iterdir() if path.suffix in _TYPES}

    def path(self, name: str) -> str:
        """Return the path of a file's URL."""
        return self.by_name[name].path


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(path.name, content, sha256(content).hexdigest()[:16], _TYPES[path.suffix])


class AssetPage(Page):
    """A static file. A page with an old version in the path gets the present file, which must not be cached."""

    summary = "A file of the dashboard"

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def answer(self, request: ClientRequest) -> Answer:
        """Return its content. Raises `Refusal` if there is no such file."""
        asset = self._assets.by_name.get(request.arguments["name"])
        if asset is None:
            raise Refusal(404, f"there is no page {request.path}")
        kept = (
            {"Cache-Control": CACHE_FOREVER, "Vary": "Authorization"}
            if request.arguments["version"] == asset.version
            else {}
        )
        return Answer(asset.content, content_type=asset.content_type, headers=kept)
