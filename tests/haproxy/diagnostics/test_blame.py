"""Which services and templates are at fault for what HAProxy refuses, and how a complaint is explained."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Chunk, Config, Owner, Section
from marathonlb.errors import Complaint
from marathonlb.haproxy.diagnostics.blame import (
    about_defaults,
    blamed,
    explained,
    names_clash,
    operators,
)
from marathonlb.haproxy.diagnostics.hints import remedy
from marathonlb.haproxy.diagnostics.messages import complaints
from tests.paths import data

FILE = "file /t/HAPROXY_BACKEND_HTTP_OPTIONS"
HEAD = "global\n  # old\n  nbproc 4\n\nbackend mesos\n  server a b:1 check\n  server m1 x:1 resolvers dns\n"


def backend(name: str, source: str = FILE, text: str = "  reqrep a b\n") -> Section:
    """A backend of an app, with a line that somebody else has written."""
    app = f"/{name}"
    return Section(
        "backend",
        name,
        (
            Chunk(f"\nbackend {name}\n", Owner(app, 0, "BACKEND_HEAD")),
            Chunk(text, Owner(app, 0, "BACKEND_HTTP_OPTIONS", source)),
        ),
    )


def config(*sections: Section) -> Config:
    """A head of the operator's, and these."""
    return Config(
        (Section("head", "", (Chunk(HEAD, Owner(None, None, "HEAD", "file /t/HAPROXY_HEAD")),)), *sections)
    )


def complaint(where: Config, line: int, words: str = "no") -> Complaint:
    """A complaint about a line."""
    found = where.locate(line)
    assert found is not None
    return Complaint(message=words, line=line, owner=found[1].owner)


