"""
Servers to run as tasks under load: ``python -m tests.integration.tasks web`` and ``… echo``.

Unlike the sample's (`minimarathon.apps`) they send long downloads, support WebSockets, and log posted data, so a
test can detect repeated requests.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time

from minimarathon.apps import KINDS, Web, main

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""The constant that is hashed with a WebSocket's key (RFC 6455)."""

PIECE = 0.1
"""Seconds between two chunks of a download."""


class LoadedWeb(Web):
    """The sample's web server with ``/download?CHUNKS``, ``/slow?SECONDS`` and WebSockets on any path."""

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """Respond to one request."""
        path, _, argument = target.partition("?")
        if headers.get("upgrade", "").lower() == "websocket":
            self._websocket(headers)
        elif path == "/download":
            self._download(int(argument))
        else:
            if method == "POST":
                sys.stderr.write(f"POST {body.decode('latin-1')}\n")
                sys.stderr.flush()
            time.sleep(float(argument) if path == "/slow" else 0)
            super().answer(method, target, headers, body)

    def _download(self, pieces: int) -> None:
        """Send chunks of 10 kB, each after a pause."""
        self.wfile.write(self.head(10_000 * pieces).encode())
        for number in range(pieces):
            time.sleep(PIECE)
            self.wfile.write(bytes([number % 256]) * 10_000)

    def _websocket(self, headers: dict[str, str]) -> None:
        """Echo WebSocket frames; a client's are masked and short."""
        self.last = True
        key = hashlib.sha1(headers["sec-websocket-key"].encode() + MAGIC, usedforsecurity=False).digest()
        accept = base64.b64encode(key).decode()
        head = f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n"
        self.wfile.write(f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode())
        while len(start := self.rfile.read(2)) == 2 and start[0] & 0x0F != 8:
            mask = self.rfile.read(4)
            masked = self.rfile.read(start[1] & 0x7F)
            plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
            self.wfile.write(bytes([start[0], len(plain)]) + plain)


if __name__ == "__main__":
    KINDS["web"] = LoadedWeb
    sys.exit(main(sys.argv[1:]))
