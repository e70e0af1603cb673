"""Web processes that die as with kill -9, or stand still and come back.

A process is here a Runner with its tasks, in one event loop with the others. What it does to the
outside passes through `chatbot.database` and its State; both ask its fate first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar

import pytest
from django.utils import timezone

from chatbot import database
from chatbot.providers.base import Provider
from chatbot.state import State, Then
from conversations import lifecycle
from conversations.models import Turn
from conversations.runner import Runner
from conversations.sockets.chat import ChatConsumer
from tests.chat.routes import FixedRoutes

P = ParamSpec("P")
T = TypeVar("T")


class Killed(BaseException):
    """Unwinds the tasks of a dead process, past every `except Exception`."""


class Fate:
    """What becomes of one process."""

    def __init__(self) -> None:
        self.is_dead = False
        self.runs = asyncio.Event()
        self.runs.set()

    async def allows(self) -> None:
        """Wait while the process stands still; raise Killed when it is dead."""
        await self.runs.wait()
        if self.is_dead:
            raise Killed


_fate: ContextVar[Fate | None] = ContextVar("fate", default=None)


def rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every use of the database ask the fate of the process it happens in."""
    carry_out, begin = database.run, database.writing

    async def fated(work: Callable[[], Awaitable[T]]) -> T:
        fate = _fate.get()
        if fate is not None:
            await fate.allows()
        result = await work()
        if fate is not None:
            await fate.allows()
        return result

    async def run(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await fated(partial(carry_out, function, *args, **kwargs))

    def writing(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return asyncio.ensure_future(fated(partial(begin, function, *args, **kwargs)))

    monkeypatch.setattr(database, "run", run)
    monkeypatch.setattr(database, "writing", writing)


def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let the tasks of dead processes go without a word."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


class _FatedState(State):
    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self._fate = fate
        self._held: list[tuple[tuple[str | bytes | float, ...], Then | None]] = []

    async def call(self, *command: str | bytes | float) -> Any:
        await self._fate.runs.wait()
        return None if self._fate.is_dead else await super().call(*command)

    def post(self, *command: str | bytes | float, then: Then | None = None) -> None:
        if self._fate.is_dead:
            return
        if self._fate.runs.is_set():
            super().post(*command, then=then)
        else:
            self._held.append((command, then))

    def release(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, []
        for command, then in held:
            super().post(*command, then=then)


class Process(Runner):
    """A web process for visitors' tabs."""

    def __init__(self, redis_url: str, provider: Provider, **target: Any) -> None:
        self.fate = Fate()
        self._state = _FatedState(redis_url, self.fate)
        super().__init__(self._state, FixedRoutes(provider, **target))

    async def start(self) -> None:
        """Take up the duties."""
        context = copy_context()
        context.run(_fate.set, self.fate)
        await asyncio.create_task(super().start(), context=context)

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket, as an ASGI application."""
        _fate.set(self.fate)
        await ChatConsumer.as_asgi(carrier=self)(scope, receive, send)

    async def kill(self) -> None:
        """End it as kill -9 does: from now on it writes, sends and says nothing."""
        self.fate.is_dead = True
        self.fate.runs.set()
        for carrier in self._running.values():
            for task in (carrier._asking, carrier.task):
                if task is not None:
                    task.cancel()
        await self.stop()

    async def is_missed(self) -> None:
        """Let so much time have passed that the others take it for dead."""
        long_ago = timezone.now() - timedelta(seconds=2 * lifecycle.DEAD_AFTER_S)
        await Turn.objects.filter(process=self.process, status="running").aupdate(beat_at=long_ago)

    def freeze(self) -> None:
        """Let it stand still."""
        self.fate.runs.clear()

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        self.fate.runs.set()
        self._state.release()
