"""The service's end of a WebSocket, as bytes that a test can cut anywhere."""

import asyncio
from collections.abc import Mapping

from websockets.frames import Close, Frame, Opcode
from websockets.utils import accept_key, apply_mask


def handshake(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that accept a request to upgrade, with status 101."""
    return {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": accept_key(headers["sec-websocket-key"]),
    }


def frame(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=False)


def close(code: int) -> bytes:
    return frame(Close(code, "").serialize(), Opcode.CLOSE)


async def receive(reader: asyncio.StreamReader) -> bytes:
    """The next frame of the client, which masks what it sends."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4)
    return apply_mask(await reader.readexactly(size), mask)


def payloads(data: bytes) -> list[bytes]:
    """What the frames of the service hold."""
    found = []
    while data:
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        found.append(data[at : at + size])
        data = data[at + size :]
    return found
