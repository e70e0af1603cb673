"""Whatever happens, in whatever order: each question is answered once, and everybody sees the same."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chatbot import database, state
from conversations import carrier, lifecycle, live, runner
from conversations.models import Assistant
from conversations.sockets import chat
from tests.chat import fate
from tests.chat.puppet import Puppet
from tests.chat.world import House, World
from tests.redis_server import RedisServer
from tests.scale import SCALE, count

OFTEN = ("send", "say", "finish", "wait")
NOW_AND_THEN = ("send_again", "stop", "retry", "refresh", "sync")
SELDOM = ("kill", "drain", "freeze", "thaw", "pass_time", "lose_redis", "find_redis")
NAMES = OFTEN * 3 + NOW_AND_THEN * 2 + SELDOM

# What happens, to which of those there are, and how long until the next.
Action = tuple[str, int, int]
actions = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 11), st.integers(0, 12)), min_size=8, max_size=40
)


class Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


@pytest.fixture
def house(
    northwind: Assistant, no_limits: None, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[asyncio.Runner, House, Errors]]:
    """Two processes in an event loop of their own, for all examples."""
    fate.rule(monkeypatch)
    monkeypatch.setattr(carrier, "QUIET_S", 0.002)
    monkeypatch.setattr(live, "FLUSH_S", 0.004)
    monkeypatch.setattr(live, "FIRST_FLUSH_S", 0.002)
    monkeypatch.setattr(runner, "REAP_S", 0.03)
    monkeypatch.setattr(runner, "POLL_S", 0.05)
    monkeypatch.setattr(runner, "LISTENING_S", 0.02)
    monkeypatch.setattr(state, "_AWAY_S", 0.02)
    monkeypatch.setattr(chat, "_LATE_S", 0.0)
    # Nobody is taken for dead because the machine is busy, and no turn is saved by waiting for that.
    monkeypatch.setattr(lifecycle, "DEAD_AFTER_S", 3600.0)
    errors = Errors()
    logging.getLogger().addHandler(errors)
    made = House(redis_server, Puppet())
    with asyncio.Runner() as loop:
        loop.get_loop().set_exception_handler(fate.handle)
        try:
            for _ in range(2):
                loop.run(made.start())
            yield loop, made, errors
            loop.run(made.close())
        finally:
            loop.run(sync_to_async(connections.close_all)())  # of the thread that this loop's own queries had
            logging.getLogger().removeHandler(errors)
            database.close()


async def _play(house: House, happening: list[Action]) -> None:
    world = World(house)
    await world.open()
    try:
        for name, which, pause in happening:
            await getattr(world, name)(which)
            for _ in range(pause):
                await asyncio.sleep(0 if pause < 7 else 0.0005)
        await world.come_to_rest()
        await world.check()
    finally:
        await world.close()


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # threads that end something do
@settings(
    max_examples=count(150, 10_000),
    deadline=None,
    database=None,
    derandomize=SCALE != "full",
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # what comes of it is also a matter of moments: do not shrink
)
@given(happening=actions)
def test_everything_ends_well(house: tuple[asyncio.Runner, House, Errors], happening: list[Action]) -> None:
    loop, made, errors = house
    errors.found.clear()

    loop.run(_play(made, happening))

    assert errors.found == []
