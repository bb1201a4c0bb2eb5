"""The sections of one service."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.sections import ServiceText, asks_clients
from marathonlb.settings import Settings
from tests.config.clusters import DEFAULTS, overriding, renderer, section, services
from tests.routing.apps import app, service, task


class SwitchTests(SynchronousTestCase):
    """Empty templates and other ways to switch parts off."""

    def test_empty(self) -> None:
        """An empty template switches its part off: of one service by a label, of all by the operator."""
        one = service("one", 1, hosts=("a.com",), use_hsts=True, overrides={"BACKEND_HSTS_OPTIONS": ""})
        two = service("two", 2, hosts=("b.com",), use_hsts=True)
        rendered = renderer().render([one, two])
        self.assertNotIn("Strict", section(rendered, "one_1").text)
        self.assertIn("Strict", section(rendered, "two_2").text)
        rendered = renderer(overriding(BACKEND_HSTS_OPTIONS="", HTTP_FRONTEND_APPID_HEAD="\n")).render(
            [one, two]
        )
        self.assertNotIn("Strict", rendered.config.template)
        self.assertNotIn("appid", rendered.config.template)

    def test_frontend(self) -> None:
        """Without a frontend's head there is no frontend, and its service is reached by its hosts."""
        rendered = renderer().render([service("one", 1, hosts=("a.com",), overrides={"FRONTEND_HEAD": " "})])
        self.assertEqual(
            [each.name for each in rendered.config if each.kind == "frontend"][-1:],
            ["marathon_http_appid_in"],
        )
        self.assertIn("a.com one_1\n", rendered.config.map_texts()["domain2backend.map"])

    def test_backend(self) -> None:
        """Without a backend's head there is no service at all, and nothing leads to it."""
        rendered = renderer().render([service("one", 1, hosts=("a.com",), overrides={"BACKEND_HEAD": ""})])
        self.assertEqual(rendered.services, ())
        self.assertNotIn("one_1", rendered.config.template + "".join(rendered.config.map_texts().values()))

    def test_last_newline(self) -> None:
        """An override without a newline at its end does not run into the next line."""
        overrides = {"BACKEND_HEAD": "backend {backend}", "BACKEND_HTTP_OPTIONS": "  option forwardfor"}
        rendered = renderer().render([service("one", 1, overrides=overrides)])
        self.assertEqual(section(rendered, "one_1").text, "backend one_1\n  option forwardfor\n")

    def test_one_server_for_all(self) -> None:
        """A server line that names no task stands once, however many tasks there are."""
        overrides = {"BACKEND_SERVER_OPTIONS": "  timeout server 1h\n  server all all.example.com:80"}
        tasks = services(app(tasks=(task(1), task(2))))[0].servers
        rendered = renderer().render([service("one", 1, servers=tasks, overrides=overrides)])
        self.assertEqual(section(rendered, "one_1").text.count("server all "), 1)

    def test_weights(self) -> None:
        """A draining server has weight 0; a plain one names none."""
        (server,) = services(app())[0].servers
        drained = type(server)(
            **{name: getattr(server, name) for name in server.__struct_fields__} | {"weight": 0}
        )
        text = section(renderer().render([service("one", 1, servers=(drained,))]), "one_1").text
        self.assertIn(f" id {server.id} weight 0\n", text)
        self.assertNotIn(
            "weight", section(renderer().render([service("one", 1, servers=(server,))]), "one_1").text
        )


class SectionsTests(SynchronousTestCase):
    """`Sections`."""

    def test_parts(self) -> None:
        """A service has a userlist with a password, a frontend with a port, and a backend in any case."""
        auth = ("r", "u", "$1$a$b")
        for made, kinds in (
            (service("one", 1), ["frontend", "backend"]),
            (service("one", 1, auth=auth), ["userlist", "frontend", "backend"]),
            (service("one", 1, binds_port=False), ["backend"]),
        ):
            sections = ServiceText(made, Settings(), DEFAULTS).sections()
            self.assertEqual([one.kind for one in sections.written], kinds)

    def test_userlists(self) -> None:
        """The userlists of labels are told from those of other templates."""
        overrides = {"BACKEND_HEAD": "userlist mine\nbackend {backend}\n"}
        made = service("one", 1, auth=("r", "u", "$1$a$b"), overrides=overrides)
        sections = ServiceText(made, Settings(), DEFAULTS).sections()
        self.assertEqual(sections.userlists, (frozenset({"mine"}), frozenset({"user_one_1"})))

    def test_asks_clients(self) -> None:
        """A bind line that verifies asks clients for certificates; a comment on the line counts in case of doubt."""
        for options, asks in (
            ("ssl crt /x verify required", True),
            ("ssl crt /x verify optional", True),
            ("ssl crt /x verify none", False),
            ("# verify required", True),
        ):
            head = "frontend {frontend}\n  bind :1 " + options + "\n"
            sections = ServiceText(
                service("one", 1, overrides={"FRONTEND_HEAD": head}), Settings(), DEFAULTS
            ).sections()
            assert sections.frontend is not None
            self.assertEqual((asks_clients(sections.frontend), sections.asks_clients), (asks, asks))
