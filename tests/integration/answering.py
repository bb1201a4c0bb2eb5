"""Tasks in this process that respond with their names, and requests to them through HAProxy."""

from __future__ import annotations

import contextlib
import re
import socket
from threading import Thread

from tests.integration.reserved import free_port


class Task:
    """A task that responds with its name on persistent connections; ``/slow/N`` delays the second half by N seconds."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.port = free_port()
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._open: set[socket.socket] = set()
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def line(self, more: str = "") -> str:
        return f"server {self.name.decode()} 127.0.0.1:{self.port}{' ' if more else ''}{more}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with contextlib.suppress(OSError), connection:
            heard = b""
            while part := connection.recv(65536):
                heard += part
                while b"\r\n\r\n" in heard:
                    request, _, heard = heard.partition(b"\r\n\r\n")
                    length = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.name)}\r\n\r\n".encode()
                    slow = re.match(rb"GET /slow/(\S+)", request)
                    connection.sendall(length + self.name[:1])
                    if slow:
                        connection.settimeout(float(slow[1]))
                        with contextlib.suppress(TimeoutError):
                            connection.recv(1)
                        connection.settimeout(None)
                    connection.sendall(self.name[1:])
        self._open.discard(connection)

    def end(self) -> None:
        """Stop accepting connections, and close the open ones."""
        # if the file descriptor were closed now, the accepting thread might take connections of its next owner
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def request(port: int, path: str = "/", cookie: str = "") -> tuple[str, str]:
    """Return the body and the cookie of a response; raise `OSError` if its status is not 200."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        extra = f"Cookie: {cookie}\r\n" if cookie else ""
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{extra}\r\n".encode())
        heard = b""
        while part := connection.recv(65536):
            heard += part
    head, _, body = heard.decode().partition("\r\n\r\n")
    if not head.startswith("HTTP/1.1 200"):
        raise OSError(head.splitlines()[0] if head else "no answer")
    found = re.search(r"set-cookie: ([^;\r]+)", head, re.IGNORECASE)
    return body, found[1] if found else ""
