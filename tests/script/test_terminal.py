"""What a terminal is shown, and a file is not."""

from __future__ import annotations

from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.script.terminal import Terminal
from tests.script.screen import Screen


class TerminalTests(SynchronousTestCase):
    """`Terminal.of`."""

    def test_colours(self) -> None:
        """There are colours on a terminal, unless NO_COLOR or a dumb terminal says otherwise, and none in a file."""
        for out, environ, colours in (
            (Screen(), {}, True),
            (Screen(), {"NO_COLOR": ""}, True),
            (Screen(), {"NO_COLOR": "1"}, False),
            (Screen(), {"TERM": "dumb"}, False),
            (StringIO(), {}, False),
        ):
            self.assertEqual(Terminal.of(out, StringIO(), environ).paint.on, colours, environ)

    def test_watched(self) -> None:
        """Progress is for a terminal at standard error."""
        self.assertTrue(Terminal.of(StringIO(), Screen(), {}).watched)
        self.assertFalse(Terminal.of(Screen(), StringIO(), {}).watched)

    def test_obeyed(self) -> None:
        """Our colours are all that a terminal obeys of what it is sent, and a file holds none of it either."""
        evil = "\x1b]0;owned\x07 \x1b[2J \x1b[31m \u202egpj.exe \x9b31m \r"
        harmless = "\\x1b]0;owned\\x07 \\x1b[2J \\x1b[31m \\u202egpj.exe \\x9b31m \\r"
        screen, file = Screen(), StringIO()
        for stream, begin, end in ((screen, "\x1b[31m", "\x1b[0m"), (file, "", "")):
            terminal = Terminal.of(stream, StringIO(), {})
            terminal.out.write(terminal.paint(f"a\tb {evil}", "red") + "\n")
            self.assertEqual(stream.getvalue(), f"{begin}a\tb {harmless}{end}\n")
        for stream in (Screen(), StringIO()):
            Terminal.of(StringIO(), stream, {}).err.write(f"{evil}\n")
            self.assertEqual(stream.getvalue(), f"{harmless}\n")
        plain = StringIO()
        Terminal.of(plain, StringIO(), {}).out.write(evil)
        self.assertEqual(plain.getvalue(), harmless)

    def test_file(self) -> None:
        """The text of a file can be used where it goes into one; nobody looks at passwords on a terminal."""
        text = "userlist a\n  user joe password $1$a$bcd\n"
        for stream, shown in ((StringIO(), text), (Screen(), "userlist a\n  user joe password ***\n")):
            Terminal.of(stream, StringIO(), {}).show_file(text)
            self.assertEqual(stream.getvalue(), shown)
