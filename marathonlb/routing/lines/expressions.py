"""
Check expressions and conditions: they may read only the request, the response and the connection.

They may name no file, map, variable of the environment or of the process, nor another backend, and match no regular
expression, which can make one request slow. `marathonlb.routing.lines.allowed` says which lines may hold them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from itertools import pairwise

from marathonlb.routing.lines.words import WordProblem, has_code_escape, quoted_parts, split_words

OPEN, CLOSE = "\x01", "\x02"
"""Marks around the name of a variable, in text that is known to hold no other control character."""

_CALL = re.compile(r"([a-z][a-z0-9_.]*)(?:\(([^()\\\"']*)\))?(,|\Z)", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9._:;,/=*?&!@+~()|\x01\x02-]*", re.ASCII)

_FETCHES = frozenset(
    "always_false always_true base bool date dst dst_port hdr hdr_beg hdr_dom hdr_end hdr_len hdr_sub http_first_req"
    " int method path path_beg path_dir path_dom path_end path_len path_sub pathq query rand req.cook req.fhdr req.hdr"
    " req.ver res.cook res.fhdr res.hdr res.ver src src_port ssl_c_used ssl_c_verify ssl_c_s_dn ssl_fc ssl_fc_alpn"
    " ssl_fc_cipher ssl_fc_has_crt ssl_fc_protocol ssl_fc_sni status str unique-id url url_param".split()
)
_CONVERTERS = frozenset(
    "add base64 bytes concat div even field hex host_only http_date iif length lower mod mul not odd port_only sub"
    " upper url_dec url_enc utime word".split()
)
_NO_VARIABLE: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("add", "div", "mod", "mul", "sub"), re.compile(r"-?[0-9]{1,19}", re.ASCII)),
    "bytes": re.compile(r"-?[0-9]{1,9}(,-?[0-9]{1,9})?", re.ASCII),
    "concat": re.compile(r"[^,]*(,(,[^,]*)?)?"),
}
"""Patterns for arguments of converters in which HAProxy reads any other word as a variable's name."""

_METHODS = frozenset("beg bool dir dom end found int ip len str sub".split())
_SEARCHES = ("dir", "dom", "sub")
"""Ways to compare for which HAProxy searches the whole text."""

_EACH_VALUE = re.compile(r"(?:req\.|res\.)?(?:hdr|cook)(?:_|\Z)", re.ASCII)
"""Fetches with many values, each of which is compared."""

_ADDRESSES = frozenset({"dst", "src"})
_KNOWN_ACLS = re.compile(r"!?(TRUE|FALSE|HTTP|HTTP_1\.[01]|HTTP_2\.0|METH_[A-Z]+|LOCALHOST)")


class RefusedError(ValueError):
    """A line holds something that is not known to be harmless; the message names it."""


def require(holds: object, otherwise: str) -> None:
    """Raise `RefusedError` with this message unless a condition holds."""
    if not holds:
        raise RefusedError(otherwise)


def variable(name: str) -> str:
    """Return a template's variable as it is marked in the text that is checked."""
    return f"{OPEN}{name}{CLOSE}"


OWNERS_TEXT = frozenset({"balance", "healthCheckPath"})
"""Variables that hold text of an app's owner; only one directive each takes them."""

_OWNERS = re.compile(f"{OPEN}(?:{'|'.join(sorted(OWNERS_TEXT))}){CLOSE}")


def harmless_words(line: str) -> list[str]:
    """
    Return the words of a line as HAProxy splits it.

    :raises RefusedError: HAProxy would refuse the line, or read something else than is written there.
    """
    words, problem = split_words(line)
    require(problem is not WordProblem.VARIABLE, "variables of the environment are not allowed")
    code = problem is WordProblem.ESCAPE or has_code_escape(line)
    require(not code, "a backslash at the end, or \\x, is not allowed")
    quoted = any(_OWNERS.search(part) for part in quoted_parts(line))
    require(not quoted, "it has a variable in quotes")
    require(problem is not WordProblem.OPEN_QUOTE, "a quote is left open")
    return words


NEVER_EMPTY = frozenset("backend frontend mode servicePort serverName serverId host host_ipv4 port".split())
"""Variables that are never empty; without the text of others, the rest of a word may mean something else."""

_MARKED = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")
_GOES_ON = "/:."
"""A word that begins with one of these is always a value."""

_CONTROL = re.compile(r"[\r\n\t]")


def _no_tenants_text(text: str) -> None:
    for name in OWNERS_TEXT:
        require(variable(name) not in text, f"the variable {{{name}}} is not allowed there")


