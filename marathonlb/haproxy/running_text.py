"""
The text of what HAProxy runs, by where it comes from, and its comparison with what is wanted. Pure.

A text that was read from disk has lost its owners and its head is in sections, so it is compared with the text of the
files that would be written. A text that this controller has rendered is compared with another one section by section.
"""

from __future__ import annotations

from attrs import evolve, field, frozen
from zope.interface import Attribute, Interface, implementer

from marathonlb.config.text.diff import Difference, Fate, differences, split
from marathonlb.config.text.model import Config
from marathonlb.haproxy.dynamic.update import Comparison
from marathonlb.haproxy.dynamic.worker import IWorker
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.reload_reason import FIRST_START, ReloadReason


class IRunningText(Interface):
    """The text of what HAProxy runs."""

    text: Config = Attribute("The text, as a configuration.")
    is_rendered: bool = Attribute("True if this controller rendered it; else it was read from disk.")
    doubt: ReloadReason | None = Attribute("Why HAProxy may run something else; None without such a reason.")

    def compare(wanted: Config, worker: IWorker) -> Comparison:
        """
        Compare it with what is wanted.

        :param worker: the worker that runs it, which knows the places of its backends.
        """

    def replaced(text: Config) -> IRunningText:
        """Return the same with another text: HAProxy was updated, or holds something else than was believed."""

    def postponed(wanted: Config, left: tuple[Difference, ...]) -> IRunningText:
        """
        Return the same while a reload is postponed.

        :param left: where it differs from `wanted`.
        """


@implementer(IRunningText)
class NoFiles:
    """There is no configuration on disk yet."""

    text = Config()
    is_rendered = False
    doubt = FIRST_START

    def compare(self, wanted: Config, worker: IWorker) -> Comparison:
        """See `IRunningText.compare`; everything is new, and none of it is named."""
        return Comparison(self.text, wanted)

    def replaced(self, text: Config) -> NoFiles:
        """See `IRunningText.replaced`."""
        return self

    def postponed(self, wanted: Config, left: tuple[Difference, ...]) -> NoFiles:
        """See `IRunningText.postponed`."""
        return self


@implementer(IRunningText)
@frozen
class TextOnDisk:
    """
    A text that was read from disk.

    :param directory: where haproxy.cfg and the map files lie.
    :param digest: see `Published.digest`; empty where the files do not have this text any more.
    """

    text: Config
    directory: str
    digest: str = ""
    doubt: ReloadReason | None = None
    is_rendered: bool = field(default=False, init=False)

    @classmethod
    def of(cls, files: Published, directory: str, doubt: ReloadReason | None) -> TextOnDisk:
        """Return the text of files."""
        return cls(split(files.text, files.maps), directory, files.digest(), doubt)

    def compare(self, wanted: Config, worker: IWorker) -> Comparison:
        """See `IRunningText.compare`; identical files are found without being split."""
        files = Published(wanted.parts(self.directory), wanted.map_texts())
        if self.digest and files.digest() == self.digest:
            return Comparison(self.text, self.text, identical=True, adopted=True)
        named = {name: text for name, text in files.maps.items() if f"{self.directory}/{name}" in files.text}
        target = split(files.text, named)
        return Comparison(self.text, target, differences(self.text, target), adopted=True)

    def replaced(self, text: Config) -> TextOnDisk:
        """See `IRunningText.replaced`."""
        return evolve(self, text=text, digest="")

    def postponed(self, wanted: Config, left: tuple[Difference, ...]) -> TextOnDisk:
        """See `IRunningText.postponed`."""
        return self


@implementer(IRunningText)
@frozen
class RenderedText:
    """
    A text that this controller rendered, and HAProxy confirmed.

    :param waits_for: while a reload is postponed, the configuration that it is for, and where the text differs from it.
    """

    text: Config
    waits_for: tuple[Config, tuple[Difference, ...]] | None = None
    is_rendered: bool = field(default=True, init=False)
    doubt: ReloadReason | None = field(default=None, init=False)

    def compare(self, wanted: Config, worker: IWorker) -> Comparison:
        """See `IRunningText.compare`; while a reload is postponed it costs only what has changed since."""
        found = self._since_postponed(wanted, worker)
        if found is None:
            found = differences(self.text, wanted)
        return Comparison(self.text, wanted, found, identical=not found)

    def _since_postponed(self, wanted: Config, worker: IWorker) -> tuple[Difference, ...] | None:
        """Return what a postponed reload waits for with what has changed since; None where that is not known."""
        if self.waits_for is None:
            return None
        before, left = self.waits_for
        places = () if wanted is before else wanted.places_that_differ(before)
        if places is None:
            return None
        found = {(difference.kind, difference.name): difference for difference in left}
        for place in places:
            new = wanted.sections[place]
            key = (new.kind, new.name)
            known = found.get(key)
            old = known.old if known is not None else None
            if known is None:
                at = worker.place(new.name, self.text) if new.kind == "backend" else None
                if at is None:
                    return None
                old = self.text.sections[at]
            if old is not None and old.text == new.text:
                found.pop(key, None)
            else:
                found[key] = Difference(*key, Fate.NEW if old is None else Fate.CHANGED, old, new)
        return tuple(found.values())

    def replaced(self, text: Config) -> RenderedText:
        """See `IRunningText.replaced`."""
        return RenderedText(text)

    def postponed(self, wanted: Config, left: tuple[Difference, ...]) -> RenderedText:
        """See `IRunningText.postponed`."""
        return RenderedText(self.text, (wanted, left))
