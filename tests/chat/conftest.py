from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pytest_django import Settings

from chatbot import database
from chatbot.providers.scripted import Scripted
from conversations import assistants
from conversations.models import Assistant
from conversations.runner import Runner
from tests.chat.cast import Tab, process
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _versions_are_new() -> None:
    """Version numbers start anew with each test's database."""
    assistants.version.cache_clear()


@pytest.fixture
def no_limits(settings: Settings) -> None:
    """Let visitors ask as much as they like."""
    settings.LIMIT_FRAMES_PER_10S = 0
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 0
    settings.LIMIT_TURNS_PER_MINUTE_ADDRESS = 0
    settings.LIMIT_PARALLEL_TURNS_VISITOR = 0


Processes = Callable[..., Runner]


@pytest.fixture
async def processes(northwind: Assistant, redis_server: RedisServer) -> AsyncIterator[Processes]:
    """Start web processes' runners over one Redis; all are ended with the test."""
    runners: list[Runner] = []

    def start(provider: Scripted | None = None, **target: Any) -> Runner:
        runner = process(redis_server.url, provider, **target)
        runner.start()
        runners.append(runner)
        return runner

    yield start
    for runner in runners:
        await runner.drain(0)
    database.close()


@pytest.fixture
async def runner(processes: Processes) -> Runner:
    """One web process."""
    return processes()


@pytest.fixture
async def anna(runner: Runner) -> AsyncIterator[Tab]:
    """A visitor's open tab."""
    tab = await Tab(runner).open()
    yield tab
    await tab.close()
