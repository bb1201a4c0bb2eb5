"""Overrides of long ago: what is written anew, what is left out, what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.render import Rendered, Renderer
from marathonlb.config.templates import legacy
from marathonlb.config.templates.loader import load_templates
from marathonlb.config.templates.table import classic
from marathonlb.config.text.model import Chunk, Owner
from marathonlb.errors import TemplateError
from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, service


def rendered(
    *known: Service,
    apart: bool = False,
    environment: dict[str, str] | None = None,
    directory: str = "/nowhere",
    **options: Any,
) -> Rendered:
    """What services come to under an operator's templates; their names lack ``HAPROXY_``."""
    overrides = {f"HAPROXY_{name}": text for name, text in (environment or {}).items()}
    settings = Settings(environment=overrides, state_dir="/run/my lb", **options)
    renderer = Renderer(settings, load_templates(directory, overrides))
    if apart:
        renderer.tell_apart()
    return renderer.render(known)


class StatsSocketTests(SynchronousTestCase):
    """``stats socket`` in a directory that is not there."""

    def led(self, *lines: str) -> legacy.Head:
        """A HEAD with these lines, where ``/there`` is a directory."""
        text = "global\n" + "".join(f"  {line}\n" for line in lines)
        return legacy.head(
            text,
            managed=True,
            socket="/s",
            config="/c",
            stats="/run/my lb/haproxy.sock",
            is_directory=lambda path: path == "/there",
        )

    def test_led(self) -> None:
        """It is led to ours with all its words, and that is said; others stay."""
        made = self.led(
            "stats socket /there/x level admin", "stats socket unix@/var/run/haproxy/socket mode 660"
        )
        self.assertEqual(
            made.text.splitlines()[1:],
            [
                "  stats socket /there/x level admin",
                r"  stats socket unix@/run/my\ lb/haproxy.sock mode 660",
            ],
        )
        (warning,) = made.warnings
        self.assertIn("line 3: there is no directory /var/run/haproxy for the stats socket", warning)

    def test_second(self) -> None:
        """A second one is left out, and what is no path stays."""
        made = self.led("stats socket /a/x", "stats socket /b/y level admin", "stats socket ipv4@127.0.0.1:9")
        self.assertEqual(
            made.text.splitlines()[2:],
            ["  # stats socket /b/y level admin", "  stats socket ipv4@127.0.0.1:9"],
        )
        self.assertEqual(len(made.warnings), 2)


class LuaTests(SynchronousTestCase):
    """``lua-load``."""

    def test_ours(self) -> None:
        """Each of the four files is ours, wherever the line looks for it, and HAProxy knows the controller's socket."""
        for name in ("getpids", "getconfig", "getmaps", "signalmlb"):
            for before in ("/marathon-lb/", "/opt/marathon-lb/", "", "./lua/"):
                head = legacy.head(
                    f"global\n\tlua-load  {before}{name}.lua\n", managed=False, socket="/s", config="/c"
                )
                self.assertEqual(head.text, f"global\n\tlua-load  {legacy.LUA}/{name}.lua\n")
                self.assertEqual(
                    head.before,
                    "global\n  setenv MARATHON_LB_WEB_SOCKET /s\n  setenv MARATHON_LB_CONFIG /c\n",
                )
                self.assertEqual(head.warnings, ())
            self.assertTrue((legacy.LUA / f"{name}.lua").is_file())

    def test_quoted(self) -> None:
        """Quotes and comments around the file's name stay what they are."""
        text = "global\n  lua-load \"/a b/getpids.lua\"  # ours\n  lua-load-per-thread 'x/getmaps.lua'\n"
        head = legacy.head(text, managed=False, socket="/run/a b", config="/c d")
        self.assertIn(f"  lua-load {legacy.LUA}/getmaps.lua\n".replace("load", "load-per-thread"), head.text)
        self.assertIn("setenv MARATHON_LB_WEB_SOCKET /run/a\\ b\n", head.before)
        self.assertIn("setenv MARATHON_LB_CONFIG /c\\ d\n", head.before)

    def test_others(self) -> None:
        """Other files, and other lines that name one, stay."""
        text = (
            "global\n  lua-load /x/mygetpids.lua\n  lua-load /x/getpids.lua.old\n  # lua-load /getpids.lua\n"
        )
        self.assertEqual(legacy.head(text, managed=False, socket="/s", config="/c"), legacy.Head(text))


