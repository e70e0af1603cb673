"""JSON from services that cannot promise it: asked for in words, checked, corrected once, or refused."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from chatbot.providers import structured
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import TryLater
from chatbot.providers.events import CompletionFinished, ProviderEvent, ReasoningDelta, TextDelta
from chatbot.providers.messages import CompletionRequest, JsonSchema, Parameters, Usage
from chatbot.providers.scripted import Script, Scripted
from tests.providers.asking import QUESTION, Heard, ask, hear, provider_at, target_of
from tests.providers.loopback import Loopback
from tests.providers.wires import SAMPLES, reply

PRICE = JsonSchema(
    "price",
    {
        "type": "object",
        "properties": {"cents": {"type": "integer", "minimum": 0}},
        "required": ["cents"],
        "additionalProperties": False,
    },
)
NOTHING = Capabilities()


def said(text: str, *, finish: Any = "stop", usage: Usage | None = None) -> Script:
    used = usage or Usage(input_tokens=10, output_tokens=2, kind="exact")
    return [TextDelta(text), CompletionFinished(finish=finish, finish_raw=finish, usage=used)]


async def answers(
    *scripts: Script, json: Any = PRICE, can: Capabilities = NOTHING
) -> tuple[Heard, list[CompletionRequest]]:
    """What comes of these answers, and what was asked."""
    service = Scripted(*scripts)

    def once_more(request: CompletionRequest) -> AsyncGenerator[ProviderEvent, None]:
        return service.stream(request, target=target_of(service))

    wish = replace(QUESTION, parameters=Parameters(json=json, temperature=0.5))
    return await hear(structured.stream(once_more, wish, can)), service.requests


@pytest.mark.parametrize(
    "text",
    [
        '{"cents":5}',
        ' \n{"cents":5}\n',
        '```json\n{"cents":5}\n```',
        'Here you are:\n\n```\n{"cents":5}\n```\nAnything else?',
        'The price is {"cents":5}, as you see.',
    ],
)
async def test_json_is_found_and_comes_as_one_delta(text: str) -> None:
    heard, asked = await answers(said(text))

    assert heard.events[:-1] == [TextDelta('{"cents":5}')]
    assert heard.finished.usage == Usage(input_tokens=10, output_tokens=2, kind="exact")
    [request] = asked
    assert request.system.startswith(QUESTION.system)
    assert orjson.dumps(PRICE.schema).decode() in request.system
    assert request.parameters == Parameters(temperature=0.5)
    assert request.messages == QUESTION.messages


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ("Five cents.", "it is not JSON"),
        ('{"cents":5', "it is not JSON"),
        ('{"cents":NaN}', "it is not JSON"),
        ('{"cents":-5}', "at $.cents"),
        ('{"price":5}', "'cents' is a required property"),
        ("[]", "is not of type 'object'"),
        ("", "it is not JSON"),
    ],
)
async def test_a_wrong_answer_is_corrected_once(wrong: str, fault: str) -> None:
    heard, asked = await answers(said(wrong), said('{"cents":5}'))

    assert heard.text == '{"cents":5}'
    assert heard.finished.usage == Usage(input_tokens=20, output_tokens=4, kind="exact")
    correction = asked[1].messages[len(QUESTION.messages) :]
    assert [message.text for message in correction[:-1]] == ([wrong] if wrong else [])
    assert correction[-1].role == "user"
    assert fault in correction[-1].text
    assert len(asked) == 2


async def test_a_second_wrong_answer_is_nobodys_answer() -> None:
    heard, asked = await answers(said("no"), said("never"), said('{"cents":5}'))

    assert heard.text == ""
    assert isinstance(heard.error, TryLater)
    assert (heard.error.kind, heard.error.again) == ("bad_response", False)
    assert heard.error.usage == Usage(input_tokens=20, output_tokens=4, kind="exact")
    assert "never" not in heard.error.message  # a visitor's words may be in it
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("text", "is_right"), [('{"a":1}', True), ("{}", True), ("[1]", False), ('"a"', False), ("3", False)]
)
async def test_any_object_will_do_where_no_schema_is_given(text: str, is_right: bool) -> None:
    heard, asked = await answers(said(text), said("{}"), json="object")

    assert len(asked) == (1 if is_right else 2)
    assert heard.text == (text if is_right else "{}")
    assert "one JSON object" in asked[0].system


async def test_a_services_own_json_mode_helps_with_a_schema_of_an_object() -> None:
    listed = JsonSchema("list", {"type": "array"})

    _, with_mode = await answers(said('{"cents":5}'), can=Capabilities(json_object=True))
    _, for_a_list = await answers(said("[]"), json=listed, can=Capabilities(json_object=True))

    assert with_mode[0].parameters.json == "object"
    assert for_a_list[0].parameters.json is None


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_that_did_not_come_to_its_end_says_so_itself(finish: str) -> None:
    heard, asked = await answers(said('{"cents":', finish=finish))

    assert (heard.text, heard.finished.finish, len(asked)) == ('{"cents":', finish, 1)


async def test_thinking_is_passed_on_at_once() -> None:
    heard, _ = await answers([ReasoningDelta("hm"), *said('{"cents":5}')])

    assert heard.events[:2] == [ReasoningDelta("hm"), TextDelta('{"cents":5}')]


async def test_what_a_failed_correction_cost_is_not_forgotten() -> None:
    heard, _ = await answers(said("no"), [TryLater("server", "no")])

    assert heard.error is not None
    assert heard.error.kind == "server"
    assert heard.error.usage == Usage(input_tokens=10, output_tokens=2, kind="estimated")


async def test_a_schema_that_is_none_is_refused_before_anything_is_asked() -> None:
    heard, asked = await answers(said("{}"), json=JsonSchema("odd", {"type": "thing"}))

    assert heard.error is not None
    assert heard.error.kind == "invalid_request"
    assert asked == []


@pytest.mark.filterwarnings("ignore")  # jsonschema's own, which would end the fetching too
async def test_nothing_is_fetched_for_a_schema(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')

    heard, _ = await answers(
        said("{}"), json=JsonSchema("far", {"$ref": (tmp_path / "schema.json").as_uri()})
    )

    assert heard.text == ""
    assert heard.error is not None
    assert heard.error.kind == "invalid_request"


async def test_a_bottomless_answer_is_wrong_and_not_fatal() -> None:
    deep = JsonSchema("deep", {"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "null"}]})

    heard, asked = await answers(said("[" * 900 + "]" * 900), said("null"), json=deep)

    assert (heard.text, len(asked)) == ("null", 2)


async def test_whoever_stops_listening_ends_the_request() -> None:
    service = Scripted(said("no"))

    def once_more(request: CompletionRequest) -> AsyncGenerator[ProviderEvent, None]:
        return service.stream(request, target=target_of(service))

    wish = replace(QUESTION, parameters=Parameters(json="object"))
    async with aclosing(structured.stream(once_more, wish, NOTHING)):
        pass

    assert service.open == 0


async def test_a_service_without_schemas_answers_by_schema_all_the_same(service: Loopback) -> None:
    sample = SAMPLES["anthropic"]
    service.answers(
        reply(sample, sample.delta("Five."), sample.end),
        reply(sample, sample.delta('{"cents"'), sample.delta(":5}"), sample.end),
    )
    provider = provider_at(service.url, "anthropic", api_version="2023-06-01")

    heard = await ask(provider, replace(QUESTION, parameters=Parameters(json=PRICE)))
    await provider.aclose()

    assert heard.text == '{"cents":5}'
    assert [one["role"] for one in service.requests[1].json["messages"]] == ["user", "assistant", "user"]
    assert "output_config" not in service.requests[0].json
    assert heard.finished.usage.output_tokens == 4
