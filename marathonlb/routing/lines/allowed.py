"""
Check that lines of HAProxy's configuration concern their own service only: ``templates = "lines"`` of a policy.

This is an allow-list: a label's text is harmless if each of its lines begins with a directive of `_DIRECTIVES` and
holds only what that directive allows. Everything else is refused: files, sockets, addresses, Lua, maps, the
environment, other sections, other backends, and rules in the frontends that all services share.

Lines are split into words as HAProxy splits them, since HAProxy recognizes a directive through quotes and backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from marathonlb.routing.lines.expressions import (
    OWNERS_TEXT,
    RefusedError,
    address,
    condition,
    harmless_words,
    plain,
    require,
    shown,
    value,
    variable,
)
from marathonlb.routing.lines.expressions import effort as effort_of
from marathonlb.routing.lines.health_checks import http_check, httpchk
from marathonlb.routing.lines.server_words import BIND, SERVER, check_server, check_words

LITERAL = frozenset({"BACKEND_HTTP_OPTIONS", "BACKEND_HSTS_OPTIONS", "BACKEND_STICKY_OPTIONS"})
"""Labels whose braces reach HAProxy unchanged: their text has no variables."""

SERVER_WORDS = frozenset(
    {"SERVER_EXTRA", "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS", "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS"}
)
"""Labels whose text is the end of a ``server`` line."""

LINES = frozenset(
    "BACKEND_HEAD BACKEND_HTTP_OPTIONS BACKEND_HSTS_OPTIONS BACKEND_STICKY_OPTIONS BACKEND_HTTP_HEALTHCHECK_OPTIONS"
    " BACKEND_TCP_HEALTHCHECK_OPTIONS BACKEND_SERVER_OPTIONS BACKEND_RATE_LIMIT BACKEND_MAINTENANCE BACKEND_CORS"
    " BACKEND_TIMEOUTS BACKEND_EXTRA FRONTEND_EXTRA HTTP_BACKEND_PROXYPASS_GLUE HTTP_BACKEND_REVPROXY_GLUE"
    " HTTP_BACKEND_REDIR".split()
)
"""Labels whose text is in the service's own backend, or in the frontend of its own port."""

_MAY_BE_EMPTY = LINES | SERVER_WORDS | {"BIND_OPTIONS", "FRONTEND_HEAD"}
"""Labels that may be empty, which switches off a part of the service's own sections."""

_VARIABLES = frozenset(
    "backend frontend mode hostname servicePort serverName serverId host host_ipv4 port cookieOptions"
    " healthCheckOptions otherOptions healthCheckPort healthCheckPortIndex healthCheckPortOptions"
    " healthCheckTimeoutSeconds healthCheckIntervalSeconds healthCheckGracePeriodSeconds"
    " healthCheckMaxConsecutiveFailures healthCheckFalls".split()
)
"""Variables of templates whose values no owner chooses freely; others could hold what a line may not."""

