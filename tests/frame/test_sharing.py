"""What processes share about model services, in a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatbot.providers import health
from chatbot.providers.allowances import Allowances
from chatbot.providers.base import CallLimits
from chatbot.providers.errors import TimedOut, TryLater
from chatbot.providers.gate import SharedGate
from chatbot.providers.scripted import Scripted, Wait, says
from chatbot.providers.shared import LEASE_S, Ask
from chatbot.sharing import SharedState
from chatbot.state import State
from tests.providers.asking import QUESTION, target_of
from tests.redis_server import RedisServer

States = Callable[[], SharedState]


@pytest.fixture
async def states(redis_server: RedisServer) -> AsyncIterator[States]:
    """As many processes' views as one wants."""
    opened: list[State] = []

    def view() -> SharedState:
        opened.append(State(redis_server.url))
        return SharedState(opened[-1])

    yield view
    for state in opened:
        await state.aclose()


async def settled(shared: SharedState, asks: list[Ask], holder: str, *, at: float, tokens: int) -> None:
    done = asyncio.Event()
    shared.settle(asks, holder, at=at, tokens=tokens, then=done.set)
    await asyncio.wait_for(done.wait(), 5)


async def test_a_value_is_swapped_only_for_the_one_that_was_read(states: States) -> None:
    one, other = states(), states()

    assert await one.read(["a", "b"]) == [None, None]
    assert await one.swap("a", None, b"1", ttl_s=60) is True
    assert await other.swap("a", None, b"2", ttl_s=60) is False
    assert await other.swap("a", b"0", b"2", ttl_s=60) is False
    assert await other.swap("a", b"1", b"\x00\xff", ttl_s=60) is True
    assert await one.read(["b", "a"]) == [None, b"\x00\xff"]
    assert await one.swap("a", b"\x00\xff", None, ttl_s=60) is True
    assert await one.read(["a"]) == [None]


async def test_a_value_is_forgotten_in_time(states: States) -> None:
    shared = states()
    await shared.swap("a", None, b"1", ttl_s=0.05)

    async with asyncio.timeout(5):
        while await shared.read(["a"]) != [None]:
            await asyncio.sleep(0.01)


async def test_redis_counts_as_one_process_does(states: States) -> None:
    shared, local, chance = states(), Allowances(), random.Random(3)
    limits = [CallLimits(rpm=7), CallLimits(tpm=300), CallLimits(parallel=3), CallLimits(rpm=9, parallel=2)]
    now, taken = 1_763_600_000.0, []
    refused = 0
    for number in range(400):
        now += chance.random() * 4
        asks = [
            Ask(f"b{index}", limits[index], chance.choice((0, 20, 70, 400)))
            for index in chance.sample(range(4), chance.choice((1, 2)))
        ]
        wait_s = await shared.take(asks, f"h{number}", now=now)
        assert wait_s == pytest.approx(local.take(asks, f"h{number}", now=now), abs=0.002), number
        refused += wait_s != 0
        if wait_s == 0:
            taken.append((asks, f"h{number}", now))
        if taken and chance.random() < 0.5:
            asks, holder, at = taken.pop(chance.randrange(len(taken)))
            tokens = chance.choice((0, -10, 15))
            await settled(shared, asks, holder, at=at, tokens=tokens)
            local.settle(asks, holder, at=at, tokens=tokens)
        if taken and chance.random() < 0.2:
            held = [(ask.bucket, holder) for asks, holder, _ in taken for ask in asks]
            shared.renew(held, now=now)
            local.renew(held, now=now)
            await asyncio.sleep(0.02)  # it is only posted

    assert 50 < refused < 350


