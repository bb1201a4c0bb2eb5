"""
TLS towards the tasks, and TLS that is not ended here: what the labels say of both.

``HAPROXY_{n}_BACKEND_SSL`` and ``HAPROXY_{n}_BACKEND_PROTO`` become words of the ``server`` lines;
``HAPROXY_{n}_TLS_PASSTHROUGH`` makes a service one of mode tcp that is found by the name in the TLS handshake.
"""

from __future__ import annotations

import re

from marathonlb.routing.hosts import is_wildcard
from marathonlb.routing.labels import values

VERIFY = "verify"
"""The value of BACKEND_SSL that has certificates verified by the authorities of the system."""

NO_VERIFY = "none"
"""The value that stands for encryption alone."""

_NAME = re.compile(r"(?![0-9.]+\Z)[A-Za-z0-9._-]{1,253}", re.ASCII)


def backend_ssl(text: str) -> str:
    """``none`` (encrypt, verify nothing), ``verify`` or the path of a file of authorities; empty where it is off."""
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
    """``h1`` or ``h2``."""
    word = values.no_control(text).strip().lower()
    if word == "fcgi":
        raise ValueError("FastCGI is not spoken here: put a web server beside the application")
    if word not in ("h1", "h2"):
        raise ValueError("is neither h1 nor h2")
    return word


def server_words(ssl: str, proto: str, *, hosts: tuple[str, ...], host: str) -> str:
    """
    The words of a ``server`` line about TLS and the protocol, each with a blank before it.

    The task has to prove that it is the first virtual host, or the host that it runs on, where that has a name; HAProxy
    compares names alone, so of a bare address the chain is verified and no more.

    :param ssl: empty, `NO_VERIFY`, or what ``ca-file`` takes.
    :param proto: empty, ``h1`` or ``h2``.
    :param hosts: the service's virtual hosts.
    :param host: where the task runs.
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
