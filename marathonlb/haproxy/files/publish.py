"""
haproxy.cfg and its map files on disk: staged for the check, then published so that a crash leaves the old or the new.

Several files cannot be renamed in one step. So the new ones are written into a directory and made durable, and that
directory is renamed to its committed name: from then on the new set is valid. Then each file is renamed into its place.
`Files.recover` undoes a publication that a crash interrupted before the commit, and completes one interrupted after it:
this is a redo journal. Each file is whole at any time.

::

    haproxy.cfg                 the running one    .haproxy.cfg.staged/    is read by ``haproxy -c``
    domain2backend.map          beside it          .haproxy.cfg.writing/   a journal that is not committed
                                                   .haproxy.cfg.journal/   a committed one
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum

from attrs import field, frozen
from msgspec import Struct
from twisted.logger import Logger

from marathonlb.base.files import Ownership, Text, encoded
from marathonlb.config.text.model import Config
from marathonlb.haproxy.files.disk import (
    Disk,
    holds,
    ownership_of,
    publishing,
    read_text,
    remove_tree,
)


def _in_parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


@frozen
class Published:
    """
    The texts of one configuration that are, or are to be, on disk.

    :param parts: the text of haproxy.cfg, with the real directory in it, in one part or in parts of whole lines.
    :param maps: the text of each map file, by name.
    """

    parts: tuple[str, ...] = field(repr=False, converter=_in_parts, eq="".join)
    maps: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The text of haproxy.cfg."""
        return "".join(self.parts)

    def digest(self) -> str:
        """Return a digest of haproxy.cfg and the map files that it names, since HAProxy reads only these."""
        digest = hashlib.sha256()
        for part in encoded(self.parts):
            digest.update(part)
        named = (name for name in self.maps if any(f"/{name}" in part for part in self.parts))
        for name in sorted(named):
            for part in encoded(f"\0{name}\0{self.maps[name]}"):
                digest.update(part)
        return digest.hexdigest()


class Staged(Struct, frozen=True):
    """
    A configuration that is ready for ``haproxy -c``.

    :param path: the staged haproxy.cfg; its maps are beside it.
    :param published: the texts that `Files.publish` will write.
    """

    path: str
    published: Published


class Recovery(Enum):
    """The result of `Files.recover`."""

    NOTHING = "nothing"
    COMPLETED = "completed"
    DISCARDED = "discarded"


class Files:
    """
    The files of one configuration.

    :param path: haproxy.cfg. If it is a symbolic link, its target is written and the link stays.
    """

    _log = Logger()

    def __init__(self, path: str, disk: Disk | None = None) -> None:
        self.path = os.path.abspath(path)
        self.directory = os.path.dirname(self.path)
        self._disk = disk or Disk()
        self._name = os.path.basename(self.path)
        hidden = os.path.join(self.directory, f".{self._name}.")
        self._staged, self._writing, self._journal = (
            hidden + name for name in ("staged", "writing", "journal")
        )

    def texts(self, config: Config) -> Published:
        """Return the texts of a configuration in these files."""
        return Published(config.parts(self.directory), config.map_texts())

    def read(self, maps: Mapping[str, object] | None = None) -> Published | None:
        """
        Return the texts on disk; None if there is no haproxy.cfg.

        :param maps: the names of the map files to read; missing ones are left out. None reads those beside haproxy.cfg
            that its text names.

        Raises `marathonlb.errors.PublishFailed` if it cannot be read.
        """
        with publishing(self.path):
            text = read_text(self.path)
            if text is None:
                return None
            names = self._maps_named(text) if maps is None else maps
            texts = {name: read_text(os.path.join(self.directory, name)) for name in names}
            return Published(text, {name: text for name, text in texts.items() if text is not None})

    def _maps_named(self, text: str) -> list[str]:
        maps = (name for name in os.listdir(self.directory) if name.endswith(".map"))
        return sorted(name for name in maps if f"{self.directory}/{name}" in text)

    def stage(self, config: Config) -> Staged:
        """
        Write a configuration and its maps where ``haproxy -c`` can read them.

        None of this needs to outlive a crash, so nothing waits for the disk. Raises `marathonlb.errors.PublishFailed`.
        """
        self.unstage()
        private = Ownership(0o600)
        with publishing(self.path):
            try:
                self._disk.make_directory(self._staged)
                for name, text in config.map_texts().items():
                    self._disk.write(os.path.join(self._staged, name), text, private, durable=False)
                path = os.path.join(self._staged, self._name)
                self._disk.write(path, config.parts(self._staged), private, durable=False)
            except OSError:
                self.unstage()
                raise
        return Staged(path, self.texts(config))

    def unstage(self) -> None:
        """Remove the staged files."""
        remove_tree(self._staged)

    def publish(self, published: Published) -> bool:
        """
        Publish these texts durably, all or none. Raises `marathonlb.errors.PublishFailed`.

        :return: whether anything was written; files that already hold their text are left alone.
        """
        with publishing(self.path):
            self._complete()
            changed = self._changed(published)
            if changed:
                try:
                    self._commit(changed)
                except OSError:
                    remove_tree(self._writing)
                    raise
                self._complete()
        self.unstage()
        return bool(changed)

    def recover(self) -> Recovery:
        """
        Complete a publication that a crash interrupted after its commit, or undo one interrupted before it.

        Raises `marathonlb.errors.PublishFailed`.
        """
        discarded = os.path.isdir(self._writing)
        remove_tree(self._writing)
        self.unstage()
        with publishing(self.path):
            if self._complete():
                self._log.info(
                    "Completed the interrupted publication of {path}; nothing to do", path=self.path
                )
                return Recovery.COMPLETED
        return Recovery.DISCARDED if discarded else Recovery.NOTHING

    def _changed(self, published: Published) -> dict[str, Text]:
        """Return the texts of the files that change, by name; haproxy.cfg last, since it names the others."""
        wanted: dict[str, Text] = {**published.maps, self._name: published.parts}
        return {
            name: text for name, text in wanted.items() if not holds(os.path.join(self.directory, name), text)
        }

    def _commit(self, changed: Mapping[str, Text]) -> None:
        remove_tree(self._writing)
        self._disk.make_directory(self._writing)
        ownership = ownership_of(self.path)
        for name, text in changed.items():
            path = os.path.join(self.directory, name)
            kept = ownership_of(path) if os.path.exists(path) else ownership
            self._disk.write(os.path.join(self._writing, name), text, kept, durable=True)
        self._disk.sync(self._writing)
        self._disk.rename(self._writing, self._journal)
        self._disk.sync(self.directory)

    def _complete(self) -> bool:
        """Carry out a committed journal, which may be repeated; return whether there was one."""
        try:
            names = os.listdir(self._journal)
        except FileNotFoundError:
            return False
        for name in sorted(names, key=lambda name: (name == self._name, name)):
            self._place(os.path.join(self._journal, name), os.path.join(self.directory, name))
        self._disk.sync(self.directory)
        self._disk.remove_directory(self._journal)
        self._disk.sync(self.directory)
        return True

    def _place(self, new: str, path: str) -> None:
        """Move one file of the journal into its place; if that is a symbolic link, into the place of its target."""
        if not os.path.islink(path):
            self._disk.rename(new, path)
            return
        target = os.path.realpath(path)
        beside = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.writing")
        try:
            self._disk.write(beside, read_text(new) or "", ownership_of(new), durable=True)
            self._disk.rename(beside, target)
        except OSError:
            with suppress(OSError):
                os.unlink(beside)
            raise
        self._disk.sync(os.path.dirname(target))
        self._disk.remove(new)
