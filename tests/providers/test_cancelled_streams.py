"""Streams given up at any moment, over connections and places that all share."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson
import pytest

from chatbot.providers import fallback
from chatbot.providers.base import CallLimits, Timeouts
from chatbot.providers.events import AttemptFailed, TextDelta
from chatbot.providers.fallback import Attempt, Route, Step, WeightedTarget
from chatbot.providers.gate import SharedGate
from chatbot.providers.http import HttpProvider
from chatbot.providers.messages import ChatMessage, CompletionRequest
from chatbot.providers.openai import ChatWire, OpenAISettings
from chatbot.providers.transport import Transport
from tests import scale
from tests.providers.asking import target_of
from tests.providers.memory import Memory
from tests.providers.wires import SAMPLES

ROUNDS = scale.count(400, 20_000)
AT_ONCE = 50
CONNECTIONS = 24  # fewer than are wanted: some are given up while they wait for one
PIECES = 12
SAYS = SAMPLES["openai"]


class Echo:
    """A service whose answer is the number of the question, PIECES times. `open` streams run now; none
    begins before `wanted` do."""

    def __init__(self) -> None:
        self.open = 0
        self.wanted = 0
        self.met = asyncio.Event()
        self.chance = random.Random(11)
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                number = orjson.loads(await reader.readexactly(size))["messages"][-1]["content"]
                await self._answer(writer, number)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the test is over: asyncio reports a cancelled handler as an error
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, number: str) -> None:
        self.open += 1
        try:
            if self.open >= self.wanted:
                self.met.set()
            await self.met.wait()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for _ in range(PIECES):
                await asyncio.sleep(self.chance.random() * 0.004)
                self._chunk(writer, SAYS.delta(f"<{number}>"))
                await writer.drain()
            self._chunk(writer, SAYS.end)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.open -= 1

    @staticmethod
    def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    service = Echo()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    yield service
    server.close()


class Crowd:
    """Asks `echo` through one pool and one gate, as the turns of one process do."""

    def __init__(self, echo: Echo, *, parallel: int | None) -> None:
        self.memory = Memory()
        self.gate = SharedGate(self.memory)
        self.provider = HttpProvider(
            "echo",
            ChatWire(OpenAISettings()),
            Transport("echo", connections=CONNECTIONS),
            base_url=f"http://127.0.0.1:{echo.port}/v1",
            pace_s=0.002,
        )
        limits = Timeouts(connect_s=20, first_s=30, idle_s=20, total_s=60)
        target = target_of(self.provider, service_limits=CallLimits(parallel=parallel), timeouts=limits)
        self.route = Route(
            name="r", steps=(Step((WeightedTarget(target),)),), gate=self.gate.patient(30), total_s=60
        )
        self.heard: dict[int, str] = {}
        self.faults: list[str] = []

    async def ask(self, number: int, *, leave_after: int | None = None) -> None:
        """Ask; with `leave_after`, stop reading after so many deltas."""

        async def compose(attempt: Attempt) -> CompletionRequest:
            return CompletionRequest(system="", messages=(ChatMessage("user", str(number)),))

        self.heard[number] = ""
        async with aclosing(fallback.stream(self.route, compose)) as events:
            async for event in events:
                match event:
                    case TextDelta():
                        self.heard[number] += event.text
                        leave_after = None if leave_after is None else leave_after - 1
                        if leave_after == 0:
                            return
                    case AttemptFailed():
                        self.faults.append(str(event.error))

    async def ask_and_leave(self, number: int, chance: random.Random) -> None:
        """Ask, and be gone at some moment, in one of the ways there are."""
        way = chance.random()
        if way < 0.3:
            await self.ask(number, leave_after=chance.randrange(1, 6))
            return
        asking = asyncio.create_task(self.ask(number))
        if way < 0.5:
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
        elif way < 0.9:
            await asyncio.sleep(chance.random() * 0.06)
        else:
            await asyncio.wait([asking])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("parallel", [None, 20], ids=["shared connections", "shared places"])
async def test_no_text_goes_astray_and_no_place_is_lost(echo: Echo, parallel: int | None) -> None:
    crowd, chance = Crowd(echo, parallel=parallel), random.Random(7)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            await crowd.ask_and_leave(number, chance)

    await asyncio.gather(*(one(number) for number in range(ROUNDS)))

    assert crowd.faults == []
    strangers = [
        number for number, text in crowd.heard.items() if not (f"<{number}>" * PIECES).startswith(text)
    ]
    assert strangers == []
    assert sum(text == f"<{number}>" * PIECES for number, text in crowd.heard.items()) >= ROUNDS / 30
    assert sum(bool(text) for text in crowd.heard.values()) >= ROUNDS / 3

    # All connections, and all places, can be had again at once.
    at_once = parallel or CONNECTIONS
    while echo.open:
        await asyncio.sleep(0.01)
    echo.wanted = at_once
    echo.met.clear()
    async with asyncio.timeout(30):
        await asyncio.gather(*(crowd.ask(ROUNDS + number) for number in range(at_once)))
    for number in range(ROUNDS, ROUNDS + at_once):
        assert crowd.heard[number] == f"<{number}>" * PIECES
    assert HttpProvider.streams == 0
    assert not any(bucket.held for bucket in crowd.memory.allowances._buckets.values())
    await crowd.gate.aclose()
    await crowd.provider.aclose()
