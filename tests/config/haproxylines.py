"""HAProxy's way to read one line of its configuration, as far as tests need it (manual, 2.2)."""

from __future__ import annotations


def words(line: str) -> list[str] | None:
    """
    The words of a line; None where it holds a comment, or a quote or backslash that is left open.

    Environment variables in double quotes are not looked up: ``$`` there without a backslash is None, too.
    """
    found: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(line)
    for letter in letters:
        if letter == "\\" and quote != "'":
            following = next(letters, None)
            if following is None:
                return None
            keeps = following not in ('\\"$' if quote else "\\ #\"'")
            word = (word or "") + ("\\" if keeps else "") + following
        elif quote and letter == quote:
            quote = ""
        elif quote == '"' and letter == "$":
            return None
        elif quote:
            word = (word or "") + letter
        elif letter in "\"'":
            quote, word = letter, word or ""
        elif letter == "#":
            return None
        elif letter.isspace() and letter.isascii():
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + letter
    if quote:
        return None
    return found if word is None else [*found, word]