def _stands_alone(text: str) -> None:
    """Refuse a variable if the rest of the word would mean something else without it."""
    for found in _MARKED.finditer(text):
        before, after = text[: found.start()], text[found.end() : found.end() + 1]
        safe = found[1] in NEVER_EMPTY or before or not after or after in _GOES_ON
        require(safe and not before.endswith("%"), f"the variable {{{found[1]}}} is not allowed there")


def shown(word: str) -> str:
    """Return a word as its owner wrote it, cut to what fits a sentence."""
    text = word.replace(OPEN, "{").replace(CLOSE, "}")
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def plain(words: Sequence[str]) -> None:
    """Check words that HAProxy does not expand."""
    for word in words:
        _no_tenants_text(word)
        require(
            _PLAIN.fullmatch(word) is not None, f"{shown(word)} holds a character that is not allowed there"
        )


def condition(words: Sequence[str]) -> None:
    """Check a condition: expressions in braces, and ACLs that HAProxy defines itself."""
    here = 0
    while here < len(words):
        word = words[here]
        here += 1
        if word in ("{", "!{"):
            end = next((place for place in range(here, len(words)) if words[place] == "}"), len(words))
            _test(words[here:end])
            here = end + 1
        else:
            require(
                word in ("!", "||", "or", "and") or _KNOWN_ACLS.fullmatch(word) is not None,
                f"{shown(word)} is not allowed in a condition",
            )


def _test(words: Sequence[str]) -> None:
    """Check the words between the braces of a condition."""
    require(bool(words), "a condition is empty")
    expression(words[0], compared=True)
    numeric = re.split(r"[(,]", words[0], maxsplit=1)[0] in _ADDRESSES
    here = 1
    while here < len(words):
        word = words[here]
        here += 1
        if word == "-m":
            require(here < len(words) and words[here] in _METHODS, "that way to compare is not allowed")
            numeric = numeric or words[here] == "ip"
            here += 1
        elif word.startswith("-"):
            require(word in ("-i", "-n", "--"), f"{word} is not allowed in a condition")
        elif numeric:
            address(word)
        else:
            value(word)


def address(text: str) -> None:
    """Check an address or a network: HAProxy would look up a name while all requests wait."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise RefusedError(f"{shown(text)} is neither an IP address nor a network") from None


def effort(words: Sequence[str]) -> int:
    """
    Return about how many microseconds a line may cost HAProxy for a request of 16 kB.

    A converter of that much text takes 20, a search for a word in it 100, and a test of a header, which is made for
    each of its values, 600.
    """
    found, here = 20 * sum(word.count(",") for word in words), 0
    while here < len(words):
        if words[here] in ("{", "!{"):
            end = next((place for place in range(here, len(words)) if words[place] == "}"), len(words))
            found += _effort_of_test(words[here + 1 : end])
            here = end
        here += 1
    return found


def _effort_of_test(words: Sequence[str]) -> int:
    name = re.split(r"[(,]", words[0], maxsplit=1)[0] if words else ""
    looks = name.rpartition("_")[2] in _SEARCHES
    looks = looks or any(way == "-m" and kind in _SEARCHES for way, kind in pairwise(words))
    each_value = 600 * (1 + words[0].count(",")) if _EACH_VALUE.match(name) else 0
    return each_value + (100 * len(words) if looks else 0)


def expression(text: str, *, compared: bool = False) -> None:
    """
    Check a sample expression: a fetch, and converters.

    :param compared: True if the result is compared and not part of a header; it may then hold a line break.
    """
    here, names = 0, _FETCHES
    while here < len(text):
        call = _CALL.match(text, here)
        require(call is not None, f"{shown(text)} is not allowed")
        assert call is not None
        allowed = call[1] in names and (compared or call[1] != "url_dec")
        require(allowed, f"{shown(call[1])} is not allowed in an expression")
        if names is _CONVERTERS and call[1] in _NO_VARIABLE:
            taken = _NO_VARIABLE[call[1]].fullmatch(call[2] or "")
            require(taken, f"{call[1]} may name no variable")
        here, names = call.end(), _CONVERTERS
    require(here > 0, "an expression is empty")


def value(text: str) -> None:
    """Check a text in which HAProxy expands ``%[…]``."""
    _no_tenants_text(text)
    _stands_alone(text)
    require(not _CONTROL.search(text), "a line break or a tabulator in a word is not allowed")
    require("%{" not in text and "%(" not in text, "flags of a log format are not allowed")
    pieces = text.split("%[")
    for piece in pieces[1:]:
        inside, bracket, _ = piece.partition("]")
        require(bool(bracket), "%[ lacks its ]")
        expression(inside)
