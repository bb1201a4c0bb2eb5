"""
Parse the values of labels: each function takes a label's text and returns a checked value.

A text that is not valid raises `ValueError` with words for the label's owner. No value that is not a template may hold
a control character: a newline in a host name would write HAProxy configuration.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from marathonlb.base import limits
from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.lines.passwords import COMMAND

_TRUE = frozenset({"true", "t", "yes", "y", "1", "on"})
NOTHING = frozenset({"false", "f", "no", "n", "0", "off", ""})
"""Words that switch something off, as a boolean and in any other label."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_HOST = re.compile(
    rf"(?:\*\.)?(?=.{{1,{limits.HOST}}}\Z){_HOST_LABEL.pattern}(?:\.{_HOST_LABEL.pattern})*", re.ASCII
)
_QUOTED = re.compile(r"""(?:[^\\"'#]++|\\.|"(?:[^"\\$]++|\\.)*+"|'[^']*+')*+""")
"""Words whose quotes are closed; without backtracking, so that matching takes time linear in the text."""

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ORIGIN = re.compile(
    r"https?://((\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?",
    re.ASCII,
)
_PASSWORD = re.compile(r"[A-Za-z0-9./$=,_+-]{2,256}", re.ASCII)
_LONGEST_ORIGIN = limits.HOST + len("https://*.:65535")
_MOST_OPTIONS = 40
"""Maximum number of words of bind options."""


def no_control(text: str) -> str:
    """Return the text if it holds no control character and no line separator."""
    if _CONTROL.search(text):
        raise ValueError("holds a control character or a newline")
    return text


def boolean(text: str) -> bool:
    """Parse ``true``, ``t``, ``yes``, ``y``, ``1``, ``on`` and their opposites, in any case."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in NOTHING:
        return False
    raise ValueError("is neither true nor false")


def integer(text: str, low: int, high: int) -> int:
    """Parse a decimal integer in a range, both ends included."""
    word = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,10}", word, re.ASCII) or not low <= int(word) <= high:
        raise ValueError(f"is no integer from {low} to {high}")
    return int(word)


def words(text: str) -> tuple[str, ...]:
    """Parse a comma list, without blanks around its items."""
    return tuple(item.strip() for item in no_control(text).split(",") if item.strip())


def host(text: str) -> str:
    """
    Parse one virtual host: lower case, in its ASCII form, without port.

    ``*.example.com`` is a wildcard. The other parts of a URL and a port are dropped; `host_warning` tells the owner.
    """
    name = no_control(text).strip().lower()
    if _HOST.fullmatch(name):
        return name
    if "://" in name:
        name = re.split(r"[/?#]", name.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    name = name.partition("/")[0]
    start, colon, port = name.rpartition(":")
    if colon and (not port or (port.isascii() and port.isdigit())):
        name = start
    name = name.rstrip(".")
    wildcard = is_wildcard(name)
    bare = name[2:] if wildcard else name
    if not bare.isascii() and len(bare) <= limits.HOST:
        try:
            bare = bare.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"{limits.shortened(text.strip())!r} is no host name") from None
    if len(bare) > limits.HOST or not all(_HOST_LABEL.fullmatch(label) for label in bare.split(".")):
        raise ValueError(f"{limits.shortened(text.strip())!r} is no host name")
    return f"*.{bare}" if wildcard else bare


def host_warning(text: str) -> str | None:
    """Return a warning for the owner of a host with a scheme, a path or a port; None if the host is plain."""
    if "/" in text or ":" in text:
        return f"{text.strip()!r} holds more than a host name; only {host(text)!r} is used"
    return None


def hosts(text: str) -> tuple[str, ...]:
    """Parse a comma or blank separated list of virtual hosts, each once, in order."""
    return tuple(dict.fromkeys(host(item) for item in re.split(r"[,\s]+", no_control(text)) if item))


def address(text: str) -> str:
    """
    Parse an address to bind: ``*``, an IPv4 or IPv6 address, or ``localhost``.

    HAProxy would look up any other name each time it reads its configuration, and no change is applied meanwhile.
    """
    word = no_control(text).strip()
    if word in ("", "*"):
        return "*"
    if word.lower() == "localhost":
        return "127.0.0.1"
    bare = word[1:-1] if word.startswith("[") and word.endswith("]") else word
    try:
        parsed = ip_address(bare)
    except ValueError:
        raise ValueError("is neither * nor an IP address; names are not looked up") from None
    if "%" in bare:
        raise ValueError("holds a zone, which HAProxy does not take")
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def networks(text: str) -> tuple[str, ...]:
    """Parse a blank or comma separated list of addresses and CIDR networks, as HAProxy's ``src`` takes them."""
    parsed = []
    for item in re.split(r"[,\s]+", no_control(text)):
        if not item:
            continue
        try:
            network = ip_network(item, strict=False) if "/" in item else ip_address(item)
        except ValueError:
            network = None
        if network is None or "%" in item:
            raise ValueError(f"{item!r} is neither an IP address nor a network in CIDR form")
        parsed.append(str(network))
    return tuple(parsed)


