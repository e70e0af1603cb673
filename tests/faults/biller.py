"""A model service that keeps its own bill: what it did for each call, whatever became of the call."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from chatbot.providers.transport import STALE_S

MARK = re.compile(r"question (\d+)\.")
PIECE_TOKENS = 3
HEAD = (
    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-request-id: {request_id}\r\n"
    "transfer-encoding: chunked\r\n\r\n"
)
REFUSALS = {
    "busy": ("429 Too Many Requests", "rate_limit_exceeded"),
    "broken": ("500 Internal Server Error", "server_error"),
}


@dataclass(slots=True)
class Charge:
    """A line of the bill. `fate` is how the service meant the call to go; `is_whole`: its usage was told."""

    mark: str
    request_id: str
    at: datetime
    fate: str
    input_tokens: int = 0
    output_tokens: int = 0
    is_whole: bool = False

    @property
    def is_billed(self) -> bool:
        """Whether the call costs anything."""
        return self.input_tokens > 0


class Biller:
    """Speaks OpenAI's language on the loopback. Fates are drawn by `chance`: most calls go well."""

    def __init__(self, seed: int, *, pieces: int = 12, delay_s: float = 0.03) -> None:
        self.bill: list[Charge] = []
        self.port = 0
        self._chance = random.Random(seed)
        self._pieces = pieces
        self._delay_s = delay_s
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def config(self) -> str:
        """A config.yaml that asks nobody else."""
        return (
            "providers:\n"
            f'  biller: {{kind: openai, base_url: "http://127.0.0.1:{self.port}/v1", api_key: sk-biller}}\n'
            "models:\n"
            "  billed: {provider: biller, model: billed-1, max_output_tokens: 200, context_tokens: 16000,"
            " prices: {input: 1, output: 4}}\n"
            "routes:\n  default: [billed]\n"
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection is of no more use."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        assert length is not None
        asked = orjson.loads(await reader.readexactly(int(length[1])))
        charge = self._begin(asked)
        if charge.fate in REFUSALS:
            status, code = REFUSALS[charge.fate]
            body = orjson.dumps({"error": {"message": "Not now.", "type": code, "code": code}})
            writer.write(
                HEAD.format(status=status, kind="application/json", request_id=charge.request_id).encode()
            )
            writer.write(_chunk(body) + b"0\r\n\r\n")
            await writer.drain()
            return True
        charge.input_tokens = sum(len(str(each["content"])) for each in asked["messages"]) // 4 + 3
        if charge.fate == "hung up":  # not at once: that is a kept connection gone stale, and asked again
            await asyncio.wait([asyncio.ensure_future(reader.read(1))], timeout=2 * STALE_S)
            writer.transport.abort()
            return False
        await self._stream(charge, reader, writer)
        return charge.fate != "cut"

    def _begin(self, asked: dict[str, list[dict[str, object]]]) -> Charge:
        mark = MARK.findall(str(asked["messages"][-1]["content"]))[-1]
        fates = (
            ["well"] * 80 + ["no usage"] * 6 + ["cut"] * 5 + ["busy"] * 4 + ["broken"] * 3 + ["hung up"] * 2
        )
        charge = Charge(mark, f"req-{len(self.bill)}", datetime.now(UTC), self._chance.choice(fates))
        self.bill.append(charge)
        return charge

    async def _stream(
        self, charge: Charge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = HEAD.format(status="200 OK", kind="text/event-stream", request_id=charge.request_id)
        writer.write(head.encode())
        left = asyncio.ensure_future(reader.read(1))  # nobody says anything more, unless to leave
        try:
            for number in range(self._pieces):
                await asyncio.wait([left], timeout=self._delay_s * self._chance.random() * 2)
                if left.done():
                    raise ConnectionResetError("The client left.")
                charge.output_tokens += PIECE_TOKENS
                await _event(writer, {"choices": [{"index": 0, "delta": {"content": f"piece {number} "}}]})
                if charge.fate == "cut" and number == self._pieces // 2:
                    writer.transport.abort()
                    return
            await _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            if charge.fate != "no usage":
                counts = {"prompt_tokens": charge.input_tokens, "completion_tokens": charge.output_tokens}
                await _event(writer, {"choices": [], "usage": counts})
            writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
            charge.is_whole = charge.fate == "well"
        finally:
            left.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await left

    async def close(self) -> None:
        """Hang up on everybody."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _event(writer: asyncio.StreamWriter, data: dict[str, object]) -> None:
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "billed-1", **data}
    writer.write(_chunk(b"data: " + orjson.dumps(said) + b"\n\n"))
    await writer.drain()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def biller(seed: int) -> AsyncIterator[Biller]:
    """Open the service at a port of its own."""
    made = Biller(seed)
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
