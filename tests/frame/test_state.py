"""What the processes share through Redis: that it can be let go of at any moment."""

import asyncio
import gc
import itertools

import pytest

from chatbot import state as shared
from chatbot.state import Listener, State
from tests.redis_server import RedisServer

PATIENCE_S = 10.0


async def _nothing(*_: object) -> None:
    """Take no interest in it."""


async def test_listening_ends_at_whatever_moment_it_is_cancelled(redis_server: RedisServer) -> None:
    """redis-py may lose a cancellation while it sends; the process would then never end in order."""
    for ticks in range(60):
        state = State(redis_server.url)
        listener = state.listener(_nothing, _nothing)
        await listener.join("c-1")
        listening = asyncio.create_task(listener.run())
        for _ in range(ticks):
            await asyncio.sleep(0)
        listening.cancel()

        await asyncio.wait([listening], timeout=PATIENCE_S)

        assert listening.cancelled(), ticks
        await listener.aclose()
        await state.aclose()


async def test_reading_ends_at_whatever_moment_it_is_cancelled(redis_server: RedisServer) -> None:
    for ticks in range(60):
        state = State(redis_server.url)
        reader = state.reader(_nothing)
        reader.follow("answer:1")
        reading = asyncio.create_task(reader.run())
        for _ in range(ticks):
            await asyncio.sleep(0)
        reading.cancel()

        await asyncio.wait([reading], timeout=PATIENCE_S)

        assert reading.cancelled(), ticks
        await reader.aclose()
        await state.aclose()


async def test_connections_that_break_while_channels_are_joined_are_closed(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stays open, the garbage collector finds, and pytest fails."""
    monkeypatch.setattr(shared, "_AWAY_S", 0.002)
    for _ in range(10):
        state = State(redis_server.url)
        listener = state.listener(_nothing, _nothing)
        await listener.join("c-1")
        listening = asyncio.create_task(listener.run())
        joining = [asyncio.create_task(_join(listener, f"c-{number}")) for number in range(3)]
        for _ in range(10):
            await asyncio.sleep(0.003)
            redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
        for each in (*joining, listening):
            each.cancel()
        await asyncio.wait([*joining, listening], timeout=PATIENCE_S)
        await listener.aclose()
        await state.aclose()
        del state, listener, listening, joining

    gc.collect()


async def test_calls_under_way_leave_no_connection_open_behind_the_end(redis_server: RedisServer) -> None:
    for ticks in range(60):
        state = State(redis_server.url)
        calling = asyncio.create_task(state.call("PING"))
        for _ in range(ticks):
            await asyncio.sleep(0)

        await state.aclose()

        assert await calling in (True, b"PONG", None)
        assert await state.call("PING") is None
        del state, calling

    gc.collect()


async def _join(listener: Listener, name: str) -> None:
    for number in itertools.count():
        await listener.join(f"{name}-{number}")
        for _ in range(number % 6):
            await asyncio.sleep(0)
