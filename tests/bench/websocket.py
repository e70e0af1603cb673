"""A WebSocket client for the load generator: whole text frames from a server that neither cuts nor deflates.

Five times cheaper than a client that checks everything, so that one core can read 12,000 frames a
second and still be on time. Anything it does not understand ends the connection, which counts as lost.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.bench.script import now_us

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class WebSocket(asyncio.Protocol):
    """One connection; `on_text(payload, received_us)` is called for every text frame."""

    def __init__(self, path: str, host: str, on_text: Callable[[bytes, int], None]) -> None:
        self._handshake = _HANDSHAKE.format(path=path, host=host).encode()
        self._on_text = on_text
        self._received = b""
        self._is_closing = False
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why it ended."""
        self._end(f"connection lost: {exc or 'end of stream'}")

    def data_received(self, data: bytes) -> None:
        """Hand out every frame that is whole."""
        received_us = now_us()
        data = self._received + data if self._received else data
        if not self.opened.done():
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._received = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self._end(f"refused: {data[:60]!r}")
                return
            data = data[end + 4 :]
            self.opened.set_result(None)
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                wide = 2 if length == 126 else 8
                if size < start + wide:
                    break
                length, start = int.from_bytes(data[start : start + wide], "big"), start + wide
            if size < start + length:
                break
            at, head, payload = start + length, data[at], data[start : start + length]
            if head == 0x80 | _TEXT:
                self._on_text(payload, received_us)
            elif head == 0x80 | _PING:
                self._write(_PONG, payload)
            elif head == 0x80 | _CLOSE:
                self._end(f"closed {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}".rstrip())
                return
            else:
                self._end(f"unexpected frame {head:#x}")
                return
        self._received = data[at:]

    def send(self, payload: bytes) -> None:
        """Send one text frame of at most 65,535 bytes."""
        self._write(_TEXT, payload)

    def close(self) -> None:
        """Leave, with a close frame, as a browser does."""
        if not self._is_closing:
            self._write(_CLOSE, (1000).to_bytes(2, "big"))
        self._end("left")

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        # Masked with zeros, which leaves the payload as it is.
        self._transport.write(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload)

    def _end(self, reason: str) -> None:
        self._is_closing = True
        self._transport.close()
        if not self.closed.done():
            self.closed.set_result(reason)
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))


async def connect(url: str, on_text: Callable[[bytes, int], None]) -> WebSocket:
    """Open a socket at a `ws://` address with a port; raises ConnectionError when the server refuses."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: WebSocket(parts.path, parts.netloc, on_text), parts.hostname, parts.port
    )
    await asyncio.wait_for(socket.opened, 30)
    return socket
