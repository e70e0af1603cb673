"""How much one visitor, one address and one socket may ask for."""

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from django.conf import settings

from chatbot.state import State
from conversations.errors import RateLimitedError

FRAMES_WINDOW_S = 10
TURNS_WINDOW_S = 60
_MAX_LOCAL_KEYS = 10_000


class FrameLimit:
    """Counts one socket's frames over the last ten seconds. A limit of 0 is no limit."""

    __slots__ = ("_arrivals", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._arrivals: deque[float] | None = None

    def over(self, now: float) -> float:
        """Count a frame; return how often the limit was reached: up to 1.0 is within."""
        if not self._limit:
            return 0.0
        if self._arrivals is None:
            self._arrivals = deque()
        arrivals = self._arrivals
        while arrivals and arrivals[0] <= now - FRAMES_WINDOW_S:
            arrivals.popleft()
        if len(arrivals) <= self._limit * 3:
            arrivals.append(now)
        return len(arrivals) / self._limit

    def refusal(self, now: float) -> RateLimitedError:
        """Return the error that says when a frame will be within the limit again."""
        arrivals = self._arrivals or deque()
        free = len(arrivals) - self._limit
        wait_s = arrivals[free] + FRAMES_WINDOW_S - now if 0 <= free < len(arrivals) else 0.0
        return RateLimitedError(max(1, math.ceil(wait_s)))


@dataclass(slots=True)
class TurnAllowance:
    """Permission to start one turn; `refusal` says why there is none. Set `is_used` if it was needed.

    `is_local`: it was counted by this process alone.
    """

    keys: Sequence[str] = ()
    is_local: bool = False
    refusal: RateLimitedError | None = None
    is_used: bool = False


class TurnLimits:
    """Turns per minute by visitor and by address, counted over all processes.

    While Redis is away each process counts for itself.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._local: dict[str, deque[float]] = {}

    @asynccontextmanager
    async def turn(self, visitor_id: str, address: str) -> AsyncIterator[TurnAllowance]:
        """Take one turn from both allowances; what was not used at the end goes back."""
        allowance = await self._take(visitor_id, address)
        try:
            yield allowance
        finally:
            if allowance.keys and not allowance.is_used:
                await self._give_back(allowance)

    async def _take(self, visitor_id: str, address: str) -> TurnAllowance:
        limits = {
            f"visitor:{visitor_id}": settings.LIMIT_TURNS_PER_MINUTE_VISITOR,
            f"address:{address}": settings.LIMIT_TURNS_PER_MINUTE_ADDRESS,
        }
        limits = {key: limit for key, limit in limits.items() if limit}
        if not limits:
            return TurnAllowance()
        wait_s = await self._state.take(tuple(limits), tuple(limits.values()), window_s=TURNS_WINDOW_S)
        is_local = wait_s is None
        if wait_s is None:
            wait_s = self._take_locally(limits)
        if wait_s:
            return TurnAllowance(refusal=RateLimitedError(max(1, math.ceil(wait_s))))
        return TurnAllowance(tuple(limits), is_local=is_local)

    async def _give_back(self, allowance: TurnAllowance) -> None:
        if not allowance.is_local:
            await self._state.give_back(allowance.keys)
            return
        for key in allowance.keys:
            if self._local.get(key):
                self._local[key].pop()

    def _take_locally(self, limits: dict[str, int]) -> float:
        now = time.monotonic()
        if len(self._local) > _MAX_LOCAL_KEYS:
            self._local.clear()
        for key, limit in limits.items():
            starts = self._local.setdefault(key, deque())
            while starts and starts[0] <= now - TURNS_WINDOW_S:
                starts.popleft()
            if len(starts) >= limit:
                return starts[0] + TURNS_WINDOW_S - now
        for key in limits:
            self._local[key].append(now)
        return 0.0
