"""Asking a provider in a test, and what came of it."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chatbot.providers import registry
from chatbot.providers.base import Provider, Target, Timeouts
from chatbot.providers.errors import ProviderError
from chatbot.providers.events import CompletionFinished, ReasoningDelta, RouteEvent, TextDelta
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest, Parameters
from chatbot.providers.tokens import ProcessTokens, Token

QUESTION = CompletionRequest(
    system="You are the shop's assistant.", messages=(ChatMessage("user", "Where is my parcel?"),)
)
LIMITS = Timeouts(connect_s=5.0, first_s=10.0, idle_s=10.0, total_s=20.0)
WIRE = Path(__file__).parents[1] / "wire"


def recorded_requests(vendor: str) -> dict[str, Any]:
    """What the vendor's official libraries sent, by the name of the recording."""
    requests = json.loads((WIRE / vendor / "requests.json").read_text("utf-8"))["requests"]
    return {one["id"]: one for one in requests}


def conversation(recorded: Any, **parameters: Any) -> CompletionRequest:
    """The conversation of a recording, as we ask it."""
    return CompletionRequest(
        system=recorded["sys"],
        messages=tuple(ChatMessage(role, text) for role, text in recorded["hist"]),
        parameters=Parameters(
            temperature=recorded["t"],
            top_p=recorded["p"],
            max_output_tokens=recorded["n"],
            frequency_penalty=recorded["f"],
            presence_penalty=recorded["pr"],
            stop=tuple(recorded["stop"]),
            **parameters,
        ),
    )


@dataclass
class Heard:
    """Everything a stream gave: events in order, and the error it ended with, if any."""

    events: list[RouteEvent] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def finished(self) -> CompletionFinished:
        """The last event, which must be the only one of its sort."""
        ends = [event for event in self.events if isinstance(event, CompletionFinished)]
        assert len(ends) == 1
        assert self.events[-1] is ends[0]
        return ends[0]


async def hear(stream: AsyncGenerator[Any, None]) -> Heard:
    """Read a stream to its end."""
    heard = Heard()
    async with aclosing(stream) as events:
        try:
            async for event in events:
                heard.events.append(event)
        except ProviderError as error:
            heard.error = error
    return heard


def target_of(provider: Provider, **fields: Any) -> Target:
    return Target(**{"name": "row", "provider": provider, "model": "m", "timeouts": LIMITS, **fields})


class Endowed(ProcessTokens):
    """Has a token for everybody who has fetched none."""

    async def load(self, name: str) -> Token | None:
        return await super().load(name) or Token(Secret("tok-0"))


def provider_at(url: str, kind: str, **settings: Any) -> Any:
    """A provider of `kind` that speaks to `url`, and has a token where it needs one."""
    shape = registry.KINDS[kind].settings
    settings_there = replace(shape(**settings), base_url=url)
    return registry.build(kind, "service", settings_there, tokens=Endowed())


async def ask(provider: Provider, request: CompletionRequest = QUESTION, **fields: Any) -> Heard:
    """Ask once, as a target with these fields."""
    return await hear(provider.stream(request, target=target_of(provider, **fields)))