class BlamedTests(SynchronousTestCase):
    """Services, or templates of the operator's."""

    def test_shared(self) -> None:
        """What belongs to no app is the template's fault, and everything that is wrong with it is told."""
        made = config()
        who = blamed([complaint(made, 3, "nbproc is not supported"), complaint(made, 6)], made)
        self.assertEqual(who.services, {})
        first = "nbproc is not supported (line 3: `nbproc 4`); remove it, or set `nbthread`"
        self.assertEqual(who.templates, {"HEAD": f"{first}; no (line 6: `server a b:1 check`)"})

    def test_every_service(self) -> None:
        """A template whose line is refused in each service that has it is wrong itself."""
        made = config(backend("a"), backend("b"), backend("c", "default"))
        who = blamed([complaint(made, 10), complaint(made, 13)], made)
        self.assertEqual((list(who.templates), who.services), (["BACKEND_HTTP_OPTIONS"], {}))
        self.assertIn("(line 1: `reqrep a b`)", who.templates["BACKEND_HTTP_OPTIONS"])

    def test_one_service(self) -> None:
        """Where others pass with the same template it is that service's fault."""
        made = config(backend("a"), backend("b"))
        who = blamed([complaint(made, 13)], made)
        self.assertEqual(who.templates, {})
        self.assertEqual(list(who.services), [("/b", 0)])
        self.assertEqual(who.services["/b", 0][0], "HAPROXY_BACKEND_HTTP_OPTIONS")

    def test_most_services(self) -> None:
        """Where it is refused in most of the services, it is wrong itself, though others pass."""
        made = config(backend("a"), backend("b"), backend("c"))
        who = blamed([complaint(made, 10), complaint(made, 16)], made)
        self.assertEqual((list(who.templates), who.services), (["BACKEND_HTTP_OPTIONS"], {}))

    def test_few_services(self) -> None:
        """Where most pass with it, it is the fault of those that have put something into the line."""
        made = config(*(backend(f"a{n:02}", text=f"  {'x' if n in (0, 2) else 'y'}\n") for n in range(60)))
        who = blamed([complaint(made, 10), complaint(made, 16)], made)
        self.assertEqual((who.templates, set(who.services)), ({}, {("/a00", 0), ("/a02", 0)}))

    def test_same_line(self) -> None:
        """A line that is the same in others is the template's, however few are refused."""
        made = config(*(backend(f"a{n:02}") for n in range(60)))
        who = blamed([complaint(made, 10), complaint(made, 16)], made)
        self.assertEqual((list(who.templates), who.services), (["BACKEND_HTTP_OPTIONS"], {}))

    def test_no_further(self) -> None:
        """Services that HAProxy has not come to are no witnesses."""
        made = config(*(backend(f"a{n:02}", text=f"  x{n}\n") for n in range(60)))
        for others, wanted in ((0, {}), (48, {"BACKEND_HTTP_OPTIONS"})):
            found = [*[complaint(made, 1)] * others, complaint(made, 10), complaint(made, 13)]
            self.assertEqual(blamed(found, made).templates.keys() - {"HEAD"}, set(wanted), others)

    def test_trusted(self) -> None:
        """A template that HAProxy has accepted before is not to blame for what is new."""
        made = config(backend("a"), backend("b"))
        trusted = operators(made)
        self.assertEqual(trusted, {"HEAD", "BACKEND_HTTP_OPTIONS"})
        who = blamed([complaint(made, 10), complaint(made, 13)], made, trusted=trusted)
        self.assertEqual((who.templates, set(who.services)), ({}, {("/a", 0), ("/b", 0)}))
        self.assertEqual(who.doubted, {})
        who = blamed([complaint(made, 10), complaint(made, 13)], made, trusted=("BACKEND_EXTRA",))
        self.assertEqual(list(who.templates), ["BACKEND_HTTP_OPTIONS"])

    def test_doubted(self) -> None:
        """HAProxy may give up at the first: a template that is refused in a second service then is wrong itself."""
        made = config(backend("a"), backend("b"), backend("c"))
        who = blamed([complaint(made, 13)], made)
        self.assertEqual(who.doubted, {"BACKEND_HTTP_OPTIONS": {("/b", 0)}})
        made = config(backend("a"), backend("c"))
        who = blamed([complaint(made, 10)], made, doubted=who.doubted)
        self.assertEqual((list(who.templates), who.services), (["BACKEND_HTTP_OPTIONS"], {}))

    def test_modes(self) -> None:
        """Of a frontend and a backend whose modes differ it is the one that is not our default, else the backend."""
        said = (
            "[ALERT]    (1) : config : http frontend 'in' (/x/haproxy.cfg:{}) tries to use incompatible tcp backend 'a'"
            " (/x/haproxy.cfg:{}) in a 'use_backend' rule (see 'mode')."
        )
        made = config(backend("a"), backend("b", "default"))
        for lines, wanted in (((10, 12), 10), ((12, 10), 10), ((12, 13), 13)):
            (found,) = complaints(said.format(*lines), made)
            self.assertEqual(found.line, wanted, lines)
        self.assertIn("`mode {mode}`", remedy(said))

    def test_label(self) -> None:
        """A label is named by its whole name, and the first complaint about a service counts."""
        made = config(backend("a", "label HAPROXY_0_BACKEND_HTTP_OPTIONS", "  x\n  y\n"))
        who = blamed([complaint(made, 11, "first"), complaint(made, 10, "second")], made)
        self.assertEqual(who.services, {("/a", 0): ("HAPROXY_0_BACKEND_HTTP_OPTIONS", "first (line 2: `y`)")})

    def test_nobody(self) -> None:
        """A complaint without an owner blames nobody."""
        who = blamed([Complaint(message="no memory")], config())
        self.assertEqual((who.templates, who.services), ({}, {}))

    def test_secrets(self) -> None:
        """A line with a password is not shown."""
        made = config(backend("a", "label L", "  user u password $6$x\n"))
        self.assertEqual(explained(complaint(made, 10), made), "no (line 1)")

    def test_defaults(self) -> None:
        """Our own line is not shown: its owner has not written it."""
        made = config(backend("a", "default"))
        self.assertEqual(explained(complaint(made, 10), made), "no")

    def test_twins(self) -> None:
        """Of two proxies of one name it is the one that stands in a section of another name."""
        made = config(backend("a", "label L", "backend b\n"), backend("b"))
        said = (
            "[ALERT]    (1) : config : Parsing [/x/haproxy.cfg:{}]: backend 'b' has the same name as backend 'b'"
            " declared at /x/haproxy.cfg:{}."
        )
        for lines in ((10, 12), (12, 10)):
            (found,) = complaints(said.format(*lines), made)
            self.assertEqual(found.line, 10, lines)

    def test_files(self) -> None:
        """Where HAProxy may not open as many files as it is told to, the line that tells it so is found."""
        for line in ("  maxconn 50000", "  ulimit-n 65536"):
            text = f"defaults\n  maxconn 5\nglobal\n  # maxconn 1\n{line}\n  daemon\n"
            made = Config((Section("head", "", (Chunk(text, Owner(None, None, "HEAD", "file x")),)),))
            said = (
                "[ALERT]    (1) : [/usr/sbin/haproxy.main()] Cannot raise FD limit to 125043, limit is 20000."
            )
            (found,) = complaints(said, made)
            who = blamed([found], made, trusted=("HEAD",))
            self.assertRegex(who.templates["HEAD"], rf"\(line 5: `{line.strip()}`\); remove it: ")
        (found,) = complaints(said, config())
        self.assertIsNone(found.owner)

    def test_places(self) -> None:
        """A place is found in whatever form HAProxy tells it, also after words that were cut short."""
        made = config(backend("a", "label L", "  use-server x if TRUE\n"))
        table = {
            "[ALERT]    (1) : proxy 'a': unknown http-errors section 'x' (at /x/haproxy.cfg:10).": 10,
            "[ALERT]    (1) : [/x/haproxy.cfg:6] : parsing [/x/haproxy.cfg:6] : 'server' not allowed": 6,
            "[ALERT]    (1) : backend 'a' : unable to find server 'x' referenced in a 'use-server' rule.": 10,
            "[ALERT]    (1) : Binding [/x/haproxy.cfg:9] for frontend a: cannot bind socket for [127.0.0.1:80]": 9,
        }
        for output, wanted in table.items():
            self.assertEqual([found.line for found in complaints(output, made)], [wanted], output)
        cut = "[ALERT]    (1) : parsing [/x:9] : character '[ALERT]    (1) : parsing [/x:10] : no"
        self.assertEqual([found.line for found in complaints(cut, made)], [9, 10])

    def test_word_of_a_proxy(self) -> None:
        """Where a proxy is named and no line of somebody's own, it is the one with a word that HAProxy quotes."""
        ours = Chunk("  server s b:1\n", Owner("/a", 0, "BACKEND_SERVER_OPTIONS"))
        theirs = backend("a", "label L", "  fullconn 5\n  http-request track-sc0 src table x\n")
        made = config(Section("backend", "a", (*theirs.chunks, ours)))
        table = {
            "Proxy 'a': unable to find table 'x' referenced by track-sc0.": 11,
            "backend 'a', server 's': unable to find required resolvers 'x'": 11,
            "backend 'a', server 's': unable to find required resolvers 'y'": 12,
            "Proxy 'a': unable to find table 'y' referenced by track-sc0.": 9,
        }
        for words, wanted in table.items():
            (found,) = complaints(f"[ALERT]    (1) : {words}", made)
            self.assertEqual(found.line, wanted, words)

    def test_own_defaults(self) -> None:
        """A complaint about what backends would be made from while HAProxy runs is known by its name."""
        ours = Section(
            "defaults", "marathon_lb_backend_1", (Chunk("\ndefaults x\n", Owner(template="DEFAULTS")),)
        )
        said = "[ALERT]    (1) : Proxy 'marathon_lb_backend_1': unable to find table 'x' referenced by track-sc0."
        found = complaints(said, config(backend("a"), ours))
        self.assertTrue(about_defaults(found))

    def test_proxy_in_a_template(self) -> None:
        """A complaint that names a proxy and no line finds it in the text of a template, down to the server."""
        made = config(backend("a"))
        said = (
            "[ALERT]    (1) : config : backend 'mesos', server 'm1': unable to find required resolvers 'dns'"
        )
        (found,) = complaints(said, made)
        self.assertEqual(found.line, 7)
        self.assertIn("`resolvers` section", blamed([found], made).templates["HEAD"])


class ClashTests(SynchronousTestCase):
    """A frontend and a backend of one name."""

    directory = data("haproxy", "messages")

    def test_words(self) -> None:
        """HAProxy's words for it are known."""
        output = (self.directory / "frontend-and-backend-of-one-name.3.4.txt").read_text()
        self.assertTrue(names_clash(complaints(output)))
        output = (self.directory / "duplicate-backend-name.3.4.txt").read_text()
        self.assertFalse(names_clash(complaints(output)))
