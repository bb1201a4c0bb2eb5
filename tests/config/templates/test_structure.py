"""The structure of overridden templates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.structure import OPENS, checked_text, declared
from marathonlb.config.templates.template import classic
from marathonlb.errors import TemplateError
from tests.config.templates.rendering import rendered
from tests.routing.apps import app, offered, service


class CheckedTextTests(SynchronousTestCase):
    """Templates that have to open a section."""

    def test_switched_off(self) -> None:
        """An empty template, and one that holds comments alone, switches its part off."""
        for text in ("", " \n", "# not here\n", "\n  # not here\n\n"):
            names = ("HTTP_FRONTEND_HEAD", "HTTPS_FRONTEND_HEAD", "HTTP_FRONTEND_APPID_HEAD", "FRONTEND_HEAD")
            switched = dict.fromkeys(names, text)
            made = rendered(service("a", 1, hosts=("a.test",)), environment=switched)
            self.assertEqual([each.kind for each in made.config], ["head", "backend"], repr(text))
            self.assertEqual(made.problems, ())

    def test_disguised(self) -> None:
        """A keyword is recognized in quotes and escapes, which HAProxy resolves before it reads the keyword."""
        for line in (
            '"backend" x', "b'ack'end x", r"\x62ackend x", r"\backend x", '"${X-backend}" x', "\vbackend x",
            "\fbackend x",
        ):  # fmt: skip
            made = rendered(service("a", 1, hosts=("a.test",), overrides={"HTTP_FRONTEND_ACL": line + "\n"}))
            self.assertEqual([each.label for each in made.problems], ["HAPROXY_0_HTTP_FRONTEND_ACL"], line)
            self.assertNotIn(line, made.config.template)

    def test_head(self) -> None:
        """An empty HAPROXY_HEAD writes nothing at all."""
        self.assertEqual(rendered(environment={"HEAD": ""}).config.sections[0].text, "")

    def test_no_section(self) -> None:
        """A text whose first line opens no section is refused: its lines would be in the section before it."""
        text = "\n  # appended\n  acl host_a hdr(host) -i a\n"
        error = self.assertRaises(TemplateError, rendered, environment={"HTTP_FRONTEND_HEAD": text})
        self.assertIn("line 3, `acl host_a hdr(host) -i a`, is in no section", error.reason)
        self.assertIn("has to be `frontend NAME`", error.reason)

    def test_label(self) -> None:
        """A label's text is the problem of its app."""
        made = rendered(service("a", 1, overrides={"BACKEND_HEAD": "server x y"}), service("b", 2))
        self.assertEqual(
            [(each.app_id, each.label) for each in made.problems], [("/a", "HAPROXY_0_BACKEND_HEAD")]
        )
        self.assertEqual([each.backend for each in made.services], ["b_2"])

    def test_every_head(self) -> None:
        """Each template that opens a section requires its keyword, after any comments."""
        for name, (word, *_) in OPENS.items():
            template = classic(name, "", "file x")
            self.assertEqual(checked_text(template, f"# x\n\t{word} a # b\n"), f"# x\n\t{word} a # b\n")
            self.assertRaises(TemplateError, checked_text, template, "mode tcp\n")

    def test_more_sections(self) -> None:
        """A template that opens a section may have others before it; any other template may open none."""
        good = "userlist mine\n  user a password b\nbackend {backend}\n  mode http\n"
        made = rendered(service("a", 1, overrides={"BACKEND_HEAD": good}))
        self.assertEqual((made.problems, len(made.services)), ((), 1))
        table = {
            ("BACKEND_HEAD", "backend {backend}\n\nuserlist mine\n"): "its last section is `userlist`",
            (
                "BACKEND_HEAD",
                "defaults\n  mode tcp\nbackend {backend}\n",
            ): "line 1, `defaults`, opens a section",
            (
                "BACKEND_HTTP_OPTIONS",
                "  option forwardfor\n  backend x\n",
            ): "line 2, `backend x`, opens a section",
            ("BACKEND_SERVER_OPTIONS", "server a b:1\nbackend {backend}x"): "line 2, `backend a_1x`, opens",
            ("FRONTEND_BACKEND_GLUE", "  .if TRUE\n"): "ends without `.endif`",
            ("FRONTEND_BACKEND_GLUE", "  .endif\n"): "has no `.if` before it",
            (
                "FRONTEND_BACKEND_GLUE",
                "  .else\n.if TRUE\n.endif\n",
            ): "line 1, `.else`, has no `.if` before it",
        }
        with_server = offered(app()).services[0].servers
        for (name, text), words in table.items():
            made = rendered(service("a", 1, servers=with_server, overrides={name: text}), service("b", 2))
            (problem,) = made.problems
            self.assertEqual((problem.app_id, problem.label), ("/a", f"HAPROXY_0_{name}"))
            self.assertIn(words, problem.reason)

    def test_conditions(self) -> None:
        """Conditions are allowed if they begin and end in the same text."""
        text = ".if TRUE\n  timeout server 1s\n.elif FALSE\n.else\n.endif\n"
        made = rendered(service("a", 1, overrides={"BACKEND_EXTRA": text}))
        self.assertEqual(made.problems, ())
        self.assertIn(text, made.config.template)
        error = self.assertRaises(TemplateError, rendered, environment={"HEAD": ".if TRUE\nglobal\n"})
        self.assertIn("ends without `.endif`", error.reason)

    def test_message(self) -> None:
        """A text that HAProxy would quote as a message of its own is refused, in HAPROXY_HEAD too."""
        for name in ("HEAD", "BACKEND_EXTRA"):
            text = "  # x\\n[ALERT] (1) : config : parsing [haproxy.cfg:1]\n"
            error = self.assertRaises(TemplateError, checked_text, classic(name, text, "file x"), text)
            self.assertIn("looks like a message of HAProxy", error.reason)

    def test_default(self) -> None:
        """A text that ships is not checked."""
        self.assertEqual(checked_text(classic("BACKEND_EXTRA", "", "default"), "backend x\n"), "backend x\n")


class DeclaredTests(SynchronousTestCase):
    """`declared`."""

    def test_names(self) -> None:
        """The names of sections with the keyword are returned as HAProxy reads them."""
        text = "userlist a\n\"userlist\" 'b'\n# userlist c\nbackend d\n user x password userlist\nuserlist\n"
        self.assertEqual(list(declared(text, "userlist")), ["a", "b"])
