"""HAProxy's words → lines and who wrote them, over what four versions said of 26 faults."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Chunk, Config, Owner, Section
from marathonlb.haproxy.diagnostics.messages import complaints, warnings
from tests.haproxy.samples import HEAD, backend
from tests.paths import data

LINES: dict[str, tuple[int, ...]] = {
    "acl-name-with-dollar": (15,),
    "bad-acl-regex": (15,),
    "bad-balance": (14,),
    "bad-network-in-acl": (14, 15),
    "default-backend-that-is-missing": (15,),
    "duplicate-backend-name": (15,),
    "duplicate-server-id": (15,),
    "duplicate-server-name": (15,),
    "frontend-and-backend-of-one-name": (16,),
    "long-line": (),
    "missing-certificate": (14,),
    "missing-map-file": (15,),
    "mode-health": (14,),
    "old-httpchk-with-host": (14,),
    "port-held-by-another-process": (14,),
    "port-out-of-range": (14,),
    "removed-reqirep": (14,),
    "removed-rspadd": (14,),
    "tcp-frontend-to-http-backend": (),
    "two-services-broken-at-once": (14, 16),
    "unknown-keyword-in-backend": (14,),
    "unknown-keyword-on-server-line": (14,),
    "unresolvable-server": (14,),
    "unterminated-quote": (14,),
    "use-backend-that-is-missing": (15,),
    "userlist-missing": (15,),
}
"""The lines that are at fault, by fault."""

EXCEPT = {
    ("frontend-and-backend-of-one-name", "2.6"): (),
    ("frontend-and-backend-of-one-name", "2.8"): (),
    ("frontend-and-backend-of-one-name", "3.0"): (),
    ("old-httpchk-with-host", "2.6"): (),
    # 3.4 gives up at the first word that it does not know.
    ("two-services-broken-at-once", "3.4"): (14,),
}


def by_section(text: str) -> Config:
    """A configuration whose sections are each owned by an app that is named as the section."""
    sections: list[Section] = []
    block: list[str] = []
    for line in [*text.splitlines(keepends=True), "global"]:
        if block and not line.startswith((" ", "\t")):
            kind, _, name = block[0].strip().partition(" ")
            sections.append(Section(kind, name, (Chunk("".join(block), Owner(app_id=f"/{name or kind}")),)))
            block = []
        block.append(line)
    return Config(tuple(sections))


class RecordedMessagesTests(SynchronousTestCase):
    """What HAProxy printed; ``python -m tests.haproxy.record`` records it again."""

    directory = data("haproxy", "messages")
    versions: tuple[str, ...] = ("2.6", "2.8", "3.0", "3.4")
    lines = LINES
    sections: tuple[str, ...] = ("blog_10000", "blog_10000_in", "mail_10001", "other")

    def test_every_recorded_fault(self) -> None:
        """Each fault is found on its line, in the words of each version, and is its section's owner's."""
        faults = sorted(path.stem for path in self.directory.glob("*.cfg"))
        self.assertEqual(faults, sorted(self.lines))
        for fault in faults:
            config = by_section((self.directory / f"{fault}.cfg").read_text())
            for version in self.versions:
                with self.subTest(fault=fault, version=version):
                    self.one(fault, version, config)

    def one(self, fault: str, version: str, config: Config) -> None:
        status, _, said = (self.directory / f"{fault}.{version}.txt").read_text().partition("\n")
        found = complaints(said, config)
        wanted = EXCEPT.get((fault, version), self.lines[fault])
        self.assertEqual(tuple(dict.fromkeys(c.line for c in found)), wanted)
        self.assertEqual(status == "exit 1", bool(found))
        for complaint in found:
            assert complaint.line is not None
            section = config.locate(complaint.line)
            assert section is not None
            self.assertEqual(complaint.owner, section[1].owner)
            self.assertIn(section[0].name, self.sections)
            self.assertNotIn(f"{fault}.cfg:{complaint.line}]", complaint.message)
            self.assertNotRegex(complaint.message, r"^(config|parsing|Parsing|\[ALERT)")


class ComplaintsTests(SynchronousTestCase):
    """What HAProxy refuses."""

    def test_words_without_prefix(self) -> None:
        """The message is HAProxy's words without level, pid, file and line."""
        said = "[ALERT]    (1) : config : parsing [/x/haproxy.cfg:3] : unknown keyword 'no' in 'backend' section\n"
        self.assertEqual(complaints(said)[0].message, "unknown keyword 'no' in 'backend' section")

    def test_old_format(self) -> None:
        """HAProxy before 2.4 has a date where later ones have none."""
        said = "[ALERT] 123/101530 (77) : parsing [h.cfg:3] : unknown keyword 'no'.\n"
        self.assertEqual([(c.line, c.message) for c in complaints(said)], [(3, "unknown keyword 'no'.")])

    def test_words_go_on(self) -> None:
        """The lines below a complaint that are indented belong to it."""
        said = '[ALERT]    (1) : config : parsing [h:3]: unmatched quote at position 31:\n  set "open\n      ^\nend\n'
        self.assertEqual(complaints(said)[0].message, 'unmatched quote at position 31:\n  set "open\n      ^')

    def test_missing_backend_in_a_shared_frontend(self) -> None:
        """A backend that is missing is found on the line of the frontend that names it, and its app is told."""
        chunks = (
            Chunk("frontend main\n  bind :80\n", Owner(template="HEAD")),
            Chunk("  use_backend a_1 if x\n", Owner(app_id="/a")),
            Chunk("  use_backend b_2 if y\n", Owner(app_id="/b")),
        )
        config = Config((HEAD, Section("frontend", "main", chunks), backend("a_1")))
        said = "[ALERT]    (1) : config : Proxy 'main': unable to find required use_backend: 'b_2'.\n"
        (found,) = complaints(said, config)
        self.assertEqual((found.line, found.owner), (6, Owner(app_id="/b")))

    def test_needed(self) -> None:
        """What a line of a shared frontend needs from elsewhere leads to that line, not to who opened it."""
        chunks = (
            Chunk("frontend main\n  acl x hdr(y) -m str table none\n", Owner(template="HTTP_FRONTEND_HEAD")),
            Chunk("  use_backend a_1 if { path /table }\n", Owner(app_id="/a")),
            Chunk("  http-request track-sc0 src table none if x\n", Owner(app_id="/b")),
        )
        config = Config((HEAD, Section("frontend", "main", chunks)))
        said = (
            "[ALERT]    (1) : config : Proxy 'main': unable to find table 'none' referenced by track-sc0.\n"
        )
        (found,) = complaints(said, config)
        self.assertEqual((found.line, found.owner), (6, Owner(app_id="/b")))

    def test_not_sure(self) -> None:
        """A complaint without a line is nobody's where several write the frontend that it names."""
        opened, rule = Owner(template="HTTP_FRONTEND_HEAD"), Owner(app_id="/a")
        for owners, wanted in (((opened, rule), None), ((opened, opened), opened)):
            texts = ("frontend main\n", "  something new\n")
            chunks = tuple(Chunk(text, owner) for text, owner in zip(texts, owners, strict=True))
            (found,) = complaints(
                "[ALERT]    (1) : Proxy 'main': no such thing.\n",
                Config((HEAD, Section("frontend", "main", chunks))),
            )
            self.assertEqual(wanted, found.owner)

    def test_gathered(self) -> None:
        """Complaints under one heading are several."""
        heading = "[ALERT]    (1) : config : multiple argument resolution errors:\n"
        said = heading + "".join(
            f"        parsing [/x/h.cfg:{n}]: unable to find table 'n'.\n" for n in (3, 5)
        )
        self.assertEqual([found.line for found in complaints(said)], [3, 5])

    def test_only_summaries(self) -> None:
        """Where HAProxy says nothing but that there are errors, that is the complaint."""
        said = "[ALERT]    (1) : config : Fatal errors found in configuration.\n"
        self.assertEqual(complaints(said)[0].message, "Fatal errors found in configuration.")

    def test_nothing(self) -> None:
        """Words that are no HAProxy's are no complaint."""
        self.assertEqual(complaints("Segmentation fault\n\n\x00"), ())


class WarningsTests(SynchronousTestCase):
    """What HAProxy accepts but advises against."""

    def test_told_apart(self) -> None:
        """A warning is no complaint, and what a reload says of old workers is neither."""
        said = (
            "[NOTICE]   (1) : haproxy version is 2.8\n"
            "[WARNING]  (1) : config : missing timeouts for backend 'b'.\n   | Note\n"
            "[WARNING]  (1) : Former worker (2) exited with code 0 (Exit)\n"
            "[ALERT]    (1) : config : parsing [h:1] : no\n"
        )
        self.assertEqual(
            [c.message for c in warnings(said)], ["missing timeouts for backend 'b'.\n   | Note"]
        )
        self.assertEqual([c.message for c in complaints(said)], ["no"])
