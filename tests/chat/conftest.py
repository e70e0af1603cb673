import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import Settings

from chatbot import database
from chatbot.providers import fallback
from chatbot.providers.base import Provider
from conversations import carrier, lifecycle, live, rulebook, runner
from conversations.models import Assistant, PromptVersion
from conversations.sockets import chat
from tests.chat import fate
from tests.chat.cast import Tab
from tests.chat.fate import Process
from tests.chat.puppet import Puppet
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _versions_are_new() -> None:
    """Version numbers, and those of rules, start anew with each test's database."""
    PromptVersion.forget()
    rulebook.forget()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little time pass between the beats of a process; how long one counts as alive stays."""
    monkeypatch.setattr(lifecycle, "BEAT_S", 0.1)
    monkeypatch.setattr(runner, "REAP_S", 0.1)
    monkeypatch.setattr(runner, "POLL_S", 0.1)
    monkeypatch.setattr(carrier, "QUIET_S", 0.02)
    monkeypatch.setattr(carrier, "SAVE_RETRY_S", 0.02)
    monkeypatch.setattr(live, "FLUSH_S", 0.02)
    monkeypatch.setattr(chat, "_CATCH_UP_S", 0.02)
    monkeypatch.setattr(fallback, "BACKOFF_S", 0.0)


@pytest.fixture
def trouble() -> None:
    """Say that this test makes something go wrong that is logged as an error."""


@pytest.fixture(autouse=True)
def _no_trouble(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test fail for every error that was logged, unless it asks for `trouble`."""
    yield
    if "trouble" not in request.fixturenames:
        errors = [each for each in caplog.get_records("call") if each.levelno >= logging.ERROR]
        assert not errors, [each.getMessage() for each in errors]


@pytest.fixture
def no_limits(settings: Settings) -> None:
    """Let visitors ask as much as they like."""
    settings.LIMIT_FRAMES_PER_10S = 0
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 0
    settings.LIMIT_TURNS_PER_MINUTE_ADDRESS = 0
    settings.LIMIT_PARALLEL_TURNS_VISITOR = 0


@pytest.fixture
def puppet() -> Puppet:
    """The model, in the test's hands."""
    return Puppet()


Processes = Callable[..., Awaitable[Process]]


@pytest.fixture
async def processes(
    northwind: Assistant, redis_server: RedisServer, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Processes]:
    """Start web processes over one Redis and the puppet, or another model; they end with the test."""
    fate.rule(monkeypatch)
    asyncio.get_running_loop().set_exception_handler(fate.handle)
    started: list[Process] = []

    async def start(provider: Provider | None = None, **target: Any) -> Process:
        process = Process(redis_server.url, provider or puppet, **target)
        await process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        if not process.fate.is_dead:
            process.thaw()
            await process.drain(0)
    database.close()
    await sync_to_async(connections.close_all)()  # of the thread in which tests ask the database


@pytest.fixture
async def process(processes: Processes) -> Process:
    """One web process."""
    return await processes()


@pytest.fixture
async def other(processes: Processes) -> Process:
    """Another web process."""
    return await processes()


Tabs = Callable[..., Awaitable[Tab]]


@pytest.fixture
async def tabs(process: Process) -> AsyncIterator[Tabs]:
    """Open tabs, at the first process unless another is given; all are closed with the test."""
    opened: list[Tab] = []

    async def open_tab(at: Process = process, *, address: str = "192.0.2.7", **hello: Any) -> Tab:
        tab = Tab(at, address=address)
        opened.append(tab)
        return await tab.open(**hello)

    yield open_tab
    for tab in opened:
        tab.cut()


@pytest.fixture
async def anna(tabs: Tabs) -> Tab:
    """A visitor's open tab."""
    return await tabs()
