"""Try the targets of a route in order until one of them begins to speak."""

import asyncio
import random as _random
import time
from bisect import bisect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from itertools import accumulate

from chatbot.providers import capabilities
from chatbot.providers.base import Admission, Gate, OpenGate, Target
from chatbot.providers.errors import NotUsable, ProviderError, RouteExhausted, TimedOut, TryLater
from chatbot.providers.events import (
    AttemptFailed,
    CompletionFinished,
    ProviderEvent,
    ReasoningDelta,
    RouteEvent,
    TextDelta,
)
from chatbot.providers.messages import CompletionRequest, Parameters
from chatbot.providers.parameters import Limits, clamp, overlay

REQUESTS_A_TARGET = 2  # the first and one retry
BACKOFF_S = 0.5  # full jitter: the retry waits between nothing and this
PATIENCE_S = 5.0  # a service that asks for a longer wait is asked again only after all the others


@dataclass(frozen=True, slots=True)
class WeightedTarget:
    """`weight` is this target's share of the step's first attempts, relative to its neighbours'."""

    target: Target
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """Targets that may stand in for each other: one is drawn by weight, the others follow if it fails."""

    targets: tuple[WeightedTarget, ...]

    def draw(self, random: Callable[[], float]) -> list[Target]:
        """The step's targets in the order to ask them. `random` gives numbers in [0, 1)."""
        left, order = list(self.targets), []
        while left:
            sums = list(accumulate(one.weight for one in left))
            index = min(bisect(sums, random() * sums[-1]), len(left) - 1)
            order.append(left.pop(index).target)
        return order


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A row of `routes` in config.yaml. `total_s` bounds all attempts up to the first visible delta;
    every call passes `gate`."""

    name: str
    steps: tuple[Step, ...]
    total_s: float = 60.0
    parameters: Parameters = field(default_factory=Parameters)
    limits: Limits = field(default_factory=Limits)
    gate: Gate = field(default_factory=OpenGate)

    def parameters_for(self, target: Target, asked: Parameters) -> Parameters:
        """What `target` is told: `asked` over the route's over the model row's own, within the
        route's limits and the target's longest answer. Giving the result in again changes nothing."""
        merged = overlay(overlay(target.parameters, self.parameters), asked)
        return clamp(merged, self.limits, max_output_tokens=target.max_output_tokens)

    def notes(self, asked: Parameters) -> list[str]:
        """What becomes of parameters that a model of this route does not take, a sentence for each model."""
        said = []
        for target in (weighted.target for step in self.steps for weighted in step.targets):
            told = self.parameters_for(target, asked)
            if missed := capabilities.notes(told, target.provider.capabilities(target, told)):
                said.append(f"Route `{self.name}`, model `{target.name}`: {', '.join(missed)}.")
        return said


@dataclass(frozen=True, slots=True)
class _Turn:
    """When a target is to be asked: `request` counts from 1, `at` is 0 for at once."""

    target: Target
    request: int = 1
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to come. `number` counts from 1 over the whole route."""

    number: int
    target: Target


Compose = Callable[[Attempt], Awaitable[CompletionRequest]]


async def stream(
    route: Route,
    compose: Compose,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[], float] = _random.random,
) -> AsyncGenerator[RouteEvent, None]:
    """Yield the events of the first target that speaks, with an AttemptFailed for each that did not.

    `compose` is awaited right before every request; its parameters are merged by
    `Route.parameters_for`. A ProviderError raised by it counts as that target's failure, anything
    else ends the route. The route's gate is entered after it. Until the first TextDelta a failure leads to
    the next attempt; after it, the ProviderError is raised as it is. ReasoningDelta is not visible:
    it may be followed by an AttemptFailed. A service that asks for a wait is asked again after it: right
    then where it is short, else once all others have been asked, and not at all where it is longer than
    what is left of `route.total_s`. Raises RouteExhausted when nobody answered within that.
    """
    deadline = clock() + route.total_s
    last: ProviderError = NotUsable(
        "not_configured",
        f"Route `{route.name}` has no usable model; set a key for one of its steps in config.yaml.",
    )
    number = 0
    turns = deque(_Turn(target) for step in route.steps for target in step.draw(random))
    while turns:
        turn = turns.popleft()
        target = turn.target
        if turn.request > 1:
            await sleep(max(0.0, turn.at - clock()))
        number += 1
        admitted = visible = False
        try:
            asked = await compose(Attempt(number, target))
            request = replace(asked, parameters=route.parameters_for(target, asked.parameters))
            async with AsyncExitStack() as call:
                admission = await call.enter_async_context(
                    route.gate.admit(target, request, within_s=deadline - clock())
                )
                admitted = True
                answer = _in_time(admission, request, deadline=deadline, clock=clock)
                async for event in await call.enter_async_context(aclosing(answer)):
                    visible = visible or isinstance(event, TextDelta)
                    yield event
                return
        except ProviderError as error:
            if visible:
                raise
            last = error
        yield AttemptFailed(number, last)
        if last.kind == "content_filter":  # refused for what it says: not shopped around
            raise RouteExhausted(route.name, last) from last
        if clock() >= deadline:
            break
        wait_s = random() * BACKOFF_S if last.retry_after_s is None else last.retry_after_s
        again = _Turn(target, turn.request + 1, clock() + wait_s)
        if not admitted or not last.again or again.request > REQUESTS_A_TARGET or again.at >= deadline:
            continue
        if wait_s <= PATIENCE_S:
            turns.appendleft(again)
        else:  # nobody waits for it while another may be free
            turns = deque(sorted([*turns, again], key=lambda each: each.at))
    raise RouteExhausted(route.name, last) from last


async def _in_time(
    admission: Admission, request: CompletionRequest, *, deadline: float, clock: Callable[[], float]
) -> AsyncGenerator[ProviderEvent, None]:
    """The target's events. Raises TimedOut when `deadline` passes before the first TextDelta, and
    TryLater when the answer turns out to be empty."""
    target = admission.target
    async with aclosing(target.provider.stream(request, target=target)) as events:
        while True:
            try:
                async with asyncio.timeout(deadline - clock()) as limit:
                    event = await anext(events)
            except TimeoutError:
                if not limit.expired():
                    raise
                message = f"`{target.name}` had said nothing when the route's time was over."
                raise TimedOut("route", message) from None
            match event:
                case TextDelta():
                    admission.began()
                    break
                case ReasoningDelta():
                    admission.began()
                case CompletionFinished(finish="stop" | "length" | "error"):
                    message = f"`{target.name}` gave an empty answer (`{event.finish_raw}`)."
                    raise TryLater("bad_response", message, request_id=event.request_id, usage=event.usage)
                case CompletionFinished():
                    admission.finished(event.usage)
                    yield event
                    return
            yield event
        yield event
        async for event in events:
            if isinstance(event, CompletionFinished):
                admission.finished(event.usage)
            yield event
