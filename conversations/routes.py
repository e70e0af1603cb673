"""The routes of this process: config.yaml, built once for its event loop."""

import os
from dataclasses import replace

from django.conf import settings

from chatbot import config
from chatbot.calls import CallLog
from chatbot.providers.base import Target
from chatbot.providers.fallback import Route, Step, WeightedTarget
from chatbot.providers.gate import SharedGate
from chatbot.providers.health import Health
from chatbot.sealed import SealedTokens
from chatbot.sharing import SharedState
from chatbot.state import State


class Routes:
    """Routes by name, with their providers' open connections, and the gate that all calls pass. `said` is
    what they were built from."""

    def __init__(self, said: config.Config, state: State, *, owns_state: bool = False) -> None:
        shared = SharedState(state)
        self.said = said
        self._state = state if owns_state else None
        self._gate = SharedGate(shared, CallLog())
        tokens = SealedTokens(shared, secret=settings.SECRET_KEY)
        self._catalog = said.build(tokens=tokens, gate=self._gate)

    @classmethod
    def config(cls) -> config.Config:
        """Return what config.yaml says. Raises config.ConfigError."""
        return config.load(settings.CONFIG_FILE, os.environ)

    @classmethod
    def load(cls, state: State | None = None) -> "Routes":
        """Build what config.yaml says. Breakers, limits and tokens are shared through `state`; None opens
        one that is closed with the routes. Raises config.ConfigError."""
        return cls(cls.config(), state or State(settings.REDIS_URL), owns_state=state is None)

    def named(self, name: str) -> Route:
        """Return the route of this name, else `default`, else one without a usable model."""
        routes = self._catalog.routes
        return routes.get(name) or routes.get("default") or Route(name=name, steps=())

    def only(self, model: str) -> Route:
        """Return a route to this model row alone, which asks it even while it rests; without a step where
        its provider is absent."""
        target = self.target(model)
        steps = () if target is None else (Step((WeightedTarget(target),)),)
        return Route(name=f"model:{model}", steps=steps, gate=self._gate.insisting)

    def patient(self, name: str, *, wait_s: float) -> Route:
        """Return the route of this name for work that has time: it waits so long for limits of ours."""
        return replace(self.named(name), gate=self._gate.patient(wait_s), total_s=wait_s)

    def target(self, name: str) -> Target | None:
        """Return a usable model row as a target; None where its provider is absent."""
        return self._catalog.targets.get(name)

    async def healths(self) -> dict[str, Health]:
        """Return what the processes know of the health of each usable model, by name."""
        targets = self._catalog.targets
        breakers = {name: self._gate.breakers.of(target) for name, target in targets.items()}
        await self._gate.breakers.refresh()
        return {name: breaker.health for name, breaker in breakers.items()}

    async def aclose(self) -> None:
        """Close all connections."""
        await self._gate.aclose()
        await self._catalog.aclose()
        if self._state is not None:
            await self._state.aclose()
