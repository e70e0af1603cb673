"""A service on 127.0.0.1 that answers as it is told, byte by byte, and remembers what it was asked."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from tests.providers.websocket import handshake, receive

HANG = None
"""In place of a piece: say nothing more until the client goes away."""

SWITCHING = 101

Piece = bytes | float | None
"""Bytes are sent, one HTTP chunk each; a number waits so many seconds; HANG waits for the client to leave."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `end` eof closes the body, reset drops the connection without the last chunk, close
    ends the connection with the body although it was to be kept. Status 101 opens a WebSocket: the body
    is bytes of frames then, and what the client says first is the body of its request.
    `before_s` passes before the status line; None never sends one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    pieces: Sequence[Piece] = ()
    end: Literal["eof", "reset", "close"] = "eof"
    before_s: float | None = 0.0


def cut(body: bytes, split: int | str | None) -> list[bytes]:
    """Cut a body as the manifest says: in one piece, in pieces of N bytes, or after every CR."""
    if split is None:
        return [body]
    if split == "after_cr":
        return re.findall(rb"[^\r]*\r|[^\r]+", body)
    size = int(split)
    return [body[at : at + size] for at in range(0, len(body), size)]


def json_reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        pieces=[body.encode() if isinstance(body, str) else orjson.dumps(body)],
    )


class Loopback:
    """`replies` are used up one a request, the last one again and again; `fixed` has those that a path
    always gets. `connections` are open now, `accepted` were opened in all, `last_words` is what clients
    said on a WebSocket after their request. Wait for a state with `until`."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [Reply(status=500)]
        self.fixed: dict[str, Reply] = {}
        self.requests: list[Request] = []
        self.last_words = b""
        self.connections = 0
        self.accepted = 0
        self.port = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *replies: Reply) -> None:
        self.replies = list(replies)

    async def until(self, holds: Callable[[], bool], *, within_s: float = 5.0) -> None:
        """Wait until `holds`, looking at every change on the server."""
        async with asyncio.timeout(within_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.accepted += 1
        self._changed.set()
        try:
            while request := await _request(reader):
                self.requests.append(request)
                self._changed.set()
                reply = self.fixed.get(request.path.partition("?")[0])
                reply = reply or (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])
                if reply.status == SWITCHING:
                    await self._upgrade(reply, request, reader, writer)
                    break
                if not await self._reply(reply, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the test is over: asyncio reports a cancelled handler as an error
        finally:
            writer.close()
            self.connections -= 1
            self._tasks.discard(task)
            self._changed.set()

    async def _reply(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the connection may be used again."""
        if reply.before_s is None:
            await reader.read()
            return False
        await asyncio.sleep(reply.before_s)
        _begin(writer, reply.status, {"transfer-encoding": "chunked", **reply.headers})
        for piece in reply.pieces:
            if piece is HANG:
                await reader.read()
                return False
            if isinstance(piece, float | int):
                await asyncio.sleep(piece)
            elif piece:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0)  # the client may read this piece before the next is there
        if reply.end == "reset":
            writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.end == "eof"

    async def _upgrade(
        self, reply: Reply, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if reply.before_s is None:
            await reader.read()
            return
        await asyncio.sleep(reply.before_s)
        _begin(writer, reply.status, handshake(request.headers))
        at = self.requests.index(request)
        self.requests[at] = replace(request, body=await receive(reader))
        self._changed.set()
        for piece in reply.pieces:
            if piece is HANG:
                self.last_words += await reader.read()
            elif isinstance(piece, float | int):
                await asyncio.sleep(piece)
            else:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        if reply.end == "reset":
            writer.transport.abort()
        else:
            if writer.can_write_eof():  # not over TLS
                writer.write_eof()
            self.last_words += await reader.read()

    async def _stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _begin(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    """Send the head of an answer."""
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "\r\n"]).encode())


async def _request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def loopback(tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A running service on a free port."""
    service = Loopback()
    server = await asyncio.start_server(service._serve, "127.0.0.1", 0, ssl=tls)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await service._stop()
