"""Check the words of ``server`` and ``bind`` lines: they may concern their own service only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from marathonlb.routing.lines.expressions import expression, plain, require, shown, variable

_INTERVALS = frozenset({"inter", "fastinter", "downinter"})
_INTERVAL = re.compile(
    r"(?:[2-9][0-9]{2}|[1-9][0-9]{3,7})(?:ms)?|[1-9][0-9]{0,5}[smhd]"
    r"|\x01healthCheck(?:Interval|Timeout|GracePeriod)Seconds\x02s",
    re.ASCII,
)
"""Intervals of health checks, at least 200 ms: each check costs HAProxy a connection."""

SERVER: Mapping[str, int] = {
    **dict.fromkeys(
        "allow-0rtt backup check check-send-proxy check-ssl disabled enabled no-backup no-check no-check-ssl"
        " no-send-proxy no-send-proxy-v2 no-ssl no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-verifyhost"
        " non-stick force-tlsv12 force-tlsv13 send-proxy send-proxy-v2 ssl tfo".split(),
        0,
    ),
    **dict.fromkeys(
        "alpn check-alpn check-proto check-sni ciphers ciphersuites cookie downinter error-limit fall fastinter inter"
        " max-reuse maxconn maxqueue minconn npn observe on-error on-marked-down on-marked-up pool-low-conn"
        " pool-max-conn pool-purge-delay proto rise slowstart ssl-max-ver ssl-min-ver verify verifyhost weight"
        " ws".split(),
        1,
    ),
}
BIND: Mapping[str, int] = {
    **dict.fromkeys(
        "defer-accept force-tlsv12 force-tlsv13 no-alpn no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11"
        " prefer-client-ciphers ssl strict-sni tfo".split(),
        0,
    ),
    **dict.fromkeys(
        "alpn backlog ciphers ciphersuites curves ecdhe maxconn mss npn proto ssl-max-ver ssl-min-ver tcp-ut".split(),
        1,
    ),
}
"""Words of a ``server`` or a ``bind`` line, with the number of arguments of each."""


def check_server(words: Sequence[str]) -> None:
    """Check a ``server`` line: the task's own name and address, and harmless words."""
    require(words[:1] == [variable("serverName")], "a server has the name {serverName}")
    require(
        len(words) > 1 and _ADDRESS.fullmatch(words[1]) is not None,
        "a server has the address {host_ipv4}:{port}",
    )
    check_words(words[2:], SERVER, "server")


_TAIL = "(?:\x01(?:cookieOptions|healthCheckOptions|otherOptions)\x02)*"
_ADDRESS = re.compile(f"\x01host(?:_ipv4)?\x02:\x01port\x02{_TAIL}")
_OURS = re.compile("(?:\x01(?:cookieOptions|healthCheckOptions|otherOptions|healthCheckPortOptions)\x02)+")


def check_words(words: Sequence[str], table: Mapping[str, int], kind: str) -> None:
    """Check the words of a ``server`` or a ``bind`` line."""
    here = 0
    while here < len(words):
        word = words[here]
        here += 1
        if _OURS.fullmatch(word):
            continue
        if word == "sni" and kind == "server" and here < len(words):
            expression(words[here])
            here += 1
            continue
        require(word in table, f"{shown(word)} is not among the words of a {kind} line that are allowed")
        arguments = words[here : here + table[word]]
        require(len(arguments) == table[word], f"{word} lacks its argument")
        if word in _INTERVALS:
            require(_INTERVAL.fullmatch(arguments[0]), f"{word} takes a duration of at least 200ms")
        else:
            plain(arguments)
        here += table[word]