async def test_a_place_is_held_until_its_lease_is_over(states: States) -> None:
    one, other = states(), states()
    ask = [Ask("b", CallLimits(parallel=1), 0)]
    assert await one.take(ask, "one", now=1000.0) == 0

    waits = [await other.take(ask, "other", now=now) for now in (1000.1, 1000 + LEASE_S - 0.1)]
    one.renew([("b", "one"), ("b", "nobody")], now=1020.0)
    await asyncio.sleep(0.05)
    waits.append(await other.take(ask, "other", now=1000 + LEASE_S))

    assert all(waits)
    assert await other.take(ask, "other", now=1020 + LEASE_S) == 0


async def test_away_it_says_so_at_once(states: States, redis_server: RedisServer) -> None:
    shared = states()
    redis_server.stop()

    assert await shared.read(["a"]) is None
    assert await shared.swap("a", None, b"1", ttl_s=1) is None
    assert await shared.take([Ask("b", CallLimits(rpm=1), 0)], "h", now=1.0) is None
    await settled(shared, [Ask("b", CallLimits(rpm=1), 0)], "h", at=1.0, tokens=3)


async def test_processes_keep_within_a_limit_together_and_lose_no_place(states: States) -> None:
    running: set[int] = set()
    most = 0

    class Busy(Scripted):
        async def stream(self, request: Any, *, target: Any) -> Any:
            nonlocal most
            running.add(number := len(self.requests) + random.randrange(1 << 30))
            most = max(most, len(running))
            try:
                async for event in super().stream(request, target=target):
                    yield event
            finally:
                running.discard(number)

    service = Busy([Wait(0.02), *says("Hello")])
    target = target_of(service, service_limits=CallLimits(parallel=6))
    gates = [SharedGate(states()) for _ in range(3)]
    chance = random.Random(5)

    async def asks(number: int) -> None:
        async with gates[number % 3].admit(target, QUESTION, within_s=10) as call:
            async for _ in service.stream(QUESTION, target=call.target):
                call.began()

    async def asks_and_leaves(number: int) -> None:
        asking = asyncio.create_task(asks(number))
        await asyncio.sleep(chance.random() * 0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    for _ in range(5):
        await asyncio.gather(*(asks_and_leaves(number) for number in range(40)))
    await asyncio.gather(*(asks(number) for number in range(30)))
    for gate in gates:
        await gate.aclose()

    assert most == 6
    assert not running


async def test_what_one_process_found_out_the_others_know_within_a_second_or_so(states: States) -> None:
    service = Scripted([TimedOut("first", "It hangs.")], says("Well."))
    target = target_of(service)
    one, other = SharedGate(states()), SharedGate(states())

    async def call(gate: SharedGate) -> None:
        async with gate.admit(target, QUESTION, within_s=10) as call:
            async for _ in service.stream(QUESTION, target=call.target):
                call.began()

    async with other.admit(target, QUESTION, within_s=10) as idle:
        idle.began()
    await asyncio.sleep(0.01)
    with pytest.raises(TimedOut):
        await call(one)
    async with asyncio.timeout(5):
        while not other.breakers.all[0].is_resting:
            await asyncio.sleep(0.01)
    with pytest.raises(TryLater, match="rests after failures"):
        await call(other)

    kept = health.load(await stored(states(), other.breakers.all[0].key))
    assert kept.resting_since is not None
    assert kept.kind == "timeout"
    for gate in (one, other):
        await gate.aclose()


async def stored(shared: SharedState, key: str) -> bytes | None:
    found = await shared.read([key])
    return found[0] if found else None


async def test_failures_of_many_processes_add_up_whoever_writes_first(states: States) -> None:
    target = target_of(Scripted(says("x")))
    gates = [SharedGate(states()) for _ in range(3)]

    async def fail(gate: SharedGate) -> None:
        with pytest.raises(TryLater):
            async with gate.admit(target, QUESTION, within_s=10):
                raise TryLater("server", "No.")

    for _ in range(3):
        await asyncio.gather(*(fail(gate) for gate in gates))
    for gate in gates:
        await gate.aclose()

    known = health.load(await stored(states(), gates[0].breakers.all[0].key))
    assert (known.run, known.resting_since) == (9, None)
