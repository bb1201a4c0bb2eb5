"""
``HAPROXY_{n}_BIND_OPTIONS``: the options of a ``bind`` line that are about the service's own connections.

Other options reach further: into other network namespaces, to addresses that are not this machine's, before other
services in HAProxy's queue. An app that needs one uses HAPROXY_{n}_FRONTEND_HEAD, which a policy can forbid. An option
in none of these tables is unknown to every HAProxy that the tests run, and HAProxy refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from marathonlb.routing.labels.values import few_words, haproxy_words
from marathonlb.routing.lines.words import split_words

FLAGS = frozenset(
    "accept-proxy allow-0rtt defer-accept force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-alpn "
    "no-ca-names no-sslv3 no-strict-sni no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 prefer-client-ciphers "
    "quic-force-retry ssl strict-sni tfo tls-tickets v4v6 v6only".split()
)
"""Options without an argument."""

WORDS = frozenset(
    "accept-netscaler-cip alpn backlog ca-ignore-err cc ciphers ciphersuites client-sigalgs crt-ignore-err curves "
    "ecdhe id idle-ping interface ktls label maxconn mss name npn process proto quic-cc-algo quic-socket sigalgs "
    "ssl-max-ver ssl-min-ver tcp-md5sig tcp-ss tcp-ut thread verify".split()
)
"""Options with one argument."""

FILES = frozenset("ca-file ca-verify-file crl-file crt crt-list default-crt tls-ticket-keys".split())
"""Options whose argument is a file."""

BEYOND = frozenset(
    "ca-sign-file ca-sign-pass expose-fd generate-certificates gid group guid-prefix level mode namespace nbconn nice "
    "severity-output shards transparent uid user".split()
)
"""Options that reach beyond the service's own connections, or cost other services."""

_SPECIAL = ("/dev", "/proc", "/sys")


def bind_options(text: str) -> str:
    """Return words for the end of a ``bind`` line, in HAProxy's own quoting. Raises `ValueError`."""
    options = few_words(haproxy_words(text))
    for option, value in _options(options):
        if option in BEYOND:
            raise ValueError(
                f"holds {option}, which is not about the service's own connections alone; use the template"
                " FRONTEND_HEAD for it"
            )
        if option in FILES and not _may_be_read(value):
            raise ValueError(f"holds {option} with something that is no file of certificates")
    return options


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Yield each option with its argument; empty if it takes none, or has none."""
    words = iter(split_words(text)[0])
    for word in words:
        option = word.replace("\\", "")  # no HAProxy knows an option with a backslash
        yield option, next(words, "") if option in WORDS or option in FILES else ""


def _may_be_read(path: str) -> bool:
    """Return True if a path is no device, which HAProxy would read on and on while all requests wait."""
    if ".." in path.split("/"):
        return False
    whole = normpath(f"/{path}" if path[:1] == "/" else path).replace("//", "/")
    return not any(whole == place or whole.startswith(f"{place}/") for place in _SPECIAL)