class DaemonTests(SynchronousTestCase):
    """``daemon``."""

    def test_managed(self) -> None:
        """It is left out where the controller runs HAProxy, no line moves, and a warning names the line."""
        made = rendered(environment={"HEAD": "global\n  daemon\n  maxconn 5\n"}, manage_haproxy=True)
        self.assertTrue(made.config.template.startswith("global\n  # daemon\n  maxconn 5\n"))
        (problem,) = made.problems
        self.assertEqual((problem.label, problem.fatal), ("HAPROXY_HEAD", False))
        self.assertIn("line 2: `daemon` is left out", problem.reason)

    def test_elsewhere(self) -> None:
        """It stays where another program runs HAProxy, and so does a word that only begins alike."""
        text = "global\n  daemon\n"
        self.assertEqual(rendered(environment={"HEAD": text}).config.sections[0].text, text)
        self.assertEqual(
            legacy.head("daemons x\n# daemon\n", managed=True, socket="/s", config="/c").warnings, ()
        )


class NameTests(SynchronousTestCase):
    """Frontends that are named like their backends."""

    HEAD = "\nfrontend {backend}\n  bind {bindAddr}:{servicePort}\n  mode {mode}\n"

    def test_apart(self) -> None:
        """Where HAProxy refuses that the frontend gets its own name, and the operator is told once."""
        made = rendered(
            service("a", 1), service("b", 2), apart=True, environment={"FRONTEND_HEAD": self.HEAD}
        )
        self.assertIn("frontend a_1_in\n", made.config.template)
        self.assertIn("frontend b_2_in\n", made.config.template)
        (problem,) = made.problems
        self.assertEqual((problem.app_id, problem.label, problem.fatal), ("", "HAPROXY_FRONTEND_HEAD", False))

    def test_label(self) -> None:
        """An app that names its frontend so is told itself."""
        made = rendered(service("a", 1, overrides={"FRONTEND_HEAD": self.HEAD}), service("b", 2), apart=True)
        self.assertIn("frontend a_1_in\n", made.config.template)
        (problem,) = made.problems
        self.assertEqual((problem.app_id, problem.label), ("/a", "HAPROXY_0_FRONTEND_HEAD"))

    def test_together(self) -> None:
        """Elsewhere the name stays, for those who look for it in statistics and logs."""
        made = rendered(service("a", 1), environment={"FRONTEND_HEAD": self.HEAD})
        self.assertIn("frontend a_1\n", made.config.template)
        self.assertEqual(made.problems, ())

    def test_other_names(self) -> None:
        """A name that only begins like the backend's stays."""
        self.assertEqual(legacy.frontend("frontend a_10\n", "a_1", "a_1_in"), "frontend a_10\n")