def paths(text: str) -> tuple[tuple[str, ...], bool]:
    """Parse a blank separated list of path prefixes; return them, and True if a leading ``-i`` ignores their case."""
    items = no_control(text).split()
    ignore_case = bool(items) and items[0] == "-i"
    if ignore_case:
        items = items[1:]
    return tuple(dict.fromkeys(map(_path, items))), ignore_case


def one_path(text: str) -> str:
    """Parse one absolute path without blanks."""
    word = no_control(text).strip()
    return _path(word)


def _path(word: str) -> str:
    """Return the word if it begins with a slash, holds no blank, and is not too long."""
    if word[:1] != "/" or len(word.split(None, 1)) > 1:
        raise ValueError(f"{limits.shortened(word)!r} is no path: it begins with / and holds no blank")
    if 4 * len(word) > limits.PATH:
        limits.within(word, limits.PATH, f"{word[:40]}… is a path of")
    return word


def mode(text: str) -> str:
    """Parse ``tcp`` or ``http``."""
    word = no_control(text).strip().lower()
    if word == "health":
        raise ValueError("HAProxy has no mode health any more; use HAPROXY_HTTP_FRONTEND_HEAD's monitor-uri")
    if word not in ("tcp", "http"):
        raise ValueError("is neither tcp nor http")
    return word


def credentials(text: str) -> tuple[str, str, str]:
    """Parse ``realm:user:hash``; a realm may hold blanks. See `marathonlb.routing.lines.passwords`."""
    parts = no_control(text).split(":", 2)
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise ValueError("is not realm:user:hash")
    realm, user, passwd = (part.strip() for part in parts)
    if re.search(r"\s", user):
        raise ValueError("holds a user with a blank")
    if not _PASSWORD.fullmatch(passwd):
        raise ValueError(f"has no crypt(3) hash behind the user; `{COMMAND}` makes one")
    return realm, user, passwd


def duration(text: str) -> str:
    """Parse a HAProxy duration with its unit, from 1 ms to 24 days, which is HAProxy's maximum."""
    word = no_control(text).strip()
    match = _DURATION.fullmatch(word)
    if not match:
        raise ValueError("is no duration with its unit such as 30s, 500ms or 2h")
    if not 1 <= int(match[1]) * _MILLISECONDS[match[2]] <= 24 * _MILLISECONDS["d"]:
        raise ValueError("is no duration from 1ms to 24d")
    return word


def rate(text: str) -> tuple[int, str]:
    """Parse ``N/s`` or ``N/m``; return the number and the HAProxy period (``1s`` or ``1m``)."""
    match = re.fullmatch(r"([0-9]{1,7})\s*/\s*([sm])", no_control(text).strip(), re.ASCII)
    if not match or int(match[1]) < 1:
        raise ValueError("is no rate such as 100/s or 600/m")
    return int(match[1]), "1" + match[2]


