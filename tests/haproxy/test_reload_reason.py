"""Reasons for a reload: their sentences and their metric labels."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.causes import Cause, CauseKind
from marathonlb.config.text.diff import Difference, Fate
from marathonlb.haproxy.reload_reason import (
    ADOPTED,
    FIRST_START,
    LABELS,
    NOT_RUNNING,
    UNCONFIRMED,
    UNEXPLAINED_FAILURE,
    WHITE_SPACE_DIFFERS,
    WORKER_RESTARTED,
    ReasonKind,
    Reasons,
    ReloadReason,
    from_cause,
    from_differences,
    from_refusal,
    metric_label,
    refused_commands,
    sentence,
)
from marathonlb.haproxy.runtime.replies import CommandRefusal

NO = CommandRefusal("add server shop/a 10.0.0.1:80", "no")


def changed(*found: tuple[str, str, Fate]) -> Reasons:
    """Reasons for sections, each by kind, name and fate."""
    return from_differences(Difference(kind, name, fate) for kind, name, fate in found)


def requested(signal: str) -> ReloadReason:
    return from_cause(Cause(CauseKind.SIGNAL, signal))


def certificate_changed(path: str) -> ReloadReason:
    return from_cause(Cause(CauseKind.CERTIFICATE, path))


def server(detail: str, *, refused: bool = False) -> ReloadReason:
    return ReloadReason(ReasonKind.SERVER_NOT_UPDATABLE, "shop/a", detail, "server", refused=refused)


TABLE: tuple[tuple[Reasons, str, str], ...] = (
    ((FIRST_START,), "there was no configuration", "first"),
    ((UNCONFIRMED,), "the last reload was not confirmed", "unconfirmed"),
    ((NOT_RUNNING,), "HAProxy does not run", "not_running"),
    ((WORKER_RESTARTED,), "HAProxy's worker restarted during a runtime update", "other"),
    ((UNEXPLAINED_FAILURE,), "the last reload failed and HAProxy did not say why", "other"),
    ((requested("SIGUSR1"),), "SIGUSR1", "asked"),
    ((ADOPTED, WHITE_SPACE_DIFFERS), "HAProxy was taken over: white space", "adopted"),
    (
        (ADOPTED, *changed(("backend", "a", Fate.CHANGED))),
        "HAProxy was taken over: backend a differs",
        "adopted",
    ),
    (
        changed(("frontend", "shop_10000_in", Fate.NEW), ("backend", "shop_10000", Fate.NEW)),
        "frontend shop_10000_in is new, backend shop_10000 is new",
        "frontend",
    ),
    (changed(("backend", "shop_10000", Fate.GONE)), "backend shop_10000 is gone", "backend"),
    (changed(("map", "domain2backend.map", Fate.NEW)), "map domain2backend.map is new", "map"),
    (changed(("userlist", "people", Fate.CHANGED)), "userlist people differs", "userlist"),
    (changed(("defaults", "more", Fate.NEW)), "defaults more is new", "other"),
    (changed(("head", "", Fate.CHANGED)), "the head differs", "head"),
    (changed(("order", "", Fate.CHANGED)), "the order of the sections differs", "order"),
    ((server("has the argument track"),), "server shop/a has the argument track", "server"),
    (
        (server("has the argument x, which HAProxy refuses: no", refused=True),),
        "server shop/a has the argument x, which HAProxy refuses: no",
        "refused",
    ),
    ((from_refusal(NO),), "HAProxy refuses 'add server shop/a': no", "refused"),
    (
        (from_refusal(CommandRefusal("set map /m.map a b", "no"), "m.map"),),
        "map m.map: HAProxy refuses 'set map /m.map': no",
        "refused",
    ),
)


class ReloadReasonTests(SynchronousTestCase):
    """One fact, its sentence for people and its label for machines."""

    def test_table(self) -> None:
        """Each reason has a sentence, and a label that is documented."""
        for reasons, text, label in TABLE:
            with self.subTest(text):
                self.assertEqual((sentence(reasons), metric_label(reasons)), (text, label))
                self.assertIn(label, LABELS)

    def test_one(self) -> None:
        """One reason alone is the phrase that it is in a sentence."""
        for reasons, text, _ in TABLE:
            if len(reasons) == 1:
                self.assertEqual(str(reasons[0]), text)

    def test_names_decide_nothing(self) -> None:
        """A path or a name that holds another kind's word does not change the label."""
        for reason in (
            certificate_changed("/srv/maps/a.map changed"),
            certificate_changed("/etc/server /backend x"),
            ReloadReason(ReasonKind.RUNTIME_API_UNAVAILABLE, detail="/run/map server backend x: it hung up"),
        ):
            self.assertEqual(metric_label([reason]), "other")
        self.assertEqual(metric_label([requested("there was no configuration")]), "asked")
        self.assertEqual(metric_label(changed(("backend", "the head map server", Fate.NEW))), "backend")

    def test_certificate(self) -> None:
        """A certificate's reason names its path."""
        self.assertEqual(sentence([certificate_changed("/srv/a.pem")]), "certificate /srv/a.pem changed")

    def test_none(self) -> None:
        """Without a reason there is no sentence."""
        self.assertEqual((sentence(()), metric_label(())), ("", "other"))

    def test_many(self) -> None:
        """Sections are one phrase, and of more than three phrases the others are counted."""
        sections = changed(("backend", "a", Fate.NEW))
        again = changed(("backend", "b", Fate.NEW))
        others = [server(f"has the argument a{number}") for number in range(4)]
        self.assertEqual(
            sentence([*sections, *others, *again]),
            "backend a is new, backend b is new, server shop/a has the argument a0, "
            "server shop/a has the argument a1 and 2 more",
        )

    def test_refused_commands(self) -> None:
        """The commands that were refused are known by their first two words."""
        self.assertEqual(refused_commands([FIRST_START, from_refusal(NO)]), ("add_server",))
        self.assertEqual(refused_commands([server("x", refused=True)]), ())
