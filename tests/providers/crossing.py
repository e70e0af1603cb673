"""Processes in virtual time: each with a gate of its own, over what they share."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from chatbot.providers import fallback
from chatbot.providers.base import Target
from chatbot.providers.errors import ProviderError, RouteExhausted
from chatbot.providers.events import AttemptFailed
from chatbot.providers.fallback import Route, Step, WeightedTarget
from chatbot.providers.gate import Outcome, SharedGate
from chatbot.providers.health import Health
from chatbot.providers.messages import CompletionRequest
from chatbot.providers.shared import Shared
from tests.providers.asking import QUESTION, Heard


@dataclass
class Crowd:
    """Remembers the outcomes of all calls, and every turn of a breaker: (name, rests, ours)."""

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    turns: list[tuple[str, bool, bool]] = field(default_factory=list)

    def ended(self, target: Target, outcome: Outcome) -> None:
        self.outcomes.append((target.name, outcome))

    def turned(self, target: Target, health: Health, *, ours: bool) -> None:
        self.turns.append((target.name, health.resting_since is not None, ours))


class Visitor:
    """Asks a route through the gate of one process, one question after the other."""

    def __init__(self, shared: Shared, *targets: Target, total_s: float = 60.0) -> None:
        self.crowd = Crowd()
        loop = asyncio.get_running_loop()
        self.gate = SharedGate(shared, self.crowd, clock=lambda: 1000.0 + loop.time())
        steps = tuple(Step((WeightedTarget(target),)) for target in targets)
        self.route = Route(name="support", steps=steps, total_s=total_s, gate=self.gate)
        self.errors: list[tuple[str, str | None]] = []

    async def asks(self, request: CompletionRequest = QUESTION) -> Heard:
        """Ask; the failures are kept as (kind, code)."""
        heard = Heard()

        async def compose(attempt: Any) -> CompletionRequest:
            return request

        async with aclosing(fallback.stream(self.route, compose)) as events:
            try:
                async for event in events:
                    heard.events.append(event)
                    if isinstance(event, AttemptFailed):
                        self.errors.append((event.error.kind, event.error.code))
            except ProviderError as error:
                heard.error = error
                self.errors.append((error.kind, error.code))
            except RouteExhausted as end:
                heard.error = end.last
        return heard

    async def leaves(self) -> None:
        await self.gate.aclose()
