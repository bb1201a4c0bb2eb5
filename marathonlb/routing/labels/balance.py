"""
``HAPROXY_{n}_BALANCE``: a balance algorithm whose arguments affect only the service's own requests.

HAProxy accepts more: ``random(2000000000)`` would block its threads for seconds at each request, and the expression
after ``hash`` could read files, the environment and the results of Lua.
"""

from __future__ import annotations

import re

MOST_DRAWS = 100
"""Maximum number of servers that ``random`` draws for a request."""

MOST_CONVERTERS = 8
LONGEST = 1000
"""Maximum number of characters of a value."""

_ALGORITHMS = (
    r"roundrobin",
    r"static-rr",
    r"leastconn",
    r"first",
    r"source",
    r"uri(?: (?:whole|path-only|(?:len|depth) [0-9]{1,5}))*",
    r"url_param(?: [A-Za-z0-9_.\[\]-]+(?: check_post(?: [0-9]{1,5})?)?)?",
    r"hdr(?:\([A-Za-z0-9_.-]*\)(?: use_domain_only)?)?",
    r"random(?:\((?P<draws>[0-9]{1,10})\))?",
    r"rdp-cookie(?:\([A-Za-z0-9_.-]+\))?",
    r"hash (?P<expression>\S+)",
)
_KNOWN = tuple(re.compile(pattern, re.ASCII) for pattern in _ALGORITHMS)
_NAMES = sorted({re.match(r"[a-z_-]+", pattern)[0] for pattern in _ALGORITHMS})  # type: ignore[index]
_STEP = re.compile(r"([a-z0-9_.]+)(?:\([A-Za-z0-9_.,:/-]*\))?", re.ASCII)
_FETCHES = frozenset(
    "base baseq cook dst dst_port hdr hdr_ip method path pathq query rdp_cookie req.cook req.fhdr req.hdr req.hdr_ip "
    "req.rdp_cookie req.ssl_sni src src_port ssl_c_s_dn ssl_c_sha1 ssl_fc_session_id ssl_fc_sni url url_param urlp "
    "var".split()
)
_CONVERTERS = frozenset(
    "b64dec base64 bytes crc32 crc32c djb2 field hex host_only ipmask length lower ltrim port_only rtrim sdbm sha1 "
    "sha2 upper url_dec word wt6 xxh3 xxh32 xxh64".split()
)


def balance(text: str) -> str:
    """Parse a balance algorithm of HAProxy's with its arguments. Raises `ValueError`."""
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    words = re.sub(" +", " ", text.strip(" "))
    name = re.match(r"[a-z_-]*", words)
    if name is None or name[0] not in _NAMES:
        raise ValueError(f"is no balance algorithm; HAProxy knows {', '.join(_NAMES)}")
    match = next(filter(None, (pattern.fullmatch(words) for pattern in _KNOWN)), None)
    if match is None:
        raise ValueError(f"has arguments that {name[0]} does not take")
    parts = match.groupdict()
    if parts.get("draws") and not 1 <= int(parts["draws"]) <= MOST_DRAWS:
        raise ValueError(f"draws no number of servers from 1 to {MOST_DRAWS} for each request")
    if parts.get("expression"):
        _check(parts["expression"])
    return words


def _check(expression: str) -> None:
    """Check each step of a sample expression. Raises `ValueError`."""
    place, steps = 0, []
    while True:
        match = _STEP.match(expression, place)
        if match is None:
            raise ValueError(
                "has an expression behind hash that is not read: write NAME(ARGUMENTS),NAME(ARGUMENTS)"
            )
        steps.append(match[1])
        place = match.end()
        if place == len(expression):
            break
        if expression[place] != ",":
            raise ValueError(
                "has an expression behind hash that is not read: write NAME(ARGUMENTS),NAME(ARGUMENTS)"
            )
        place += 1
    if steps[0] not in _FETCHES:
        raise ValueError(f"hashes {steps[0]}; it may be one of {', '.join(sorted(_FETCHES))}")
    other = next((step for step in steps[1:] if step not in _CONVERTERS), None)
    if other is not None:
        raise ValueError(f"converts by {other}; it may be one of {', '.join(sorted(_CONVERTERS))}")
    if len(steps) > MOST_CONVERTERS + 1:
        raise ValueError(f"has more than {MOST_CONVERTERS} converters")
