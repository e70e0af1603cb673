"""How much we allow ourselves at each service: requests and tokens a minute, calls at once.

They are counted by provider and key, for all processes together; a model row with limits of its own
is counted by itself. A call waits for its turn for a bounded time, then the next target is asked.
"""

import asyncio
import hashlib
import itertools
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chatbot.providers.allowances import Allowances
from chatbot.providers.base import CallLimits, Target
from chatbot.providers.errors import TryLater
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.messages import NOTHING, CompletionRequest, Usage
from chatbot.providers.shared import LEASE_S, Ask, Shared

WAIT_S = 5.0  # a visitor waits no longer for his turn at one target while the next may be free
LOOK_S = 0.25  # at most between two looks: another process's end of a call is not told to us
RENEW_S = LEASE_S / 3
BYTES_A_TOKEN = 3  # English has four and Chinese three bytes of UTF-8 a token: corrected by the real usage
OUTPUT_TOKENS = 500  # of an answer without a bound
NO_LIMITS = CallLimits()


@dataclass(slots=True)
class Grant:
    """What one call was allowed. `key` is the one it is counted for, None if there is no choice."""

    asks: Sequence[Ask]
    holder: str
    at: float
    tokens: int
    key: Secret | None
    is_shared: bool = True


class Limits:
    """Takes from the allowances of all processes, or of this one while nothing is shared."""

    def __init__(self, shared: Shared, *, clock: Callable[[], float] = time.time) -> None:
        self._shared = shared
        self._local = Allowances()
        self._clock = clock
        self._turns: dict[str, asyncio.Lock] = {}  # by target: first come, first served
        self._freed = asyncio.Event()
        self._held: dict[str, Grant] = {}
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = itertools.count()

    async def take(
        self, target: Target, request: CompletionRequest, *, within_s: float, still: Callable[[], None]
    ) -> Grant | None:
        """Wait for our turn, for at most `within_s`; None where nothing is limited.

        `still` is called before each look and raises when the call makes no sense any more. Raises
        TryLater (`limited`)."""
        if target.limits == target.service_limits == NO_LIMITS:
            return None
        tokens = tokens_of(target, request)
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        turn = self._turns.setdefault(target.name, asyncio.Lock())
        wait_s = 0.0
        try:
            async with asyncio.timeout_at(until), turn:
                while True:
                    still()
                    self._freed.clear()
                    grant, wait_s = await self._try(target, tokens)
                    if grant is not None:
                        return grant
                    if loop.time() + wait_s >= until:
                        break
                    await self._until_freed(min(wait_s, LOOK_S))
        except TimeoutError:
            pass
        raise TryLater(
            "limited",
            f"`{target.name}` is at a limit of ours ({_words(target)}).",
            retry_after_s=wait_s or None,
            usage=NOTHING,
        )

    def settle(self, grant: Grant, usage: Usage) -> None:
        """Give back what is over. Where it is not known what the call cost, our guess stands."""
        self._held.pop(grant.holder, None)
        tokens = 0
        if usage.input_tokens is not None:
            tokens = usage.input_tokens + (usage.output_tokens or 0) - grant.tokens
        if grant.is_shared:
            self._shared.settle(grant.asks, grant.holder, at=grant.at, tokens=tokens, then=self._freed.set)
        else:
            self._local.settle(grant.asks, grant.holder, at=grant.at, tokens=tokens)
            self._freed.set()

    def renew(self) -> None:
        """Go on holding the places of the calls that still run; to be called every RENEW_S."""
        now = self._clock()
        for is_shared, keeper in ((True, self._shared), (False, self._local)):
            held = [
                (ask.bucket, grant.holder)
                for grant in self._held.values()
                if grant.is_shared == is_shared
                for ask in grant.asks
                if ask.limits.parallel
            ]
            if held:
                keeper.renew(held, now=now)

    async def _try(self, target: Target, tokens: int) -> tuple[Grant | None, float]:
        """Take what the call needs for one of the keys; or say when to try again."""
        waits = []
        for key in _keys(target):
            holder = f"{self._name}-{next(self._numbers)}"
            grant = Grant(asks_of(target, key, tokens), holder, self._clock(), tokens, key)
            wait_s = await self._take(grant)
            if not wait_s:
                return grant, 0.0
            waits.append(wait_s)
        return None, min(waits)

    async def _take(self, grant: Grant) -> float:
        """Take it; what was taken for a call that has been cancelled meanwhile goes back."""
        taking = asyncio.ensure_future(self._shared.take(grant.asks, grant.holder, now=grant.at))
        try:
            wait_s = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(lambda taken: self._give_back(grant, taken.result()))
            raise
        if wait_s is None:
            grant.is_shared = False
            wait_s = self._local.take(grant.asks, grant.holder, now=grant.at)
        if not wait_s and any(ask.limits.parallel for ask in grant.asks):
            self._held[grant.holder] = grant
        return wait_s

    def _give_back(self, grant: Grant, wait_s: float | None) -> None:
        """What was taken for nobody goes back, if it was taken."""
        if wait_s == 0:
            self.settle(grant, NOTHING)

    async def _until_freed(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                await self._freed.wait()
        except TimeoutError:
            pass


def asks_of(target: Target, key: Secret | None, tokens: int) -> list[Ask]:
    """What a call wants of its provider's allowance, and of its row's own."""
    whose = f"{target.provider.name} {target.address} {key.reveal() if key else ''}"
    account = hashlib.blake2s(whose.encode(), digest_size=8).hexdigest()
    asks = []
    for scope, limits in (("", target.service_limits), (f":{target.name}", target.limits)):
        if limits != NO_LIMITS:
            asks.append(Ask(f"{target.provider.name}:{account}{scope}", limits, tokens))
    return asks


def tokens_of(target: Target, request: CompletionRequest) -> int:
    """What a call will cost about, counted as services do: the longest answer it allows included."""
    size = len(request.system.encode()) + sum(len(message.text.encode()) for message in request.messages)
    return size // BYTES_A_TOKEN + (request.parameters.max_output_tokens or OUTPUT_TOKENS)


def with_key(target: Target, grant: Grant | None) -> Target:
    """The target, to be asked with the key that the call was counted for."""
    return target if grant is None or grant.key is None else replace(target, key=grant.key)


def _keys(target: Target) -> Sequence[Secret | None]:
    """The keys that a call may be counted for, the next in turn first."""
    ring: KeyRing | None = getattr(target.provider, "keys", None)
    return ring.in_turn() if ring else (None,)


def _words(target: Target) -> str:
    """Its limits, for operators."""
    said = []
    for limits, whose in ((target.limits, "its own"), (target.service_limits, f"`{target.provider.name}`")):
        named = (("rpm", limits.rpm), ("tpm", limits.tpm), ("parallel", limits.parallel))
        words = [f"{name} {limit}" for name, limit in named if limit]
        if words:
            said.append(f"{', '.join(words)} of {whose}")
    return "; ".join(said)
