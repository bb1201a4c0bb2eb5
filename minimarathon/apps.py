"""
Little servers to run as tasks: ``python -m minimarathon.apps web --name shop`` and ``… echo``.

They listen on ``$HOST:$PORT0``, need the standard library alone and import little of it, since many start at once.
SIGTERM ends them gracefully: for a moment they serve on, since a load balancer is told at the same time as they and
needs that moment to send what is new elsewhere; then no connection is taken, and what is being answered is finished.
"""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import sys
import threading
import time
from types import FrameType

#: Seconds after SIGTERM in which everything goes on, but for HTTP connections that are kept: each answer is the last.
#: ``$LINGER`` says otherwise.
LINGER = 0.5
#: Seconds after which a connection that says nothing is closed.
IDLE = 60
#: The same for connections that are only taken at the end.
LAST = 1
#: Request headers that the web app shows: what a load balancer adds, and what it goes by.
SHOWN = ("host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "cookie")


class Server(socketserver.ThreadingTCPServer):
    """A server that knows its open connections, to end them once they rest."""

    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 128
    name = "app"
    linger = LINGER

    def __init__(self, address: tuple[str, int], handler: type[socketserver.StreamRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        self.leaving = False
        self.closing = False
        super().__init__(address, handler)

    def stop(self) -> None:
        """After a moment take no new connection; those that are open may finish what they do."""
        self.leaving = True
        time.sleep(self.linger)
        self.closing = True
        self.shutdown()
        for connection in tuple(self.open):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                continue

    def drain(self) -> None:
        """Serve who had connected before the end and was not yet accepted."""
        self.socket.setblocking(False)
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            self.process_request(connection, address)


class Handler(socketserver.StreamRequestHandler):
    """A connection; forgotten when it ends, however it ends."""

    server: Server

    def setup(self) -> None:
        """Bound how long a silent connection stays."""
        super().setup()
        self.connection.settimeout(LAST if self.server.closing else IDLE)

    def handle(self) -> None:
        """Talk until somebody has enough."""
        self.server.open.add(self.connection)
        try:
            while self.talk() and not self.server.closing:
                pass
        except OSError:
            return
        finally:
            self.server.open.discard(self.connection)

    def talk(self) -> bool:
        """One exchange; whether there may be another."""
        return False


class Web(Handler):
    """
    HTTP/1.1, as much as a demonstration needs.

    :ivar last: whether nothing comes after the answer to the present request.
    """

    last = False

    def talk(self) -> bool:
        """Read one request and answer it."""
        line = self.rfile.readline(65537).decode("latin-1").split()
        headers = self._headers()
        if len(line) < 3:
            return False
        body = self.rfile.read(int(headers.get("content-length", "0") or 0))
        method, target, version = line[:3]
        self.last = (
            self.server.leaving or version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        )
        self.answer(method, target, headers, body)
        return not self.last

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """Say who answers and what was asked, in a line."""
        self.send("ok\n" if target.split("?")[0] == "/health" else self._line(target, headers), method)

    def send(self, text: str, method: str) -> None:
        """Send an answer."""
        self.wfile.write((self.head(len(text.encode())) + ("" if method == "HEAD" else text)).encode())

    def head(self, length: int) -> str:
        """Return the head of a response whose body has this many bytes."""
        return (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {length}\r\nConnection: {'close' if self.last else 'keep-alive'}\r\n\r\n"
        )

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while True:
            name, colon, value = self.rfile.readline(65537).decode("latin-1").partition(":")
            if not colon:
                return headers
            headers[name.strip().lower()] = value.strip()

    def _line(self, target: str, headers: dict[str, str]) -> str:
        shown = "".join(f" {name}={headers[name]}" for name in SHOWN if name in headers)
        task = os.environ.get("MESOS_TASK_ID", "-")
        return f"{self.server.name} task={task} port={self.server.server_address[1]} path={target}{shown}\n"


class Echo(Handler):
    """Sends back what it gets."""

    def talk(self) -> bool:
        """Send one piece back."""
        piece = self.connection.recv(65536)
        if piece:
            self.connection.sendall(piece)
        return bool(piece)


KINDS = {"web": Web, "echo": Echo}


def main(arguments: list[str]) -> int:
    """
    Serve until SIGTERM or SIGINT.

    :return: the exit status: 0, or 2 where the arguments are wrong.
    """
    kind, *rest = arguments or [""]
    if kind not in KINDS or (rest and (len(rest) != 2 or rest[0] != "--name")):
        sys.stderr.write("usage: python -m minimarathon.apps web|echo [--name NAME]\n")
        return 2
    host, port = (
        os.environ.get("HOST", "127.0.0.1"),
        int(os.environ.get("PORT0") or os.environ.get("PORT") or 0),
    )
    with Server((host, port), KINDS[kind]) as server:
        server.name = rest[1] if rest else kind
        server.linger = float(os.environ.get("LINGER", LINGER))

        def stop(number: int, frame: FrameType | None) -> None:
            threading.Thread(target=server.stop).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        sys.stderr.write(f"{server.name}: {kind} on {host}:{server.server_address[1]}\n")
        server.serve_forever(poll_interval=0.1)
        server.drain()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
