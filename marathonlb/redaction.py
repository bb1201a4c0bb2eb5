"""
Text as anybody may see it: without passwords, hashes and credentials. Pure.

Hidden are the passwords of user lists (HAProxy configuration manual, "userlist") and of the statistics page (``stats
auth``), what looks like a hash of crypt(3), credentials in ``Authorization`` and headers like it, and those in URLs.
Each pattern is read once from left to right, however the text was made: anybody's labels come this way.
"""

from __future__ import annotations

import re
from itertools import takewhile

HIDDEN = "***"

_QUOTED = r""""(?:\\.|[^"\\\n])*"?|'[^'\n]*'?"""
_WORD = rf"""(?:\\.|{_QUOTED}|[^\s"'\\])+"""
_BLANK = r"(?:\\?[ \t]|\\x20|%20)"
_SCHEMES = r"(?:basic|bearer|digest|negotiate|token|apikey)"
_SECRET_NAME = r"[\w-]{0,40}(?:authorization|token|secret|passw|credential|api-?key)[\w-]{0,40}"

_TOKEN = re.compile(_WORD)
_FIRST = r"""(?:user|stats|[^\s\\"'`]*[\\"'][^\s`]*)[ \t]"""
_LINE = re.compile(rf"^[ \t]*{_FIRST}.*$|(?<=`){_FIRST}[^`\n]*", re.MULTILINE)
"""A line that may hold a password, however its first word is written: one of its own, or one that a text quotes."""

_HEX = re.compile(r"\\x([0-9A-Fa-f]{2})")
_QUOTING = re.compile(r"[\\\"']")
_KEYWORDS = frozenset({"password", "insecure-password"})

_HASH = re.compile(
    r"\$(?:1|2[abxy]?|[356789y]|gy|apr1|md5|sha1|sm3y?|argon2(?:id|i|d)?|scrypt|pbkdf2[a-z0-9-]{0,12})"
    r"(?:,rounds=[0-9]+)?\$[./A-Za-z0-9=,+$-]{2,}"
)
_USER = re.compile(rf"((?:\buser[ \t]+{_WORD}[ \t]+|insecure-)password[\"']?[ \t]+){_WORD}")
_HEADER = re.compile(
    rf"((?:\b(?:set|add)-header|\bhdr)[ \t]+[\"']?{_SECRET_NAME}[\"']?[ \t]+){_WORD}", re.IGNORECASE
)
_REPLACED = re.compile(
    rf"(\breplace-(?:header|value)[ \t]+[\"']?{_SECRET_NAME}[\"']?[ \t]+){_WORD}([ \t]+){_WORD}",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(authorization[\"']?:{_BLANK}*)((?:\b{_SCHEMES}{_BLANK}+)?)(?:\\[ \t]|\\(?![rn])|[^\s\"'\\])+",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    rf"(\b{_SCHEMES}{_BLANK}+)(?=(?-i:[a-z]*[A-Z0-9+/=._~-]))[A-Za-z0-9+/=._~-]{{4,}}", re.IGNORECASE
)
_ABOUT = re.compile(r"^.*\bauthorization\b.*$", re.IGNORECASE | re.MULTILINE)
_URL = re.compile(r"(://[^/\s:@\"']{1,200}:)[^/\s@\"']{1,400}@")
_TRIPLE = re.compile(r"([^:\n]+:[^:\s]+:)(?:_[./A-Za-z0-9]{19}|[./A-Za-z0-9]{13})\s*")


def masked(text: str) -> str:
    """A text of HAProxy's configuration language, or words about one, without what is secret."""
    text = _LINE.sub(_masked_line, text)
    text = _HASH.sub(HIDDEN, text)
    text = _USER.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _REPLACED.sub(rf"\1{HIDDEN}\2{HIDDEN}", text)
    text = _ABOUT.sub(lambda line: _GIVEN.sub(rf"\1{HIDDEN}", line[0]), text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    return _URL.sub(rf"\1{HIDDEN}@", text)


def masked_value(text: str) -> str:
    """The value of a label without what is secret: also the older hashes, which only their place tells from words."""
    found = _TRIPLE.fullmatch(text)
    return f"{found[1]}{HIDDEN}" if found is not None else masked(text)


def _masked_line(found: re.Match[str]) -> str:
    """A line of a user list, or one for the statistics page, however its words are written."""
    line = found[0]
    tokens = list(takewhile(lambda token: token[0][0] != "#", _TOKEN.finditer(line)))
    plain = [_plain(token[0]) for token in tokens]
    hidden = []
    if plain[:1] == ["user"]:
        hidden = [
            token.span()
            for token, word, before in zip(tokens[2:], plain[2:], plain[1:], strict=False)
            if word != "groups" and before != "groups" and word not in _KEYWORDS
        ]
    elif plain[:2] == ["stats", "auth"] and len(tokens) > 2:
        name, colon, _ = tokens[2][0].partition(":")
        hidden = [(tokens[2].start() + len(name + colon) * bool(colon), tokens[2].end())]
    pieces: list[str] = []
    here = 0
    for start, end in hidden:
        pieces += (line[here:start], HIDDEN)
        here = end
    return "".join((*pieces, line[here:]))


def _plain(word: str) -> str:
    """A word as HAProxy reads it."""
    return _QUOTING.sub("", _HEX.sub(lambda code: chr(int(code[1], 16)), word))
