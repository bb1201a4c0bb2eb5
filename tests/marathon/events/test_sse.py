"""The event stream's bytes, split wherever they may be."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.marathon.events.sse import Oversized, ServerSentEvent, SSEParser
from tests.paths import data

WIRE = (
    b'\xef\xbb\xbfevent: a\r\ndata: {"x":1}\r\n\r\n'
    b"\r\n"
    b": a comment\r\n"
    b"event: b\r\ndata: one\r\ndata: two\r\ndata\r\nid: 7\r\nretry: 5\r\nunknown: x\r\n\r\n"
    b"\r\n\r\n"
    b"data:no space\n\n"
    b"data:  two spaces\r\r"
    b"event: without data\n\n"
    b"data: after\r\n\r\n"
    b"data: never finished\r\n"
)
EVENTS = [
    ServerSentEvent(b'{"x":1}', "a"),
    ServerSentEvent(b"one\ntwo\n", "b"),
    ServerSentEvent(b"no space"),
    ServerSentEvent(b" two spaces"),
    ServerSentEvent(b"after"),
]


def parse(chunks: list[bytes], limit: int = 1000) -> list[ServerSentEvent | Oversized]:
    """The events of a stream that comes in these chunks."""
    parser = SSEParser(limit)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """The stream in pieces."""
    edges = [0, *sorted(at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


class Splits(SynchronousTestCase):
    """Bytes come as they come."""

    def test_whole(self) -> None:
        """Fields, comments, keep-alives, all three line ends and a byte order mark are understood."""
        self.assertEqual(parse([WIRE]), EVENTS)

    def test_bytes(self) -> None:
        """Byte by byte gives the same events."""
        self.assertEqual(parse([WIRE[i : i + 1] for i in range(len(WIRE))]), EVENTS)

    def test_pairs_of_splits(self) -> None:
        """Every pair of splits gives the same events."""
        for first in range(len(WIRE)):
            for second in range(first, len(WIRE)):
                self.assertEqual(parse(cut(WIRE, [first, second])), EVENTS)

    def test_event_comes_at_its_end(self) -> None:
        """A CR ends the event at once, and the LF that follows it later ends nothing."""
        parser = SSEParser()
        self.assertEqual(parser.feed(b"data: x\r\n\r"), [ServerSentEvent(b"x")])
        self.assertEqual(parser.feed(b"\n"), [])
        self.assertEqual(parser.feed(b"data: y\r\n\r\n"), [ServerSentEvent(b"y")])

    def test_keep_alive(self) -> None:
        """A keep-alive of CR, then LF in another segment, does not cut an event that follows it."""
        parser = SSEParser()
        for chunk in (b"\r", b"\n", b"data: a\r\n", b"data: b\r", b"", b"\n"):
            self.assertEqual(parser.feed(chunk), [])
        self.assertEqual(parser.feed(b"\r\n"), [ServerSentEvent(b"a\nb")])

    def test_no_mark(self) -> None:
        """What only begins like a byte order mark is content."""
        self.assertEqual(parse([b"\xef", b"\xbb", b"x: 1\ndata: y\n\n"]), [ServerSentEvent(b"y")])


class Limits(SynchronousTestCase):
    """More than memory should hold."""

    def test_line(self) -> None:
        """A line without an end is reported once, when it passes the limit, and the next event is valid."""
        parser = SSEParser(100)
        self.assertEqual(parser.feed(b"data: " + b"x" * 94), [])
        self.assertEqual(parser.feed(b"x"), [Oversized(100)])
        for _ in range(50):
            self.assertEqual(parser.feed(b"x" * 1000), [])
        self.assertEqual(parser.feed(b"\r\ndata: still the same event\r\n\r\n"), [])
        self.assertEqual(parser.feed(b"data: next\r\n\r\n"), [ServerSentEvent(b"next")])

    def test_lines(self) -> None:
        """Many lines that pass the limit together are reported once as well."""
        stream = b"data: 0123456789\n" * 20 + b"\n" + b"data: next\n\n"
        self.assertEqual(parse([stream], 100), [Oversized(100), ServerSentEvent(b"next")])

    def test_at_the_limit(self) -> None:
        """An event of just the limit is whole."""
        self.assertEqual(parse([b"data: " + b"x" * 94 + b"\n\n"], 100), [ServerSentEvent(b"x" * 94)])

    def test_memory(self) -> None:
        """What is read away is not kept."""
        parser = SSEParser(1000)
        for _ in range(100):
            parser.feed(b"x" * 100_000)
        self.assertLess(len(parser._line), 1001)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.integers(0, 400), max_size=10))
    def test_splits(self, at: list[int]) -> None:
        """Where an oversized event is split makes no difference."""
        stream = b"data: a\r\n\r\ndata: " + b"x" * 200 + b"\r\ndata: y\r\n\r\n\r\ndata: b\r\n\r\n"
        chunks = cut(stream, [min(edge, len(stream)) for edge in at])
        self.assertEqual(parse(chunks, 100), [ServerSentEvent(b"a"), Oversized(100), ServerSentEvent(b"b")])


class AnyBytes(SynchronousTestCase):
    """Streams of random bytes."""

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.sampled_from([b"\r", b"\n", b"data: x", b"data:", b"event: e", b":", b"x", b"\xef\xbb\xbf"])
        ),
        st.lists(st.integers(0, 200)),
    )
    def test_splits(self, pieces: list[bytes], at: list[int]) -> None:
        """Any stream gives the same events however it is split."""
        stream = b"".join(pieces)
        self.assertEqual(parse(cut(stream, [min(edge, len(stream)) for edge in at])), parse([stream]))


class StreamFilesTests(SynchronousTestCase):
    """Streams as Marathons write them on the wire."""

    directory = data("streams")

    def test_every_split(self) -> None:
        """Each split of a captured stream gives the same events, and so does the stream with other line ends."""
        for path in sorted(self.directory.iterdir()):
            stream = path.read_bytes()
            whole = parse([stream], 1 << 20)
            self.assertGreater(len(whole), 15)
            self.assertEqual(whole, parse([stream.replace(b"\r\n", b"\r")], 1 << 20), path.name)
            for edge in range(0, len(stream), 7):
                self.assertEqual(parse(cut(stream, [edge]), 1 << 20), whole, (path.name, edge))
            for size in (1, 2, 3, 1400):
                chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
                self.assertEqual(parse(chunks, 1 << 20), whole, (path.name, size))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(0, 30_000), max_size=40))
    def test_random_splits(self, at: list[int]) -> None:
        """Many splits at once give the same events."""
        for path in self.directory.glob("*.bin"):
            stream = path.read_bytes()
            chunks = cut(stream, [min(edge, len(stream)) for edge in at])
            self.assertEqual(parse(chunks, 1 << 20), parse([stream], 1 << 20))
