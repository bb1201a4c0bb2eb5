"""
Small servers to run as tasks: ``python -m minimarathon.apps web --name shop`` and ``… echo``.

They listen on ``$HOST:$PORT0`` and import only a few modules of the standard library, since many start at once.
SIGTERM ends them gracefully. They keep serving for a moment, since the load balancer is notified at the same time and
needs that moment to send new requests elsewhere; then they accept no connections, and finish current requests.
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

#: Seconds to keep serving after SIGTERM; HTTP connections are closed after their current response.
#: ``$LINGER`` overrides it.
LINGER = 0.5
#: Seconds after which an idle connection is closed.
IDLE = 60
#: The same for connections that are accepted during the shutdown.
IDLE_AT_SHUTDOWN = 1
#: Request headers that the web app shows: those that a load balancer adds or uses for routing.
SHOWN = ("host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "cookie")


class Server(socketserver.ThreadingTCPServer):
    """A server that tracks its open connections, to close them when they are idle."""

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
        """Stop accepting connections after the linger time; open connections finish their requests."""
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
        """Serve the connections that were waiting to be accepted at the shutdown."""
        self.socket.setblocking(False)
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            self.process_request(connection, address)


class Handler(socketserver.StreamRequestHandler):
    """A connection, tracked by the server while it is open."""

    server: Server

    def setup(self) -> None:
        """Set the timeout of idle connections."""
        super().setup()
        self.connection.settimeout(IDLE_AT_SHUTDOWN if self.server.closing else IDLE)

    def handle(self) -> None:
        """Handle exchanges until the client or the server closes the connection."""
        self.server.open.add(self.connection)
        try:
            while self.talk() and not self.server.closing:
                pass
        except OSError:
            return
        finally:
            self.server.open.discard(self.connection)

    def talk(self) -> bool:
        """Handle one exchange; return whether another may follow."""
        return False


class Web(Handler):
    """
    A minimal HTTP/1.1 server for demonstrations.

    :ivar last: true if the connection is closed after the current response.
    """

    last = False

    def talk(self) -> bool:
        """Read one request and respond to it."""
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
        """Respond with one line: the app, the task and the request."""
        self.send("ok\n" if target.split("?")[0] == "/health" else self._line(target, headers), method)

    def send(self, text: str, method: str) -> None:
        """Send a response."""
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
    """Sends received data back."""

    def talk(self) -> bool:
        """Send one chunk back."""
        data = self.connection.recv(65536)
        if data:
            self.connection.sendall(data)
        return bool(data)


KINDS = {"web": Web, "echo": Echo}


def main(arguments: list[str]) -> int:
    """
    Serve until SIGTERM or SIGINT.

    :return: the exit status: 0, or 2 if the arguments are wrong.
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