class ChecksTests(SynchronousTestCase):
    """Health checks with headers hidden behind the version."""

    OLD = "  option  httpchk GET {path} HTTP/1.1\\r\\nHost:\\ www\n  timeout check 2s\n"

    def pieces(self, line: str) -> list[str]:
        """What a line of somebody's becomes, without its indent."""
        chunk = Chunk(f"  {line}\n", Owner("/a", 0, "BACKEND_EXTRA", "label HAPROXY_0_BACKEND_EXTRA"))
        text = "".join(piece.text for piece in legacy.checks(chunk))
        return [each.strip() for each in text.splitlines()]

    def test_openly(self) -> None:
        """The headers are sent by a line of their own, whose words mean the same to HAProxy."""
        for line, option, send in (
            (
                r"option httpchk GET /x HTTP/1.1\r\nHost:\ www",
                "option httpchk GET /x HTTP/1.1",
                "http-check send hdr Host www",
            ),
            (
                r"option httpchk HEAD /x HTTP/1.0\r\nHost:www\r\nUser-Agent:\ a\ b\r\n\r\n # old",
                "option httpchk HEAD /x HTTP/1.0 # old",
                r"http-check send hdr Host www hdr User-Agent a\ b",
            ),
            (
                r'option httpchk GET /x "HTTP/1.1\r\nHost: www\r\nX: it' "'" 's #1"',
                "option httpchk GET /x HTTP/1.1",
                r"http-check send hdr Host www hdr X it\'s\ \#1",
            ),
        ):
            self.assertEqual(self.pieces(line), [option, send])

    def test_as_it_is(self) -> None:
        """A check that hides nothing stays, and one that cannot be said openly, for HAProxy's own words."""
        for line in (
            "option httpchk",
            "option httpchk GET /x",
            "option httpchk GET /x HTTP/1.1",
            r"option httpchk GET /x HTTP/1.1 \r\nHost:\ www",
            r"option httpchk GET /x HTTP/1.1\r\nHost\ www",
            r"option httpchk GET /x HTTP/1.1\r\nHost:\ www\r\n\r\nbody",
            r"option httpchk GET /x HTTP/1.1\r\nHost:\ 100%",
            r"option httpchk GET /x HTTP/1.1\r\nHost:\ $HOST",
            r"# option httpchk GET /x HTTP/1.1\r\nHost:\ www",
        ):
            self.assertEqual(self.pieces(line), [line])

    def test_label(self) -> None:
        """An app's own is served and told to its owner; lines below it keep the numbers that their owner sees."""
        text = self.OLD + "  nonsense\n"
        made = rendered(service("a", 1, hosts=("a.test",), paths=("/x",), overrides={"BACKEND_EXTRA": text}))
        (problem,) = made.problems
        self.assertEqual((problem.app_id, problem.label), ("/a", "HAPROXY_0_BACKEND_EXTRA"))
        self.assertFalse(problem.fatal)
        self.assertIn("  http-check send hdr Host www\n  timeout check 2s\n", made.config.template)
        lines = made.config.template.split("\n")
        for words, line in (
            ("option  httpchk", 1),
            ("http-check send", 1),
            ("timeout check 2s", 2),
            ("nonsense", 3),
        ):
            number = next(
                place for place, each in enumerate(lines, 1) if words in each and each.strip()[0] != "#"
            )
            found = made.config.place(number)
            assert found is not None
            self.assertEqual((found[1].owner.app_id, found[2]), ("/a", line), words)

    def test_operator(self) -> None:
        """The operator's are told once, those of HAPROXY_HEAD as well."""
        known = (
            service(name, port, health_check=HealthCheck(path="/")) for name, port in (("a", 1), ("b", 2))
        )
        head = "defaults\n" + self.OLD.format(path="/") + "listen x\n  bind :3\n"
        directory = Path(self.mktemp())
        directory.mkdir()
        check = self.OLD.replace("{path}", "{healthCheckPath}")
        (directory / "HAPROXY_BACKEND_HTTP_HEALTHCHECK_OPTIONS").write_text(check)
        (directory / "HAPROXY_HEAD").write_text(head)
        made = rendered(*known, directory=str(directory))
        self.assertEqual(
            [(each.label, each.app_id, each.fatal) for each in made.problems],
            [("HAPROXY_HEAD", "", False), ("HAPROXY_BACKEND_HTTP_HEALTHCHECK_OPTIONS", "", False)],
        )
        self.assertEqual(made.config.template.count("http-check send hdr Host www"), 3)
        self.assertIn("hdr Host www\n  timeout check 2s\nlisten x\n", made.config.sections[0].text)


class OpeningTests(SynchronousTestCase):
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
        """A keyword is one however it is written: HAProxy takes quotes and codes away before it looks."""
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
        """One whose first line opens none would write into the section before it."""
        text = "\n  # appended\n  acl host_a hdr(host) -i a\n"
        error = self.assertRaises(TemplateError, rendered, environment={"HTTP_FRONTEND_HEAD": text})
        self.assertIn("line 3, `acl host_a hdr(host) -i a`, stands in no section", error.reason)
        self.assertIn("has to be `frontend NAME`", error.reason)

    def test_label(self) -> None:
        """A label's is its app's problem."""
        made = rendered(service("a", 1, overrides={"BACKEND_HEAD": "server x y"}), service("b", 2))
        self.assertEqual(
            [(each.app_id, each.label) for each in made.problems], [("/a", "HAPROXY_0_BACKEND_HEAD")]
        )
        self.assertEqual([each.backend for each in made.services], ["b_2"])

    def test_every_head(self) -> None:
        """What opens a section is known for each template that does, and anything may follow a comment."""
        for name, (word, *_) in legacy.OPENS.items():
            template = classic(name, "", "file x")
            self.assertEqual(legacy.opening(template, f"# x\n\t{word} a # b\n"), f"# x\n\t{word} a # b\n")
            self.assertRaises(TemplateError, legacy.opening, template, "mode tcp\n")

    def test_more_sections(self) -> None:
        """A template that opens a section may have others before it; what opens none may not begin any."""
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
        """Conditions that end where they began are the owner's."""
        text = ".if TRUE\n  timeout server 1s\n.elif FALSE\n.else\n.endif\n"
        made = rendered(service("a", 1, overrides={"BACKEND_EXTRA": text}))
        self.assertEqual(made.problems, ())
        self.assertIn(text, made.config.template)
        error = self.assertRaises(TemplateError, rendered, environment={"HEAD": ".if TRUE\nglobal\n"})
        self.assertIn("ends without `.endif`", error.reason)
