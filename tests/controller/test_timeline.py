"""The ring of entries."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.controller.timeline import LENGTH, Entry, EventTimeline, Kind
from tests.fakes.hints import event_hint

EVENT = event_hint(["/shop"], "status_update_event", "health_status_changed_event")


def entry(kind: Kind = Kind.CONVERGED, summary: str = "x") -> Entry:
    """An entry of no interest."""
    return Entry(time=1.0, kind=kind, summary=summary)


class TimelineTests(SynchronousTestCase):
    """The ring."""

    def test_bounded(self) -> None:
        """It holds so many entries and no more, and their ids go on."""
        timeline = EventTimeline()
        for number in range(LENGTH + 5):
            timeline.add(entry(summary=str(number)))
        kept = timeline.entries()
        self.assertEqual((len(kept), kept[0].id, kept[-1].id), (LENGTH, 6, LENGTH + 5))
        self.assertEqual([each.id for each in timeline.entries(LENGTH + 3)], [LENGTH + 4, LENGTH + 5])

    def test_repeated(self) -> None:
        """What fails again and again for the same reason is one entry, with how often and since when."""
        timeline = EventTimeline()
        for time, kind, summary in (
            (1.0, Kind.FAILED, "refused"),
            (2.0, Kind.FAILED, "refused"),
            (3.0, Kind.FAILED, "refused"),
            (4.0, Kind.FAILED, "late"),
            (5.0, Kind.PROBLEM, "late"),
            (6.0, Kind.PROBLEM, "late"),
        ):
            timeline.add(Entry(time=time, kind=kind, summary=summary))
        self.assertEqual(
            [(e.kind, e.count, e.time, e.first_time) for e in timeline.entries()],
            [
                (Kind.FAILED, 3, 3.0, 1.0),
                (Kind.FAILED, 1, 4.0, None),
                (Kind.PROBLEM, 1, 5.0, None),
                (Kind.PROBLEM, 1, 6.0, None),
            ],
        )

    def test_unchanged(self) -> None:
        """What changes nothing, again and again, is one entry that counts, and its id is new each time."""
        timeline = EventTimeline()
        for kind in (Kind.UNCHANGED, Kind.UNCHANGED, Kind.CONVERGED, Kind.UNCHANGED, Kind.UNCHANGED):
            timeline.add(entry(kind))
        self.assertEqual(
            [(e.kind.value, e.count, e.id) for e in timeline.entries()],
            [("unchanged", 2, 2), ("converged", 1, 3), ("unchanged", 2, 5)],
        )

    def test_followers(self) -> None:
        """Who follows is told each entry until it stops, though it stops while it is told."""
        timeline, heard = EventTimeline(), list[int]()

        def once(each: Entry) -> None:
            heard.append(-each.id)
            stop()

        stop = timeline.follow(once)
        end = timeline.follow(lambda each: heard.append(each.id))
        timeline.add(entry())
        timeline.add(entry())
        end()
        timeline.add(entry())
        self.assertEqual(heard, [-1, 1, 2])
