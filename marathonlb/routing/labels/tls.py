"""
Labels about TLS towards the tasks, and about TLS that the tasks end themselves.

``HAPROXY_{n}_BACKEND_SSL`` and ``HAPROXY_{n}_BACKEND_PROTO`` become words of the ``server`` lines;
``HAPROXY_{n}_TLS_PASSTHROUGH`` makes a service one of mode tcp that is chosen by the name in the TLS handshake.
"""

from __future__ import annotations

import re

from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.labels import values

VERIFY = "verify"
"""The value of BACKEND_SSL for certificates verified by the system's authorities."""

NO_VERIFY = "none"
"""The value of BACKEND_SSL for encryption without verification."""

_NAME = re.compile(r"(?![0-9.]+\Z)[A-Za-z0-9._-]{1,253}", re.ASCII)


def backend_ssl(text: str) -> str:
    """Parse ``none`` (encrypt only), ``verify`` or the path of a file of authorities; return empty text if off."""
    word = values.no_control(text).strip()
    if word.lower() == VERIFY:
        return VERIFY
    if word.startswith("/"):
        paths = values.file_list(word)
        if len(paths) != 1:
            raise ValueError("is not one path")
        return paths[0]
    try:
        return NO_VERIFY if values.boolean(word) else ""
    except ValueError:
        raise ValueError("is neither true, verify, false nor the absolute path of a CA file") from None


def backend_proto(text: str) -> str:
    """Parse ``h1`` or ``h2``."""
    word = values.no_control(text).strip().lower()
    if word == "fcgi":
        raise ValueError("FastCGI is not spoken here: put a web server beside the application")
    if word not in ("h1", "h2"):
        raise ValueError("is neither h1 nor h2")
    return word


def server_words(ssl: str, proto: str, *, hosts: tuple[str, ...], host: str) -> str:
    """
    Return the words of a ``server`` line about TLS and the protocol, each after a blank.

    The task has to prove that it is the first virtual host, or else the host that it runs on if that has a name.
    HAProxy compares names only, so for a bare address only the certificate chain is verified.

    :param ssl: empty, `NO_VERIFY`, or the argument of ``ca-file``.
    :param proto: empty, ``h1`` or ``h2``.
    :param hosts: the service's virtual hosts.
    :param host: the host that the task runs on.
    """
    words = []
    if ssl:
        named = next((name for name in hosts if not is_wildcard(name)), "")
        name = named or (host if _NAME.fullmatch(host) else "")
        words = ["ssl"]
        if ssl == NO_VERIFY:
            words += ["verify", "none"]
        else:
            words += ["verify", "required", "ca-file", ssl]
            words += ["verifyhost", name] if name else []
        words += ["sni", f"str({name})", "check-sni", name] if name else []
        if proto:
            words += ["alpn", "h2" if proto == "h2" else "http/1.1"]
    elif proto == "h2":
        words = ["proto", "h2"]
    return "".join(f" {word}" for word in words)
