"""A WebSocket client that may break every rule: it writes the bytes it is told to (RFC 6455)."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Callable
from typing import Any

import orjson

from tests.faults.waiting import PATIENCE_S

Frame = dict[str, Any]

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
RESET = 1006  # ended without a close frame


class RawSocket:
    """`frames` are the JSON frames that came; `close_code` is None while the server has not closed."""

    def __init__(self, port: int, *, origin: str | None = None) -> None:
        self.status = 0
        self.frames: list[Frame] = []
        self.close_code: int | None = None
        self._port = port
        self._origin = origin
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def connect(self) -> "RawSocket":
        """Shake hands and read on; `status` is the server's, 101 if it agreed."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        origin = [f"Origin: {self._origin}"] if self._origin else []
        lines = [
            "GET /ws/chat/ HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *origin,
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        self.status = int(answer.split()[1])
        if self.status == 101:
            self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        try:
            while self.close_code is None:
                opcode, payload = await self._read_frame()
                if opcode == TEXT:
                    self.frames.append(orjson.loads(payload))
                elif opcode == PING:
                    await self.send(PONG, payload)
                elif opcode == CLOSE:
                    self.close_code = int.from_bytes(payload[:2]) if payload else 1005
                    await self.send(CLOSE, payload)
                self._news.set()
        except (OSError, EOFError):
            self.close_code = RESET
        finally:
            self._news.set()

    async def _read_frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
        return first & 0x0F, await self._reader.readexactly(size)

    async def send(self, opcode: int, payload: bytes) -> None:
        """Send one whole frame, masked with zeros."""
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 1 << 16:
            head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2)
        else:
            head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8)
        await self.write(head + bytes(4) + payload)

    async def write(self, data: bytes) -> None:
        """Write bytes, whatever they mean."""
        with contextlib.suppress(OSError):  # the server may have had enough
            self._writer.write(data)
            await self._writer.drain()

    async def say(self, kind: str, **fields: object) -> None:
        """Send a frame of the protocol."""
        await self.send(TEXT, orjson.dumps({"type": kind, **fields}))

    async def until(self, what: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait until something is so, or the socket has ended."""
        async with asyncio.timeout(within_s):
            while not what() and self.close_code is None:
                self._news.clear()
                await self._news.wait()

    def seen(self, kind: str, **fields: object) -> list[Frame]:
        """Return the frames of this kind with these fields."""
        return [
            frame
            for frame in self.frames
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items())
        ]

    @property
    def is_open(self) -> bool:
        """Whether the server has neither refused nor closed it."""
        return self.status == 101 and self.close_code is None

    async def leave(self) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
