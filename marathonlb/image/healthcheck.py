"""
The image's ``HEALTHCHECK``: requests HAProxy's health page at the stats address.

Run by path (``python3 -I -S healthcheck.py``) every few seconds: it needs only the standard library. The entrypoint
writes the address to a file. The exit status is 0 or 1, and one line is printed.
"""

from __future__ import annotations

import socket
import sys

ADDRESS_FILE = "/var/run/marathon-lb/stats-address"
"""File with ``host port``, written by the entrypoint from the options."""

PATH = "/_haproxy_health_check"
SECONDS = 2.0
"""Maximum seconds of a request."""


def healthy(host: str, port: int, seconds: float = SECONDS) -> str:
    """Return the status line of HAProxy's answer. Raises `OSError` if there is no answer."""
    with socket.create_connection((host, port), seconds) as connection:
        connection.sendall(f"GET {PATH} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(200).partition(b"\r\n")[0].decode("latin-1")


def main(arguments: list[str]) -> int:
    """
    Print whether HAProxy answers.

    :param arguments: the path of the file with the address, if it is not `ADDRESS_FILE`.
    :return: the exit status.
    """
    path = arguments[0] if arguments else ADDRESS_FILE
    try:
        with open(path, encoding="ascii") as file:
            host, port = file.read().split()
        status = healthy(host, int(port))
    except (OSError, ValueError) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    sys.stdout.write(f"{host}:{port} answers {status}\n")
    return 0 if " 200 " in f"{status} " else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
