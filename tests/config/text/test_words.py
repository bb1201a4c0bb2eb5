"""The words of HAProxy's lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.text.words import split_words


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
            r"\x:": ["\\x:"],
            "a ''": ["a", ""],
            '"a\\n"': ["a\\n"],
        }.items():
            self.assertEqual(split_words(line), (words, ""), line)

    def test_open_quote(self) -> None:
        """A quote that does not end is a problem."""
        self.assertEqual(split_words("a 'b")[1], "has a quote that does not end")
