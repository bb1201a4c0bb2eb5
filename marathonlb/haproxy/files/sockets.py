"""Sockets with a path: whether somebody listens, and the end of those that nobody listens on."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress

from marathonlb.config.https import SOCKET_PREFIX

_PEER = struct.Struct("3i")
"""The kernel's word of a peer: process, user, group (unix(7), ``SO_PEERCRED``)."""


def listener(path: str) -> str:
    """
    Return who listens on a socket, in words; empty where nobody does.

    A connection is made and closed at once, which never waits: a listener whose queue is full is one.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
            pid, _, _ = _PEER.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        except OSError as error:
            # other errors mean that nothing is there, or a plain file, or a socket that nobody listens on
            alive = error.errno in (errno.EAGAIN, errno.EACCES, errno.EPERM)
            return f"somebody listens on {path}" if alive else ""
    return f"pid {pid} listens on {path}"


def remove_dead(directory: str, named: str) -> None:
    """
    Remove the sockets of the https port that HAProxy has left behind, as it does with those of hosts that are gone.

    :param named: the configuration that runs; a socket whose path it holds stays.
    """
    with suppress(OSError):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.startswith(SOCKET_PREFIX) and f"{path} " not in named and not listener(path):
                with suppress(OSError):
                    os.unlink(path)