_BRACES = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NUMBER = re.compile(r"([0-9]{1,9}|\x01healthCheck[A-Za-z]+Seconds\x02)(us|ms|s|m|h|d)?", re.ASCII)
_STATUS = re.compile(r"[2-5][0-9][0-9]", re.ASCII)
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that determine where a message ends, and so where the next one on the connection begins."""

_HEADER = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]{1,200}", re.ASCII)

_OPTIONS = frozenset(
    "abortonclose allbackups checkcache clitcpka contstats dontlog-normal dontlognull forwardfor http-buffer-request"
    " http-ignore-probes http-keep-alive http-no-delay http-pretend-keepalive http-server-close httpchk httpclose"
    " httplog idle-close-on-response independent-streams ldap-check log-health-checks log-separate-errors logasap"
    " mysql-check nolinger originalto persist pgsql-check prefer-last-server redis-check redispatch smtpchk"
    " splice-auto splice-request splice-response srvtcpka ssl-hello-chk tcp-smart-accept tcp-smart-connect tcpka"
    " tcplog".split()
)
_TIMEOUTS = frozenset(
    "check client client-fin connect http-keep-alive http-request queue server server-fin tarpit tunnel".split()
)
_BALANCE = re.compile(
    r"roundrobin|static-rr|leastconn|first|source|uri|url_param|hdr\([A-Za-z0-9_-]+\)|random(\([0-9]{1,2}\))?"
    r"|rdp-cookie(\([A-Za-z0-9_-]+\))?|\x01balance\x02",
    re.ASCII,
)


def refusal(name: str, text: str) -> str:
    """
    Return why a label's text may affect other services; empty if it cannot.

    :param name: the label's name without ``HAPROXY_`` and the index.
    :param text: its value, with the variables and braces of a classic template.
    """
    if not text.strip() and name in _MAY_BE_EMPTY:
        return ""
    try:
        if name == "BIND_OPTIONS":
            check_words(harmless_words(text), BIND, "bind")
        elif name in SERVER_WORDS:
            if "\n" in text.strip():
                raise RefusedError("it has more than one line")
            check_words(harmless_words(_read(name, text)), SERVER, "server")
        elif name in LINES:
            _check_lines(name, text)
        else:
            return f"{name} reaches beyond the service's own sections"
    except RefusedError as refused:
        return str(refused)
    return ""


MOST_EFFORT = 10_000
"""Maximum of `effort` for all labels of a service."""


def effort(name: str, text: str) -> int:
    """Return about how many microseconds harmless lines may cost HAProxy for a request of 16 kB."""
    lines = _read(name, text).split("\n") if name in LINES and text.strip() else []
    return len(text) + sum(effort_of(harmless_words(line)) for line in lines)


def _check_lines(name: str, text: str) -> None:
    opened = name != "BACKEND_HEAD"  # without its first line, the rest would belong to the previous section
    for number, line in enumerate(_read(name, text).split("\n"), 1):
        try:
            words = harmless_words(line)
            if not words:
                continue
            if not opened:
                require(
                    words == ["backend", variable("backend")], "the first line is to be: backend {backend}"
                )
                opened = True
            else:
                _check(name, words)
        except RefusedError as refused:
            raise RefusedError(f"line {number}: {refused}") from None
    require(opened, "the first line is to be: backend {backend}")


def _check(name: str, words: Sequence[str]) -> None:
    first, rest = words[0], words[1:]
    if first == "server" and name == "BACKEND_SERVER_OPTIONS":
        check_server(rest)
        return
    check = _DIRECTIVES.get(first)
    require(check is not None, f"{shown(first)} is not among the directives that are allowed")
    assert check is not None
    check(rest)


def _timeout(words: Sequence[str]) -> None:
    require(len(words) == 2 and words[0] in _TIMEOUTS, "timeout takes a kind and a duration")
    require(_NUMBER.fullmatch(words[1]) is not None, f"{shown(words[1])} is no duration")


def _number(words: Sequence[str]) -> None:
    require(len(words) == 1 and _NUMBER.fullmatch(words[0]) is not None, "a number is expected")


def _retries(words: Sequence[str]) -> None:
    _number(words)
    require(len(words[0]) <= 2, "more than 99 retries are not allowed")


def _option(words: Sequence[str]) -> None:
    require(words[:1] and words[0] in _OPTIONS, f"option {shown(' '.join(words[:1]))} is not allowed")
    if words[0] == "httpchk":
        httpchk(words[1:])
    else:
        plain(words[1:])
        for before, word in pairwise(words):
            if before == "except":
                address(word)


def _no(words: Sequence[str]) -> None:
    require(words[:1] == ["option"], "no takes an option")
    _option(words[1:])


def _mode(words: Sequence[str]) -> None:
    require(words in (["http"], ["tcp"], [variable("mode")]), "a mode is http or tcp")


def _balance(words: Sequence[str]) -> None:
    require(bool(words) and _BALANCE.fullmatch(words[0]) is not None, "the algorithm is not allowed")
    plain(words[1:])


def _compression(words: Sequence[str]) -> None:
    require(
        words[:1] and words[0] in ("algo", "algo-res", "type", "type-res"), "compression takes algo or type"
    )
    plain(words[1:])


def _filter(words: Sequence[str]) -> None:
    require(words == ["compression"], "a filter other than compression is not allowed")


def _http_rule(words: Sequence[str]) -> None:
    """Check a rule on a request or a response: its headers, its path, a refusal."""
    action, rest = (words[0] if words else ""), list(words[1:])
    rest, tests = _split(rest)
    if action in ("set-header", "add-header"):
        require(len(rest) == 2, f"{action} takes a name and a value")
        _header(rest[0])
        value(rest[1])
    elif action == "del-header":
        require(len(rest) == 1, f"{action} takes a name")
        _header(rest[0])
    elif action in ("set-path", "set-pathq", "set-query"):
        require(len(rest) == 1, f"{action} takes a value")
        value(rest[0])
    elif action == "set-status":
        require(len(rest) == 1 and _STATUS.fullmatch(rest[0]), f"{action} takes a number from 200 to 599")
    elif action == "redirect":
        _redirect(rest)
    else:
        deny = action == "deny" and (not rest or (len(rest) == 2 and rest[0] in ("deny_status", "status")))
        require(deny, f"the action {shown(action)} is not allowed")
        plain(rest)
    condition(tests)


def _header(name: str) -> None:
    require(_HEADER.fullmatch(name), f"{shown(name)} is no name of a header")
    require(
        name.lower() not in _FRAMING,
        f"the header {name} is not allowed: HAProxy decides where a message ends",
    )


def _redirect_rule(words: Sequence[str]) -> None:
    rest, tests = _split(list(words))
    _redirect(rest)
    condition(tests)


def _redirect(words: Sequence[str]) -> None:
    require(len(words) > 1 and words[0] in ("location", "prefix", "scheme"), "a redirect says where to")
    value(words[1])
    plain(words[2:])


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words before a condition, and those of the condition."""
    for index, word in enumerate(words):
        if word in ("if", "unless"):
            return words[:index], words[index + 1 :]
    return words, []


_DIRECTIVES: Mapping[str, Callable[[Sequence[str]], None]] = {
    "timeout": _timeout,
    "retries": _retries,
    "fullconn": _number,
    "option": _option,
    "no": _no,
    "mode": _mode,
    "balance": _balance,
    "hash-type": plain,
    "cookie": plain,
    "compression": _compression,
    "filter": _filter,
    "http-check": http_check,
    "http-request": _http_rule,
    "http-response": _http_rule,
    "http-after-response": _http_rule,
    "redirect": _redirect_rule,
}
DIRECTIVES = tuple(_DIRECTIVES)
"""First words of the allowed lines; the documentation names them."""


def _read(name: str, text: str) -> str:
    """Return a label's text, each variable of a classic template between two marks."""
    require(_CONTROL.search(text) is None, "it holds a control character")
    return text if name in LITERAL else _with_variables(text)


def _with_variables(text: str) -> str:
    """Return text with the marks of `variable` around each allowed variable of a classic template."""

    def marked(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        require(name in _VARIABLES | OWNERS_TEXT, f"the variable {{{name}}} is not allowed")
        return variable(name)

    return _BRACES.sub(marked, text)
