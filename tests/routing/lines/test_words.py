"""The words of HAProxy's lines; the expected ones are those that HAProxy 2.6 to 3.4 names when it refuses a line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.lines.words import WordProblem, has_code_escape, quoted_parts, split_words


class WordsTests(SynchronousTestCase):
    """`split_words`."""

    def test_quoting(self) -> None:
        """Quotes, backslashes and comments are undone as HAProxy's parser does."""
        for line, words in {
            r"a b\ c": ["a", "b c"],
            r"a \# b # c": ["a", "#", "b"],
            "a 'b \"c' d": ["a", 'b "c', "d"],
            r'a "b \"c\" \$d"x': ["a", 'b "c" $dx'],
            r"a 'b\c' d": ["a", "b\\c", "d"],
            r"\x41\t": ["A\t"],
            "a ''": ["a", ""],
            "": [],
            "  a  b\t": ["a", "b"],
            "'a b'c \"d\"": ["a bc", "d"],
            '"it\'s" x': ["it's", "x"],
            "'\\n'\\n": ["\\n\n"],
            r'"a\nb\ c\#d\qe"x': ["a\nb c#d\\qex"],
            r"a\qb\$c\'d\x41": ["a\\qb\\$c'dA"],
            r'"a\q\'b\x41"y': ["a\\q'bAy"],
            "a\u00a0b c": ["a\u00a0b", "c"],
            "a\x1fb": ["a\x1fb"],
        }.items():
            self.assertEqual(split_words(line), (words, None), line)

    def test_open_quote(self) -> None:
        """A quote that does not end is a problem."""
        for line in ("a 'b", 'a "b', "a \"b'"):
            self.assertIs(WordProblem.OPEN_QUOTE, split_words(line)[1], line)

    def test_variable(self) -> None:
        """A variable of the environment is read in double quotes alone."""
        self.assertIs(WordProblem.VARIABLE, split_words('a "$HOME"')[1])
        for line in ("a $HOME", "a '$HOME'", r'a "\$HOME"'):
            self.assertIsNone(split_words(line)[1], line)

    def test_incomplete_escape(self) -> None:
        """HAProxy refuses a backslash at the end and a code that is incomplete."""
        for line in ("a\\", r"\x:", r"\x4", r'"\xg1"'):
            self.assertIs(WordProblem.ESCAPE, split_words(line)[1], line)

    def test_parts(self) -> None:
        """What stands in quotes, and whether a character is written by its code, is known up to the comment."""
        self.assertEqual(["b c", "d"], list(quoted_parts("a 'b c'\"d\" # 'e'")))
        for line, found in ((r"a\x41", True), (r'"\x41"', True), (r"'\x41'", False), (r"a # \x41", False)):
            self.assertIs(found, has_code_escape(line), line)
