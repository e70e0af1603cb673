"""Cohere: what is sent, and what comes that the contract does not know."""

from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers.cohere import ChatWire, CohereTraits
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, JsonSchema, Parameters, Usage
from tests.providers.asking import QUESTION, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["cohere"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
RECORDED = recorded_requests("cohere")


async def sent(service: Loopback, request: CompletionRequest = QUESTION, **fields: Any) -> Request:
    """What reaches the service, asked as a target with these fields."""
    service.answers(HELLO)
    provider = provider_at(service.url, "cohere", api_key=Secret("co-test"))
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *chunks: object) -> Heard:
    service.answers(Reply(pieces=[sse(*chunks)]))
    provider = provider_at(service.url, "cohere")
    answer = await ask(provider)
    await provider.aclose()
    return answer


def ended(reason: str, **more: object) -> object:
    return {"type": "message-end", "delta": {"finish_reason": reason, **more}}


async def test_a_request_is_what_the_official_library_sends(service: Loopback) -> None:
    recorded = RECORDED["cohere_v2_chat"]["request"]
    wish = conversation(RECORDED["cohere_v2_chat"]["conversation"], json="object")

    request = await sent(service, wish, model="command-a-03-2025", stream=False)

    assert (request.method, request.path, request.json) == (
        recorded["method"],
        recorded["path"],
        recorded["body"],
    )
    assert request.headers["authorization"] == recorded["headers"]["authorization"]


async def test_a_stream_is_asked_for_as_the_official_library_does(service: Loopback) -> None:
    recorded = RECORDED["cohere_v2_stream"]["request"]
    talk = replace(conversation(RECORDED["cohere_v2_stream"]["conversation"]), parameters=Parameters())

    request = await sent(service, talk, model="command-a-03-2025")

    assert (request.path, request.json) == (recorded["path"], recorded["body"])


async def test_numbers_are_moved_into_the_ranges_of_the_service(service: Loopback) -> None:
    wish = Parameters(
        top_p=1.0, frequency_penalty=1.5, presence_penalty=-1.0, temperature=0.0, stop=tuple("abcdef")
    )

    body = (await sent(service, replace(QUESTION, parameters=wish))).json

    assert (body["p"], body["frequency_penalty"], body["presence_penalty"]) == (0.99, 1.0, 0.0)
    assert (body["temperature"], body["stop_sequences"]) == (0.0, ["a", "b", "c", "d", "e"])
    assert "top_p" not in body


async def test_json_by_schema_is_asked_for(service: Loopback) -> None:
    schema = {"type": "object", "properties": {"reply": {"type": "string"}}}
    wish = Parameters(json=JsonSchema("reply", schema))

    body = (await sent(service, replace(QUESTION, parameters=wish))).json

    assert body["response_format"] == {"type": "json_object", "json_schema": schema}


@pytest.mark.parametrize(
    ("model", "reasoning", "effort", "thinking"),
    [
        ("command-a-reasoning-08-2025", None, "low", {"type": "enabled", "token_budget": 1024}),
        ("command-a-reasoning-08-2025", None, "none", {"type": "disabled"}),
        ("command-a-reasoning-08-2025", None, None, None),
        ("command-a-03-2025", None, "low", None),
        ("house-command", True, "high", {"type": "enabled", "token_budget": 24576}),
        ("command-a-reasoning-08-2025", False, "high", None),
    ],
)
async def test_only_a_reasoning_model_is_told_how_hard_to_think(
    service: Loopback, model: str, reasoning: Any, effort: Any, thinking: Any
) -> None:
    wish = Parameters(reasoning_effort=effort, max_output_tokens=500)

    request = await sent(
        service,
        replace(QUESTION, parameters=wish),
        model=model,
        traits=CohereTraits(reasoning=reasoning),
    )

    assert request.json.get("thinking") == thinking
    assert request.json["max_tokens"] == 500 + (thinking or {}).get("token_budget", 0)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("NEWS", "stop"),
    ],
)
async def test_finish_words_become_ours(service: Loopback, word: str, finish: str) -> None:
    answer = await heard(service, ended(word))

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, word)


@pytest.mark.parametrize(("word", "kind"), [("ERROR", "server"), ("TIMEOUT", "timeout")])
async def test_a_service_that_gives_up_reports_an_error(service: Loopback, word: str, kind: str) -> None:
    usage = {"tokens": {"input_tokens": 9, "output_tokens": 1}}

    answer = await heard(service, ended(word, usage=usage))

    assert answer.error is not None
    assert (answer.error.kind, answer.error.code, answer.error.usage.input_tokens) == (kind, word, 9)


async def test_what_is_used_and_what_is_billed_are_kept_apart(service: Loopback) -> None:
    usage = {
        "tokens": {"input_tokens": 72.0, "output_tokens": 8.0},
        "billed_units": {"input_tokens": 12.0, "output_tokens": 8.0, "search_units": 1},
        "cached_tokens": 5.0,
    }

    answer = await heard(service, ended("COMPLETE", usage=usage))

    assert answer.finished.usage == Usage(
        input_tokens=72,
        output_tokens=8,
        cached_input_tokens=5,
        billed_input_tokens=12,
        billed_output_tokens=8,
        kind="exact",
    )


async def test_a_whole_answer_with_a_plan_thinking_and_tools(service: Loopback) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "track", "arguments": '{"n":1}'}}
    message = {
        "role": "assistant",
        "tool_plan": "I look. ",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Wait."}],
        "tool_calls": [call],
    }
    service.answers(json_reply(200, {"id": "c-9", "finish_reason": "TOOL_CALL", "message": message}))
    provider = provider_at(service.url, "cohere")

    answer = await ask(provider, stream=False)
    await provider.aclose()

    assert (answer.reasoning, answer.text, answer.finished.finish) == ("I look. hm", "Wait.", "tool_calls")
    assert [(one.id, one.name, one.arguments) for one in answer.finished.tool_calls] == [
        ("t1", "track", '{"n":1}')
    ]
    assert answer.finished.request_id == "c-9"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: p must be less than 1", "invalid_request"),
        (400, "too many tokens: size limit exceeded by 12 tokens", "context_length"),
        (401, "invalid api token", "auth"),
        (404, "model 'x' not found", "not_found"),
        (422, "no", "invalid_request"),
        (429, "You are using a Trial key, which is limited to 20 API calls / minute", "rate_limit"),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month", "quota"),
        (498, "blocked by the deny list", "content_filter"),
        (499, "request cancelled", "invalid_request"),
        (501, "not implemented", "server"),
        (503, "service unavailable", "overloaded"),
    ],
)
async def test_an_error_answer_says_what_to_do(
    service: Loopback, status: int, message: str, kind: str
) -> None:
    service.answers(json_reply(status, {"id": "e-9", "message": message}))
    provider = provider_at(service.url, "cohere")

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert (error.kind, error.message, error.request_id) == (kind, message, "e-9")


async def test_an_error_may_come_in_place_of_an_event(service: Loopback) -> None:
    answer = await heard(service, {"message": "internal server error", "id": "e-9"})

    assert answer.error is not None
    assert (answer.error.kind, answer.error.message) == ("server", "internal server error")


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"x-ratelimit-reset": "1030"}, 30.0),
        ({"x-ratelimit-reset": "970"}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "1030", "retry-after": "7"}, None),  # read for every wire
        ({}, None),
    ],
)
def test_the_end_of_a_limit_is_a_wait(headers: dict[str, str], wait_s: float | None) -> None:
    wire = ChatWire(clock=lambda: 1000.0)

    error = wire.failure(429, headers, b'{"message": "slow down"}')

    assert error.retry_after_s == wait_s
