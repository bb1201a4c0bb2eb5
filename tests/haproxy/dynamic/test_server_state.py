"""What HAProxy says of its servers."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.server_lines import parse_server
from marathonlb.haproxy.dynamic.server_state import ReportedServer, deviations, parse_state, state_file
from marathonlb.haproxy.dynamic.servers import DRAIN, MAINTENANCE, READY, HeldServer
from marathonlb.haproxy.files.state_directory import STATE_HEADER
from tests.haproxy.runtime.connections import backend

HEADER = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight"


def line(
    name: str,
    *,
    shop: str = "shop",
    address: str = "10.0.0.1",
    state: int = 2,
    admin: int = 0,
    weight: int = 1,
    port: str = "80",
) -> str:
    return f"3 {shop} 11 {name} {address} {state} {admin} {weight} 1 6 6 3 4 6 0 0 1 - {port} - 0 0 - - 0"


def seen(text: str) -> ReportedServer:
    (servers,) = parse_state(text).values()
    (server,) = servers.values()
    return server


class ParseTests(SynchronousTestCase):
    """``show servers state``."""

    def test_fields(self) -> None:
        """Address, port, weight and admin state are read by backend and server."""
        answer = "\n".join([HEADER, line("a", weight=7), line("b", shop="other", address="::1", admin=8)])
        found = parse_state(answer)
        self.assertEqual(
            (found["shop"]["a"].address, found["shop"]["a"].port, found["shop"]["a"].weight),
            ("10.0.0.1", 80, 7),
        )
        self.assertEqual((found["other"]["b"].address, found["other"]["b"].admin), ("::1", DRAIN))

    def test_admin_states(self) -> None:
        """Maintenance of the socket and of the file, drain, and what is inherited are told apart."""
        for bits, admin in {
            0: READY,
            1: MAINTENANCE,
            4: MAINTENANCE,
            5: MAINTENANCE,
            8: DRAIN,
            9: MAINTENANCE,
            16: READY,
        }.items():
            self.assertEqual(seen(line("a", admin=bits)).admin, admin, bits)

    def test_no_port(self) -> None:
        """A server without a port of its own has none."""
        self.assertEqual(seen(line("a", port="-")).port, 0)


A = parse_server("server a 10.0.0.1:80 id 11")


class AgreementTests(SynchronousTestCase):
    """What HAProxy holds against what it should."""

    def test_agrees(self) -> None:
        """A server that reads back as it should is that server; anything else is not."""
        ready, drained, stopped = HeldServer(A), HeldServer(evolve(A, weight=0)), HeldServer(A, MAINTENANCE)
        for what, text, held, agrees in [
            ("same", line("a"), ready, True),
            ("address", line("a", address="10.0.0.2"), ready, False),
            ("port", line("a", port="81"), ready, False),
            ("weight", line("a", weight=2), ready, False),
            ("drained", line("a", admin=8), ready, False),
            ("maintenance", line("a", admin=1), ready, False),
            ("down", line("a", state=0), ready, True),
            ("weight 0 for weight 0", line("a", weight=0), drained, True),
            ("drained with its weight for weight 0", line("a", admin=8, weight=5), drained, True),
            ("ready for weight 0", line("a"), drained, False),
            ("maintenance for weight 0", line("a", admin=1, weight=0), drained, False),
            ("in maintenance", line("a", admin=1), stopped, True),
            ("in maintenance that serves", line("a"), stopped, False),
            ("in maintenance elsewhere", line("a", admin=1, port="81"), stopped, False),
            (
                "odd arguments",
                line("a", address="-", weight=9),
                HeldServer(parse_server("server a db:80 id 11")),
                True,
            ),
        ]:
            self.assertEqual(seen(text).agrees(held), agrees, what)

    def test_deviations(self) -> None:
        """What is missing, what is too much and what is otherwise is named; the rest is not."""
        found = deviations(
            {"a": HeldServer(A), "b": HeldServer(A), "c": HeldServer(A)},
            {"a": seen(line("a")), "b": seen(line("b", weight=3)), "x": seen(line("x", admin=1))},
        )
        self.assertEqual(set(found), {"b", "c", "x"})
        self.assertEqual(found["b"], HeldServer(evolve(A, weight=3)))
        self.assertIsNone(found["c"])
        extra = found["x"]
        assert extra is not None
        self.assertEqual((extra.known, extra.admin, extra.server.address), (False, MAINTENANCE, "10.0.0.1"))


class StateFileTests(SynchronousTestCase):
    """What a reload may keep."""

    def kept(self, text: str, *lines: str) -> list[str]:
        answer = "\n".join([HEADER, *lines])
        made = state_file(answer, [backend("shop", text)])
        self.assertTrue(made.startswith(STATE_HEADER))
        return made.removeprefix(STATE_HEADER).splitlines()

    def test_down(self) -> None:
        """A server that is down and is wanted as it is stays down."""
        down = line("a", state=0)
        self.assertEqual(self.kept("server a 10.0.0.1:80 check", down), [down])

    def test_long(self) -> None:
        """HAProxy reads a line in pieces of 1,999 bytes, so that the end of a longer one would be a line of its own."""
        for length, kept in ((1900, True), (2100, False)):
            name = "s" * length
            down = line(name, state=0)
            self.assertEqual([down] if kept else [], self.kept(f"server {name} 10.0.0.1:80 check", down))

    def test_up(self) -> None:
        """One that is up needs no line."""
        self.assertEqual(self.kept("server a 10.0.0.1:80 check", line("a")), [])

    def test_other_text(self) -> None:
        """One whose address, port, weight or admin state is not what the text wants gets none."""
        down = line("a", state=0)
        for text in (
            "10.0.0.2:80 check",
            "10.0.0.1:81 check",
            "10.0.0.1:80 check weight 5",
            "10.0.0.1:80 check weight 0",
        ):
            self.assertEqual(self.kept(f"server a {text}", down), [], text)
        for other in (line("a", state=0, admin=1), line("a", state=0, admin=8), line("a", state=0, weight=0)):
            self.assertEqual(self.kept("server a 10.0.0.1:80 check", other), [], other)

    def test_unchecked(self) -> None:
        """One that is not checked any more would never come up again, and gets none."""
        self.assertEqual(self.kept("server a 10.0.0.1:80", line("a", state=0)), [])

    def test_gone(self) -> None:
        """One that is not wanted any more gets none; nor does one of a backend that is gone."""
        self.assertEqual(
            self.kept("server b 10.0.0.1:80 check", line("a", state=0), line("a", shop="x", state=0)), []
        )
