"""What the runtime API of a HAProxy can do, and what refusals teach."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.server_lines import parse_server
from marathonlb.haproxy.dynamic.capabilities import RuntimeCapabilities, UpdateObstacle
from marathonlb.haproxy.reload_reason import metric_label, sentence
from marathonlb.haproxy.runtime.replies import CommandRefusal

COOKIE = parse_server("server a 10.0.0.1:80 cookie x")


class VersionTests(SynchronousTestCase):
    """What is known by the version."""

    def test_cookie(self) -> None:
        """Before 2.7 a server with a cookie cannot be added."""
        for version, detail in (
            ("2.6.12-1", "has the argument cookie, which HAProxy 2.6.12-1 does not take at runtime"),
            ("2.8.1", None),
        ):
            obstacle = RuntimeCapabilities.of(version).limits.obstacle_to(COOKIE)
            self.assertEqual(obstacle.detail if obstacle else None, detail)

    def test_help(self) -> None:
        """Where HAProxy lists the arguments, others cannot be used."""
        limits = RuntimeCapabilities.of("3.4.0", "check\nweight\nid\n").limits
        self.assertIn("cookie", limits.arguments)
        self.assertNotIn("check", limits.arguments)

    def test_backends(self) -> None:
        """Whole backends are created from 3.4 on."""
        made = [RuntimeCapabilities.of(v).limits.creates_backends for v in ("2.8", "3.3.1", "3.4.0", "4.0")]
        self.assertEqual(made, [False, False, True, True])

    def test_updated(self) -> None:
        """What was learnt is kept as long as the version is the same."""
        learnt = RuntimeCapabilities.of("2.8.1").without(
            CommandRefusal("add server a/b 10.0.0.1:80", "'x' option is not accepted for dynamic server"), ""
        )
        self.assertIs(learnt.updated("2.8.1", ""), learnt)
        self.assertEqual(learnt.updated("2.8.2", ""), RuntimeCapabilities.of("2.8.2"))


class RefusalTests(SynchronousTestCase):
    """What refusals teach."""

    def setUp(self) -> None:
        self.capabilities = RuntimeCapabilities.of("3.4.0")

    def test_argument(self) -> None:
        """An argument that was refused is not tried again."""
        reply = "'cookie' option is not accepted for dynamic server"
        learnt = self.capabilities.without(CommandRefusal("add server s/a 10.0.0.1:80 cookie x", reply), "")
        obstacle = learnt.limits.obstacle_to(COOKIE)
        assert obstacle is not None
        reason = obstacle.of_server("s/a").reason
        self.assertEqual(
            sentence([reason]), f"server s/a has the argument cookie, which HAProxy refuses: {reply}"
        )
        self.assertEqual(metric_label([reason]), "refused")

    def test_backend(self) -> None:
        """A backend that takes no servers is not tried again with the same text."""
        refusal = CommandRefusal("add server shop/a 10.0.0.1:80", "backend does not support dynamic servers")
        limits = self.capabilities.without(refusal, "rest").limits
        self.assertEqual(list(limits.backends), ["shop"])
        self.assertEqual(limits.backends["shop"][0], "rest")

    def test_transient(self) -> None:
        """A refusal that depends on what HAProxy holds teaches nothing."""
        for reply in ("No such backend.", ""):
            refusal = CommandRefusal("add server shop/a 10.0.0.1:80", reply)
            self.assertIs(self.capabilities.without(refusal, ""), self.capabilities)

    def test_whole_backends(self) -> None:
        """A section that was refused is not tried again; without publish no backend is."""
        refusal = CommandRefusal("add backend shop from marathon_lb_backend_1", "Rejected.")
        limits = self.capabilities.without(refusal, "").limits
        self.assertEqual(dict(limits.defaults), {"marathon_lb_backend_1": "Rejected."})
        unknown = CommandRefusal("publish backend shop", "Unknown command: 'publish'")
        self.assertFalse(self.capabilities.without(unknown, "").limits.creates_backends)


class ObstacleTests(SynchronousTestCase):
    """Obstacles become reasons."""

    def test_sentences(self) -> None:
        """Of a server, of a backend and of a new backend."""
        obstacle = UpdateObstacle("has x")
        found = [obstacle.of_server("s/a"), obstacle.of_backend("s"), obstacle.of_new_backend("s")]
        self.assertEqual(
            [(sentence([it.reason]), metric_label([it.reason])) for it in found],
            [
                ("server s/a has x", "server"),
                ("backend s: has x", "backend"),
                ("backend s is new, and has x", "backend"),
            ],
        )
