"""
The files that pages need beside themselves: style, script, icon.

Each stands at a path with the hash of its content: a browser may keep it for ever, and never has an old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from attrs import field, frozen

from marathonlb.web.page import Answer, Asked, Page, Refusal

DIRECTORY = Path(__file__).parent

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

FOR_EVER = "public, max-age=31536000, immutable"


@frozen
class Asset:
    """
    One file.

    :param version: the beginning of its content's hash.
    """

    name: str
    content: bytes = field(repr=False)
    version: str
    content_type: str

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/static/{self.version}/{self.name}"


@frozen(slots=False)
class Assets:
    """The files of a directory, read when the first one is needed."""

    directory: Path = DIRECTORY / "static"

    @cached_property
    def by_name(self) -> Mapping[str, Asset]:
        """Each file by its name."""
        return {path.name: _read(path) for path in self.directory.iterdir() if path.suffix in _TYPES}

    def path(self, name: str) -> str:
        """Where a file is."""
        return self.by_name[name].path


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(path.name, content, sha256(content).hexdigest()[:16], _TYPES[path.suffix])


class AssetPage(Page):
    """One of the files. An old page that asks for another version is given the present one, which is not to be kept."""

    summary = "A file of the dashboard"

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def answer(self, asked: Asked) -> Answer:
        """Its content. Raises `Refusal` where there is none of this name."""
        asset = self._assets.by_name.get(asked.arguments["name"])
        if asset is None:
            raise Refusal(404, f"there is no page {asked.path}")
        kept = (
            {"Cache-Control": FOR_EVER, "Vary": "Authorization"}
            if asked.arguments["version"] == asset.version
            else {}
        )
        return Answer(asset.content, content_type=asset.content_type, headers=kept)