def origins(text: str) -> tuple[str, ...]:
    """
    Parse a comma or blank separated list of web origins, in lower case, or ``*`` for any.

    ``https://*.example.com`` covers every deeper name.
    """
    items = tuple(dict.fromkeys(item.lower() for item in re.split(r"[,\s]+", no_control(text)) if item))
    if len(items) > limits.ORIGINS:
        raise ValueError(f"names {len(items)} origins; the maximum is {limits.ORIGINS}")
    for item in items:
        if item != "*" and (len(item) > _LONGEST_ORIGIN or not _ORIGIN.fullmatch(item)):
            raise ValueError(f"{item!r} is no origin such as https://www.example.com, and not *")
    return items


def file_list(text: str) -> tuple[str, ...]:
    """Parse a comma list of absolute file paths."""
    files = words(text)
    if len(files) > limits.CERTIFICATES:
        raise ValueError(f"names {len(files)} files; the maximum is {limits.CERTIFICATES}")
    for item in files:
        limits.within(item, limits.PATH, f"{item[:40]}… is a path of")
        if not item.startswith("/"):
            raise ValueError(f"{item!r} is no absolute path")
        if re.search(r"[\s\"'\\#]", item):
            raise ValueError(f"{item!r} holds a blank, a quote, a backslash or a #")
    return files


def few_words(text: str, most: int = _MOST_OPTIONS) -> str:
    """Return the text if it has few words: HAProxy takes 64 on a line."""
    count = len(text.split())
    if count > most:
        raise ValueError(f"has {count} words; the maximum is {most}")
    return text


def groups(text: str) -> tuple[str, ...]:
    """Parse a comma list of groups."""
    names = words(text)
    if len(names) > limits.GROUPS:
        raise ValueError(f"names {len(names)} groups; the maximum is {limits.GROUPS}")
    for item in names:
        limits.within(item, limits.WORD, f"{item[:40]}… is a group of")
    return names


def haproxy_words(text: str) -> str:
    """
    Parse words of HAProxy's configuration that keep their meaning when more words follow.

    A comment, an open quote or a backslash at the end would take in the rest of the line. In double quotes a bare ``$``
    would read HAProxy's environment.
    """
    words = no_control(text).strip()
    if not _QUOTED.fullmatch(words):
        raise ValueError(
            "holds a # outside quotes, a $ within, a quote that is left open or a backslash at its end"
        )
    if speaks_for_haproxy(words):
        raise ValueError("holds a line break behind which a message seems to begin")
    return words


_LINE_BREAK = re.compile(r"\\[nr]|\\x0[0-9A-Da-d]|\\x1[C-Ec-e]")
_QUOTING = re.compile(r"[\\\"']")
_LEVEL = re.compile(r"(?<![\s\x00-\x1f])([\s\x00-\x1f]++)\[[A-Za-z]")
"""All white space before what looks like a log level; possessive, so that no text is read twice."""


def speaks_for_haproxy(text: str) -> bool:
    """
    Return True if an escaped line break is followed by what looks like the beginning of a message of HAProxy's.

    HAProxy repeats what it refuses, so such text would appear in its output as a complaint of its own, about any line
    that the text names.
    """
    if not _LINE_BREAK.search(text):
        return False
    for line in text.split("\n"):
        broken = _LINE_BREAK.sub("\n", line)
        plain = re.sub(r"\\x([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), broken)
        if any("\n" in found[1] for found in _LEVEL.finditer(_QUOTING.sub("", plain))):
            return True
    return False


def deployment_group(text: str) -> str:
    """Parse a plain name, without the slashes around it; it becomes part of a backend's name."""
    word = no_control(text).strip().strip("/")
    if word and (not word.isprintable() or " " in word):
        raise ValueError("is no name: it holds a blank")
    return word


def moment(text: str) -> datetime | None:
    """Parse a date and time in ISO 8601, UTC if it names no zone; None if the text is empty."""
    word = no_control(text).strip()
    if not word:
        return None
    try:
        parsed = datetime.fromisoformat(word)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no date and time in ISO 8601 (2026-01-31T12:00:00Z)") from None
