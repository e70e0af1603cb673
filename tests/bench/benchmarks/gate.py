"""What a call costs before and after the service has it: the fallback, breakers, limits and counting."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")

import django

from chatbot.providers import fallback
from chatbot.providers.base import CallLimits, Gate, OpenGate, Target
from chatbot.providers.fallback import Attempt, Route, Step, WeightedTarget
from chatbot.providers.gate import SharedGate
from chatbot.providers.messages import ChatMessage, CompletionRequest
from chatbot.providers.scripted import Scripted, says
from chatbot.sharing import SharedState
from chatbot.state import State
from tests.bench.stage import Stage
from tests.bench.table import Figure
from tests.redis_server import RedisServer

CALLS = 2_000
REQUEST = CompletionRequest(system="Be kind.", messages=(ChatMessage("user", "Where is my parcel? " * 20),))
UNLIMITED, LIMITED = CallLimits(), CallLimits(rpm=1_000_000, tpm=2_000_000_000, parallel=1_000)
TURN_US = 2_200  # the budget of a whole turn
SHARE = 0.05  # of it, for all of this where nothing is limited


def gate(stage: Stage) -> None:
    """Measure a call of one delta: the provider alone, by a route, and through the gate."""
    os.environ["CHATBOT_VAR"] = str(stage.directory)
    django.setup()
    from chatbot.calls import CallLog  # reads settings, and counts into the directory they name

    stage.table.title = "gate: one call of one delta to a provider that answers at once, CPU µs"
    stage.table.columns = ("with gate", "route alone", "provider alone")
    server = RedisServer()
    try:
        bare, route = asyncio.run(measure_bare()), asyncio.run(measure(OpenGate(), UNLIMITED))

        async def through(limits: CallLimits, *, shares: bool) -> float:
            async with gate_over(server.url if shares else "", CallLog()) as one:
                return await measure(one, limits)

        for name, limits, shares in (
            ("breaker and counting, nothing limited", UNLIMITED, True),
            ("with limits, counted in this process", LIMITED, False),
            ("with limits, counted in Redis", LIMITED, True),
        ):
            cost = asyncio.run(through(limits, shares=shares))
            stage.table.figures.append(
                Figure(
                    name=name,
                    product=cost,
                    bare=route,
                    first=bare,
                    at_most=SHARE * TURN_US if limits is UNLIMITED else None,
                    against="added",
                )
            )
    finally:
        server.close()
    stage.table.notes.append(f"the target is {SHARE:.0%} of a turn's {TURN_US / 1000} ms")


@asynccontextmanager
async def gate_over(url: str, witness: object) -> AsyncIterator[SharedGate]:
    """A gate that shares through Redis, or with nobody."""
    state = State(url) if url else None
    one = SharedGate(SharedState(state) if state else None, witness)  # type: ignore[arg-type]
    yield one
    await one.aclose()
    if state is not None:
        await state.aclose()


def provider() -> Scripted:
    """One that answers at once, and remembers nothing."""
    said = says("Soon.")
    made = Scripted(write=lambda request, target: said)
    made.requests = _Forgetful()
    return made


class _Forgetful(list[CompletionRequest]):
    def append(self, request: CompletionRequest) -> None:
        """Forget it."""


def target(limits: CallLimits) -> Target:
    """A target with these limits."""
    return Target(name="bench", provider=provider(), model="m", service_limits=limits)


async def measure(gate: Gate, limits: CallLimits) -> float:
    """CPU microseconds of a call by a route through this gate, the best of five rounds."""
    route = Route(name="bench", steps=(Step((WeightedTarget(target(limits)),)),), gate=gate)

    async def compose(attempt: Attempt) -> CompletionRequest:
        return REQUEST

    async def call() -> None:
        async with aclosing(fallback.stream(route, compose)) as events:
            async for _ in events:
                pass

    return await _best(call)


async def measure_bare() -> float:
    """CPU microseconds of asking the provider itself."""
    asked = target(UNLIMITED)

    async def call() -> None:
        async with aclosing(asked.provider.stream(REQUEST, target=asked)) as events:
            async for _ in events:
                pass

    return await _best(call)


async def _best(call: Callable[[], Awaitable[None]]) -> float:
    await call()
    costs = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(CALLS):
            await call()
        costs.append(time.process_time() - began)
    return min(costs) * 1e6 / CALLS
