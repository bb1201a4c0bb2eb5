"""The text of what HAProxy runs, and how it is compared by where it comes from."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from marathonlb.config.text.diff import Difference
from marathonlb.config.text.model import Config, Section
from marathonlb.haproxy.dynamic.worker import UnknownWorker
from marathonlb.haproxy.files.publish import Published
from marathonlb.haproxy.reload_reason import FIRST_START, UNCONFIRMED
from marathonlb.haproxy.running_text import IRunningText, NoFiles, RenderedText, TextOnDisk
from tests.haproxy.installation import S, shops
from tests.haproxy.samples import entries

DIRECTORY = "/etc/haproxy"
WORKER = UnknownWorker()


def files_of(config: Config) -> Published:
    return Published(config.text(DIRECTORY), config.map_texts())


def names(found: tuple[Difference, ...]) -> list[str]:
    return [difference.name for difference in found]


def changed(config: Config, place: int, section: Section) -> Config:
    """A configuration that was made from another one, as after one event."""
    return config.replace({place: section})


class InterfaceTests(SynchronousTestCase):
    """All of them are one interface."""

    def test_interface(self) -> None:
        """Each provides it, and says whether it was rendered."""
        wanted = shops(S[1])
        texts = (NoFiles(), TextOnDisk.of(files_of(wanted), DIRECTORY, None), RenderedText(wanted))
        for text, is_rendered in zip(texts, (False, False, True), strict=True):
            self.assertTrue(verifyObject(IRunningText, text))
            self.assertEqual(text.is_rendered, is_rendered)


class NoFilesTests(SynchronousTestCase):
    """Nothing is on disk."""

    def test_compare(self) -> None:
        """It is the first start, and no difference is named."""
        text, wanted = NoFiles(), shops(S[1])
        comparison = text.compare(wanted, WORKER)
        self.assertEqual((text.doubt, comparison.differences, comparison.identical), (FIRST_START, (), False))
        self.assertIs(comparison.wanted, wanted)
        self.assertIs(text.replaced(wanted), text)
        self.assertIs(text.postponed(wanted, ()), text)


class TextOnDiskTests(SynchronousTestCase):
    """A text that was read from disk."""

    def setUp(self) -> None:
        self.text = TextOnDisk.of(files_of(shops(S[1])), DIRECTORY, UNCONFIRMED)

    def test_identical(self) -> None:
        """Files that would be the same are identical, though the configuration is another object."""
        comparison = self.text.compare(shops(S[1]), WORKER)
        self.assertEqual((comparison.identical, comparison.adopted), (True, True))
        self.assertIs(comparison.running, comparison.wanted)

    def test_differs(self) -> None:
        """Sections are compared as texts; a map that no line names is not in the files."""
        wanted = shops(S[1], S[2])
        comparison = self.text.compare(
            Config(wanted.sections, {**wanted.maps, "unused.map": entries(a="shop")}), WORKER
        )
        self.assertEqual((names(comparison.differences), comparison.adopted), (["shop"], True))
        self.assertFalse(comparison.identical)

    def test_replaced(self) -> None:
        """With another text the files on disk are not what runs any more; the doubt stays."""
        text = self.text.replaced(self.text.text)
        comparison = text.compare(shops(S[1]), WORKER)
        self.assertEqual((comparison.identical, comparison.differences), (False, ()))
        self.assertIs(text.doubt, UNCONFIRMED)
        self.assertIs(text.postponed(shops(S[1]), ()), text)


class RenderedTextTests(SynchronousTestCase):
    """A text that this controller rendered."""

    def setUp(self) -> None:
        self.running = shops(S[1])
        self.wanted = shops(S[1], S[2])
        self.place = next(n for n, section in enumerate(self.wanted.sections) if section.name == "cart")

    def test_compare(self) -> None:
        """What differs is found section by section; the same text is identical."""
        text = RenderedText(self.running)
        self.assertEqual(names(text.compare(self.wanted, WORKER).differences), ["shop"])
        self.assertTrue(text.compare(shops(S[1]), WORKER).identical)
        self.assertIsNone(text.doubt)

    def test_postponed(self) -> None:
        """While a reload is postponed, what it waits for is taken as it was found."""
        left = RenderedText(self.running).compare(self.wanted, WORKER).differences
        text = RenderedText(self.running).postponed(self.wanted, left)
        self.assertEqual(text.compare(self.wanted, WORKER).differences, left)
        more = changed(self.wanted, self.place, shops(S[1], cart=[S[8]]).sections[self.place])
        self.assertEqual(names(text.compare(more, WORKER).differences), ["shop", "cart"])
        self.assertEqual(
            names(text.replaced(self.running).compare(more, WORKER).differences), ["shop", "cart"]
        )

    def test_taken_back(self) -> None:
        """What is as it runs again is no difference any more."""
        left = RenderedText(self.running).compare(self.wanted, WORKER).differences
        text = RenderedText(self.running).postponed(self.wanted, left)
        place = next(n for n, section in enumerate(self.wanted.sections) if section.name == "shop")
        back = changed(self.wanted, place, shops(S[1]).sections[place])
        self.assertTrue(text.compare(back, WORKER).identical)

    def test_unrelated(self) -> None:
        """A configuration that was made from none of them is compared as a whole."""
        text = RenderedText(self.running).postponed(self.wanted, ())
        self.assertEqual(names(text.compare(shops(S[1], S[3]), WORKER).differences), ["shop"])
