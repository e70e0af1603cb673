"""What every call to a target passes: its breaker, our limits, and somebody who keeps count."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from chatbot.providers.base import Target
from chatbot.providers.breaker import RESTING, Breaker, Breakers, Course
from chatbot.providers.errors import ProviderError
from chatbot.providers.health import Health
from chatbot.providers.limits import RENEW_S, WAIT_S, Grant, Limits, with_key
from chatbot.providers.messages import NOTHING, UNKNOWN_USAGE, CompletionRequest, Usage
from chatbot.providers.shared import Alone, Shared

TICK_S = 1.0  # between two looks at what the other processes know
IDLE_S = 60.0  # without a call for so long, nobody looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call went. `error` is None for a whole answer, and for one that nobody waited for any more
    (`is_cancelled`). A refused one never left this process: see its error's `kind` and `code`."""

    error: ProviderError | None
    is_cancelled: bool
    is_refused: bool
    first_delta_s: float | None
    total_s: float
    usage: Usage

    @property
    def is_resting(self) -> bool:
        """Whether it was refused because its target rests."""
        return self.is_refused and self.error is not None and self.error.code == RESTING


class Witness(Protocol):
    """Hears of every call. Called in the middle of it: it must not wait, and not raise."""

    def ended(self, target: Target, outcome: Outcome) -> None:
        """A call has ended."""
        ...

    def turned(self, target: Target, health: Health, *, ours: bool) -> None:
        """A target was sent to rest, or rests no more; `ours`: as this process found out."""
        ...


class Nobody:
    """A witness who forgets."""

    def ended(self, target: Target, outcome: Outcome) -> None:
        """Nobody counts."""

    def turned(self, target: Target, health: Health, *, ours: bool) -> None:
        """Nobody tells."""


class SharedGate:
    """The gate of one process and one event loop, to all its targets.

    While calls are made, a task looks every TICK_S at what the other processes found out.
    """

    def __init__(
        self,
        shared: Shared | None = None,
        witness: Witness | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        shared = shared or Alone()
        self.witness = witness or Nobody()
        self.breakers = Breakers(shared, told=self._told, clock=clock)
        self.limits = Limits(shared, clock=clock)
        self._looking: asyncio.Task[None] | None = None
        self._called_at = 0.0
        self._running = 0

    def admit(self, target: Target, request: CompletionRequest, *, within_s: float) -> "_Call":
        """Let the call through when the target is well and our limits allow it."""
        return _Call(self, target, request, within_s)

    @property
    def insisting(self) -> "Entrance":
        """For operators, who want to hear it from the service itself, also while it rests."""
        return Entrance(self, insists=True)

    def patient(self, wait_s: float) -> "Entrance":
        """For those who have time, and wait so long for our own limits."""
        return Entrance(self, wait_s=wait_s)

    async def enter(self, call: "_Call") -> None:
        """Raises TryLater."""
        self._called_at = asyncio.get_running_loop().time()
        breaker = self.breakers.of(call.target)
        if not self.breakers.is_fresh:
            await self.breakers.refresh()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="gate")
        call.breaker = breaker
        call.course = course = await breaker.admit(insist=call.insists)
        call.grant = await self.limits.take(
            call.target,
            call.request,
            within_s=min(call.wait_s, call.within_s),
            still=lambda: breaker.check(course),
        )
        call.target = with_key(call.target, call.grant)
        self._running += 1
        call.is_through = True

    def leave(self, call: "_Call", error: BaseException | None) -> None:
        """Note how a call went. Waits for nothing: it may be in the middle of being cancelled."""
        self._running -= call.is_through
        failure = error if isinstance(error, ProviderError) else None
        usage = call.usage if failure is None else failure.usage
        if call.breaker is not None and call.course is not None:
            if call.is_through:
                call.breaker.ended(call.course, error, first_s=call.target.timeouts.first_s)
            else:
                call.breaker.cancelled(call.course)
        if call.grant is not None:
            in_vain = failure is not None and call.first_at is None and usage.input_tokens is None
            self.limits.settle(call.grant, NOTHING if in_vain else usage)
        now = asyncio.get_running_loop().time()
        self.witness.ended(
            call.target,
            Outcome(
                error=failure,
                is_cancelled=error is not None and failure is None,
                is_refused=not call.is_through,
                first_delta_s=None if call.first_at is None else call.first_at - call.began_at,
                total_s=now - call.began_at,
                usage=usage,
            ),
        )

    async def aclose(self) -> None:
        """Let the others know what is yet to be told, and look no more."""
        for breaker in self.breakers.all:
            await breaker.settled()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _told(self, target: Target, health: Health, ours: bool) -> None:
        self.witness.turned(target, health, ours=ours)

    async def _look(self) -> None:
        """Look at what the others found out, and go on holding our places, while there is need."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                is_idle = loop.time() - self._called_at > IDLE_S and not self._running
                if is_idle and not any(breaker.is_resting for breaker in self.breakers.all):
                    return
                await self.breakers.refresh()
                if loop.time() - renewed_at >= RENEW_S:
                    renewed_at = loop.time()
                    self.limits.renew()
        finally:
            self._looking = None


@dataclass(frozen=True, slots=True)
class Entrance:
    """A way through the gate on other terms; what becomes of the calls counts all the same."""

    gate: SharedGate
    insists: bool = False
    wait_s: float = WAIT_S

    def admit(self, target: Target, request: CompletionRequest, *, within_s: float) -> "_Call":
        """Let the call through."""
        return _Call(self.gate, target, request, within_s, insists=self.insists, wait_s=self.wait_s)


class _Call:
    """One call on its way through the gate: its admission, and the context it runs in."""

    __slots__ = (
        "_gate", "began_at", "breaker", "course", "first_at", "grant", "insists", "is_through",
        "request", "target", "usage", "wait_s", "within_s",
    )  # fmt: skip

    def __init__(
        self,
        gate: SharedGate,
        target: Target,
        request: CompletionRequest,
        within_s: float,
        *,
        insists: bool = False,
        wait_s: float = WAIT_S,
    ) -> None:
        self._gate = gate
        self.target = target
        self.request = request
        self.within_s = within_s
        self.insists = insists
        self.wait_s = wait_s
        self.breaker: Breaker | None = None
        self.course: Course | None = None
        self.grant: Grant | None = None
        self.usage = UNKNOWN_USAGE
        self.is_through = False
        self.began_at = asyncio.get_running_loop().time()
        self.first_at: float | None = None

    def began(self) -> None:
        """The first delta has come."""
        if self.first_at is None and self.breaker is not None and self.course is not None:
            self.first_at = asyncio.get_running_loop().time()
            self.breaker.answered(self.course)

    def finished(self, usage: Usage) -> None:
        """The answer is whole."""
        self.usage = usage

    async def __aenter__(self) -> "_Call":
        try:
            await self._gate.enter(self)
        except BaseException as error:
            self._gate.leave(self, error)
            raise
        self.began_at = asyncio.get_running_loop().time()  # waiting for our own limits is not the service's
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave(self, error)
