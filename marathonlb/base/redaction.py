"""
Text with passwords, hashes and credentials hidden, so that it can be shown to anyone. Pure.

Hidden are the passwords of user lists (HAProxy configuration manual, "userlist") and of the statistics page (``stats
auth``), whatever looks like a hash of crypt(3), and credentials in ``Authorization``, in similar headers and in URLs.
Each pattern reads the text once from left to right, whatever the text is: labels of any app pass through here.
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
"""A line that may hold a password, however its first word is written: a whole line, or one quoted in a text."""

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
    """Return a text in HAProxy's configuration language, or a message about one, with its secrets hidden."""
    text = _LINE.sub(_masked_line, text)
    text = _HASH.sub(HIDDEN, text)
    text = _USER.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _REPLACED.sub(rf"\1{HIDDEN}\2{HIDDEN}", text)
    text = _ABOUT.sub(lambda line: _GIVEN.sub(rf"\1{HIDDEN}", line[0]), text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    return _URL.sub(rf"\1{HIDDEN}@", text)


def masked_value(text: str) -> str:
    """Return the value of a label with its secrets hidden, also older hashes, which only their position identifies."""
    triple = _TRIPLE.fullmatch(text)
    return f"{triple[1]}{HIDDEN}" if triple is not None else masked(text)


def _masked_line(match: re.Match[str]) -> str:
    """Return a line of a user list or of the statistics page with its secrets hidden, however its words are written."""
    line = match[0]
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
    """Return a word as HAProxy reads it."""
    return _QUOTING.sub("", _HEX.sub(lambda code: chr(int(code[1], 16)), word))
