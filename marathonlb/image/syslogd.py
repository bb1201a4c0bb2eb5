"""
A syslog server for a container with ``HAPROXY_SYSLOGD``, which prints HAProxy's log to the container's output.

Run by path (``python3 -I -S syslogd.py SOCKET``): it needs only the standard library.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress

LARGEST = 65536
"""Maximum bytes of a message."""

_PRIORITY = re.compile(rb"^<[0-9]{1,3}>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def line(datagram: bytes) -> str:
    """Return a message as one line without its priority; control characters are escaped, so it cannot forge a line."""
    text = _PRIORITY.sub(b"", datagram).decode("utf-8", "replace").rstrip("\r\n\0")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text) + "\n"


def listen(path: str) -> socket.socket:
    """Return a new socket at this path, instead of an old one. Raises `OSError`."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o111)  # HAProxy may run as another user
    receiver.bind(path)
    os.umask(before)
    return receiver


def main(path: str) -> int:
    """Print messages until the process ends; return 1 if the socket cannot be made."""
    try:
        receiver = listen(path)
    except OSError as error:
        sys.stderr.write(f"docker-entrypoint: HAPROXY_SYSLOGD: {path}: {error.strerror}\n")
        return 1
    sys.stderr.write(f"docker-entrypoint: a syslog listens on {path}\n")
    while True:
        sys.stdout.write(line(receiver.recv(LARGEST)))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
