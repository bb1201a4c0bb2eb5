"""``--diff``: the lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.model import Config
from marathonlb.haproxy.files.publish import Published
from marathonlb.script.diff import painted, unified
from marathonlb.script.terminal import Paint
from tests.controller.test_planner import planner
from tests.reconciling import web


def published(*apps: object) -> Published:
    """What is wanted for some apps."""
    config: Config = planner(*apps).plan(0).rendered.config  # type: ignore[arg-type]
    return Published(config.text("/etc/haproxy"), config.map_texts())


def patched(text: str, hunks: list[str]) -> str:
    """A text after the hunks of a difference; each must find its lines where it says."""
    old, new = text.splitlines(), list[str]()
    place = 0
    for line in hunks:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            upto = int(start) - (count != "0")
            new += old[place:upto]
            place = upto
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[place] == line[1:], (old[place], line)
            new += [line[1:]] if line.startswith(" ") else []
            place += 1
    return "\n".join([*new, *old[place:]]) + "\n"


class UnifiedTests(SynchronousTestCase):
    """`unified`."""

    old = published(web("a", 10001), web("shop", HAPROXY_0_BALANCE="first"), web("z", 10009))
    new = published(web("a", 10001), web("m", 10005), web("shop", tasks=2))

    def test_nothing(self) -> None:
        """Nothing differs from itself."""
        self.assertEqual(list(unified("/etc/haproxy/haproxy.cfg", self.old, self.old)), [])

    def test_headings(self) -> None:
        """Each part names its section, and each file is named."""
        lines = list(unified("/etc/haproxy/haproxy.cfg", self.old, self.new))
        self.assertEqual(lines[:2], ["--- /etc/haproxy/haproxy.cfg", "+++ /etc/haproxy/haproxy.cfg (wanted)"])
        self.assertTrue(
            any(line.startswith("@@ ") and line.endswith(" @@ backend shop_10000") for line in lines)
        )
        self.assertIn("-  balance first", lines)
        self.assertIn("--- /etc/haproxy/domain2backend.map", lines)
        self.assertIn("+m.example.com m_10005", lines)

    def test_patched(self) -> None:
        """Carried out on the old file, as patch(1) does, it makes the new one, whatever order the sections have."""
        for old, new in ((self.old, self.new), (self.new, self.old)):
            lines = list(unified("/haproxy.cfg", old, new))
            config = lines[2 : next(n for n, line in enumerate(lines) if n > 2 and line.startswith("--- "))]
            self.assertEqual(patched(old.text, config), new.text)

    def test_colours(self) -> None:
        """What comes is green, what goes is red, and without colours a line is itself."""
        for line, code in (("+a", "32"), ("-a", "31"), ("@@ -1 +1 @@", "36"), ("--- a", "1")):
            self.assertEqual(painted(line, Paint(True)), f"\x1b[{code}m{line}\x1b[0m\n")
            self.assertEqual(painted(line, Paint()), f"{line}\n")
        self.assertEqual(painted(" a", Paint(True)), " a\n")
