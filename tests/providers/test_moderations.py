"""OpenAI's moderation wire: what is asked, what comes back, what may go wrong."""

from typing import Any

import orjson
import pytest

from chatbot.providers import moderations
from chatbot.providers.base import Timeouts
from chatbot.providers.errors import ProviderError
from chatbot.providers.keys import Secret
from chatbot.providers.moderations import Judgement, Moderator
from chatbot.providers.openai import OpenAISettings
from chatbot.providers.tokens import ProcessTokens
from tests.providers.loopback import Loopback, Reply

HARMLESS = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.01}}
VIOLENT = {
    "flagged": True,
    "categories": {"violence": True, "harassment": False},
    "category_scores": {"violence": 0.97, "harassment": 0.2},
}


def moderator(service: Loopback, **timeouts: float) -> Moderator:
    return moderations.build(
        "house",
        OpenAISettings(base_url=service.url, api_key=Secret("s3cret")),
        model="omni-moderation-latest",
        tokens=ProcessTokens(),
        timeouts=Timeouts(**timeouts),
    )


def said(*results: Any) -> Reply:
    return Reply(
        pieces=[orjson.dumps({"id": "modr-1", "results": list(results)})],
        headers={"content-type": "application/json", "x-request-id": "req-7"},
    )


async def test_a_text_is_judged(service: Loopback) -> None:
    service.answers(said(VIOLENT), said(HARMLESS))
    asked = moderator(service)

    assert await asked.judge("I will hit you") == Judgement(True, {"violence": 0.97}, "req-7")
    assert await asked.judge("Hello") == Judgement(False, {}, "req-7")
    await asked.aclose()

    request = service.requests[0]
    assert (request.method, request.path) == ("POST", "/moderations")
    assert request.headers["authorization"] == "Bearer s3cret"
    assert orjson.loads(request.body) == {"model": "omni-moderation-latest", "input": "I will hit you"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=401, pieces=[b'{"error": {"code": "invalid_api_key", "message": "No."}}']), "auth"),
        (Reply(status=429, pieces=[b'{"error": {"code": "rate_limit_exceeded"}}']), "rate_limit"),
        (Reply(status=503, pieces=[b"<html>"]), "overloaded"),
        (Reply(pieces=[b"<html>"]), "bad_response"),
        (Reply(pieces=[b'{"results": []}']), "bad_response"),
        (Reply(pieces=[b'{"results": [{"flagged": true}]}']), "bad_response"),
        (Reply(before_s=None), "timeout"),
    ],
)
async def test_what_goes_wrong_is_classed(service: Loopback, reply: Reply, kind: str) -> None:
    service.answers(reply)
    asked = moderator(service, first_s=0.3)

    with pytest.raises(ProviderError) as caught:
        await asked.judge("Hello")

    assert caught.value.kind == kind
    assert "s3cret" not in str(caught.value)
    await asked.aclose()
