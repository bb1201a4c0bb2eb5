"""Unix sockets: which process listens on one, and the removal of those without a listener."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress

from marathonlb.config.https import SOCKET_PREFIX

_PEER = struct.Struct("3i")
"""The kernel's record of a peer: process, user, group (unix(7), ``SO_PEERCRED``)."""


def listener(path: str) -> str:
    """
    Return a sentence that names the listener of a socket, for messages; empty if there is none.

    A connection is made and closed at once, which never waits: a listener whose queue is full counts.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(path)
            pid, _, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        except OSError as error:
            # Other errors mean that there is nothing, a plain file, or a socket without a listener.
            alive = error.errno in (errno.EAGAIN, errno.EACCES, errno.EPERM)
            return f"another process listens on {path}" if alive else ""
    return f"pid {pid} listens on {path}"


def remove_dead(directory: str, named: str) -> None:
    """
    Remove the sockets of the https port that HAProxy leaves behind for hosts that were removed.

    :param named: the running configuration; a socket whose path it contains stays.
    """
    with suppress(OSError):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.startswith(SOCKET_PREFIX) and f"{path} " not in named and not listener(path):
                with suppress(OSError):
                    os.unlink(path)
