"""Which processes are there: each says so to Redis every few seconds, under what it does.

A web process is "web"; a worker is each queue it takes from ("after", "long"). Nothing depends on
it but what operators see.
"""

import asyncio
import threading
import time
from collections.abc import Sequence

from django.conf import settings

from chatbot.state import PREFIX, State

TELL_S = 5.0
GONE_S = 20.0


async def tell(state: State, kinds: Sequence[str], name: str) -> None:
    """Say once that `name` is there, as each of `kinds`."""
    now = time.time()
    for kind in kinds:
        await state.call("ZADD", _key(kind), now, name)
        await state.call("ZREMRANGEBYSCORE", _key(kind), "-inf", now - GONE_S)


async def keep_telling(state: State, kinds: Sequence[str], name: str) -> None:
    """Say it until cancelled; for processes with an event loop."""
    while True:
        await tell(state, kinds, name)
        await asyncio.sleep(TELL_S)


def tell_from_a_thread(kinds: Sequence[str], name: str) -> None:
    """Say it from a daemon thread until the process ends; for processes without an event loop."""

    async def telling() -> None:
        await keep_telling(State(settings.REDIS_URL), kinds, name)

    threading.Thread(target=asyncio.run, args=(telling(),), name="presence", daemon=True).start()


async def leave(state: State, kinds: Sequence[str], name: str) -> None:
    """Say that `name` is gone."""
    for kind in kinds:
        await state.call("ZREM", _key(kind), name)


async def count(state: State, kinds: Sequence[str]) -> dict[str, int] | None:
    """Return how many processes of each kind are there; None when Redis is away."""
    counts: dict[str, int] = {}
    for kind in kinds:
        found = await state.call("ZCOUNT", _key(kind), time.time() - GONE_S, "+inf")
        if found is None:
            return None
        counts[kind] = int(found)
    return counts


async def queued(state: State, queues: Sequence[str]) -> dict[str, int] | None:
    """Return how many messages wait in each queue; None when Redis is away.

    Celery keeps a queue as a list under its own name.
    """
    lengths: dict[str, int] = {}
    for queue in queues:
        found = await state.call("LLEN", queue)
        if found is None:
            return None
        lengths[queue] = int(found)
    return lengths


def _key(kind: str) -> str:
    return f"{PREFIX}here:{kind}"
