"""A service's own moderation: OpenAI's `POST /moderations`, which compatible services speak too.

    {"model": "omni-moderation-latest", "input": "…"}
    -> {"id": "modr-…", "results": [{"flagged": true, "categories": {"violence": true, …},
                                     "category_scores": {"violence": 0.97, …}}]}

See platform.openai.com/docs/api-reference/moderations.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chatbot.providers import openai_errors
from chatbot.providers.base import ServiceSettings, Timeouts
from chatbot.providers.bodies import STRANGE, parse
from chatbot.providers.carrier import Carrier
from chatbot.providers.errors import TimedOut, TryLater
from chatbot.providers.openai import ChatWire, OpenAISettings, carrier_to
from chatbot.providers.tokens import TokenStore

OK = 200
BODY_BYTES = 1 << 20
TEXT_CHARS = 100_000  # of one text: more is cut off, as the services would refuse it


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a service thinks of a text: `categories` it put it in, each with its score from 0 to 1."""

    is_flagged: bool
    categories: Mapping[str, float]
    request_id: str | None = None


class Moderator:
    """Asks one service to judge texts."""

    def __init__(self, carrier: Carrier, *, base_url: str, model: str, timeouts: Timeouts) -> None:
        self._carrier = carrier
        self._url = f"{base_url}/moderations"
        self._model = model
        self._timeouts = timeouts

    async def judge(self, text: str) -> Judgement:
        """Return what the service thinks. Raises ProviderError."""
        body = orjson.dumps({"model": self._model, "input": text[:TEXT_CHARS]})
        try:
            async with asyncio.timeout(self._timeouts.first_s):
                answer = await self._carrier.post(
                    self._url, body, headers={}, connect_s=self._timeouts.connect_s
                )
                try:
                    data = await answer.body(at_most=BODY_BYTES)
                finally:
                    answer.close()
        except TimeoutError as error:
            raise TimedOut("first", f"No judgement came in {self._timeouts.first_s:g} s.") from error
        if answer.status != OK:
            raise openai_errors.failure(answer.status, data)
        return _judgement(parse(data), answer.headers.get("x-request-id"))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._carrier.aclose()


def _judgement(answer: Mapping[str, Any], request_id: str | None) -> Judgement:
    openai_errors.raise_reported(answer)
    try:
        [result] = answer["results"]
        scores = result.get("category_scores") or {}
        named = {
            str(name): float(scores.get(name, 1.0))
            for name, hit in result["categories"].items()
            if hit is True
        }
        return Judgement(result["flagged"] is True, named, request_id)
    except STRANGE as error:
        raise TryLater("bad_response", "The service sent a judgement of another shape.") from error


def build(
    name: str, settings: ServiceSettings, *, model: str, tokens: TokenStore, timeouts: Timeouts
) -> Moderator:
    """Make the moderator of a service of kind `openai`. Opens no connection yet."""
    assert isinstance(settings, OpenAISettings)
    carrier, _ = carrier_to(name, settings, failure=ChatWire(settings).failure, tokens=tokens)
    return Moderator(carrier, base_url=settings.base_url, model=model, timeouts=timeouts)
