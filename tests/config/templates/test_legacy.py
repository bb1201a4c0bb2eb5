"""Rewrites of old lines, and the warnings about them."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates import legacy
from marathonlb.config.text.model import Chunk, Owner
from marathonlb.marathon.model import HealthCheck
from tests.config.templates.rendering import rendered
from tests.routing.apps import service


class StatsSocketTests(SynchronousTestCase):
    """``stats socket`` in a directory that is not there."""

    def rewritten(self, *lines: str) -> legacy.ModernHead:
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

    def test_replaced(self) -> None:
        """Ours is used with all arguments of the line, with a warning; others stay."""
        made = self.rewritten(
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
        made = self.rewritten(
            "stats socket /a/x", "stats socket /b/y level admin", "stats socket ipv4@127.0.0.1:9"
        )
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
        self.assertEqual(legacy.head(text, managed=False, socket="/s", config="/c"), legacy.ModernHead(text))


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
