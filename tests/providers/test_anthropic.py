"""Anthropic's Messages: what either API version is sent, and what comes that the contract does not know."""

from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers.anthropic import AnthropicTraits
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters, Usage
from tests.providers.asking import QUESTION, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["anthropic"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
REPLY = JsonSchema(
    "reply",
    {
        "type": "object",
        "properties": {"reply": {"type": "string"}},
        "required": ["reply"],
        "additionalProperties": False,
    },
)
RECORDED = recorded_requests("anthropic")
TALK = RECORDED["anthropic_2026-10-21"]["conversation"]


async def sent(
    service: Loopback, request: CompletionRequest = QUESTION, *, settings: Any = None, **fields: Any
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    service.answers(HELLO)
    provider = provider_at(service.url, "anthropic", **{"api_key": Secret("sk-ant-test"), **(settings or {})})
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *chunks: object) -> Heard:
    service.answers(Reply(pieces=[sse(*chunks)]))
    provider = provider_at(service.url, "anthropic")
    answer = await ask(provider)
    await provider.aclose()
    return answer


@pytest.mark.parametrize(
    ("version", "wish"), [("2026-10-21", {"json": REPLY}), ("2023-06-01", {})], ids=lambda value: str(value)
)
async def test_either_version_is_asked_as_its_official_library_asks(
    service: Loopback, version: str, wish: Any
) -> None:
    recorded = RECORDED[f"anthropic_{version}"]["request"]

    request = await sent(
        service,
        conversation(TALK, **wish),
        settings={"api_version": version},
        model="claude-haiku-4-5",
        stream=False,
    )

    body = request.json
    assert body.pop("stream") is False
    assert (request.method, request.path, body) == (recorded["method"], recorded["path"], recorded["body"])
    assert {name: request.headers[name] for name in recorded["headers"]} == recorded["headers"]
    assert ("authorization" in request.headers) is (version == "2026-10-21")


async def test_a_row_may_send_the_key_the_other_way(service: Loopback) -> None:
    request = await sent(service, settings={"auth_header": "x-api-key"})

    assert request.headers["x-api-key"] == "sk-ant-test"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("sampling", "left"), [("both", {"temperature", "top_p"}), ("one", {"temperature"}), ("none", set())]
)
async def test_a_model_gets_no_more_sampling_than_it_takes(
    service: Loopback, sampling: Any, left: set[str]
) -> None:
    wish = replace(QUESTION, parameters=Parameters(temperature=1.7, top_p=0.5))

    request = await sent(
        service, wish, settings={"api_version": "2023-06-01"}, traits=AnthropicTraits(sampling=sampling)
    )

    assert {"temperature", "top_p"} & set(request.json) == left
    assert request.json.get("temperature", 1.0) == 1.0


async def test_top_p_alone_is_sent_where_one_may_be(service: Loopback) -> None:
    wish = replace(QUESTION, parameters=Parameters(top_p=0.5))

    request = await sent(
        service, wish, settings={"api_version": "2023-06-01"}, traits=AnthropicTraits(sampling="one")
    )

    assert request.json["top_p"] == 0.5


async def test_the_longest_answer_is_always_said(service: Loopback) -> None:
    assert (await sent(service)).json["max_tokens"] == 4096


async def test_a_conversation_opens_with_the_visitor_and_takes_turns(service: Loopback) -> None:
    talk = (
        ChatMessage("assistant", "Welcome!"),
        ChatMessage("user", "Hi"),
        ChatMessage("user", "there"),
        ChatMessage("assistant", " "),
        ChatMessage("user", "you"),
    )

    request = await sent(service, CompletionRequest(system="", messages=talk))

    assert "system" not in request.json
    assert [(one["role"], one["content"]) for one in request.json["messages"]] == [
        ("user", "…"),
        ("assistant", "Welcome!"),
        ("user", "Hi\n\nthere\n\nyou"),
    ]


async def test_blank_stop_words_are_not_sent(service: Loopback) -> None:
    wish = replace(QUESTION, parameters=Parameters(stop=("\n", "END")))

    assert (await sent(service, wish)).json["stop_sequences"] == ["END"]


@pytest.mark.parametrize(
    ("model", "effort", "expect"),
    [
        ("claude-opus-4-6", "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (
            "claude-sonnet-5",
            "minimal",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        ("claude-sonnet-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-haiku-4-5-20251001", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("claude-sonnet-4-20250514", "medium", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-3-7-sonnet-20250219", "minimal", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("claude-haiku-4-5", "none", {}),
        ("claude-3-5-haiku-20241022", "high", {}),
        ("claude-3-haiku-20240307", "high", {}),
        ("house-model", "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-opus-4-6", None, {}),
    ],
)
@pytest.mark.parametrize("version", ["2026-10-21", "2023-06-01"])
async def test_each_generation_is_told_to_think_in_its_own_way(
    service: Loopback, version: str, model: str, effort: Any, expect: Any
) -> None:
    wish = Parameters(reasoning_effort=effort, max_output_tokens=500, temperature=0.5)

    body = (
        await sent(
            service, replace(QUESTION, parameters=wish), settings={"api_version": version}, model=model
        )
    ).json

    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == expect
    thinks = expect.get("thinking", {}).get("type") in ("adaptive", "enabled")
    assert ("temperature" in body) is (version == "2023-06-01" and not thinks)
    assert body["max_tokens"] == 500 + expect.get("thinking", {}).get("budget_tokens", 0)


async def test_a_schema_and_an_effort_stand_side_by_side(service: Loopback) -> None:
    wish = Parameters(json=REPLY, reasoning_effort="medium")

    body = (await sent(service, replace(QUESTION, parameters=wish), model="claude-opus-4-6")).json

    assert set(body["output_config"]) == {"format", "effort"}


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("news", "stop"),
    ],
)
async def test_finish_words_become_ours(service: Loopback, word: str, finish: str) -> None:
    answer = await heard(
        service, {"type": "message_delta", "delta": {"stop_reason": word}}, {"type": "message_stop"}
    )

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, word)


async def test_a_paused_turn_is_no_whole_answer(service: Loopback) -> None:
    answer = await heard(
        service, {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}}, {"type": "message_stop"}
    )

    assert answer.error is not None
    assert (answer.error.kind, answer.error.code) == ("server", "pause_turn")


async def test_an_answer_without_message_stop_is_not_whole(service: Loopback) -> None:
    answer = await heard(service, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}})

    assert answer.error is not None
    assert answer.error.kind == "incomplete_stream"


async def test_cached_tokens_are_part_of_the_input_and_later_counts_replace_earlier_ones(
    service: Loopback,
) -> None:
    start = {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7}

    answer = await heard(
        service,
        {"type": "message_start", "message": {"usage": {**start, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 40, "input_tokens": None}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 60}},
        {"type": "message_stop"},
    )

    assert answer.finished.usage == Usage(
        input_tokens=22, output_tokens=60, cached_input_tokens=7, kind="exact"
    )


async def test_unknown_blocks_and_events_are_passed_over(service: Loopback) -> None:
    answer = await heard(
        service,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "news_delta", "news": "x"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "Hi"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "news"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )

    assert (answer.text, answer.reasoning, answer.finished.finish) == ("Hi", "", "stop")


async def test_a_tool_without_arguments_has_an_empty_object(service: Loopback) -> None:
    block = {"type": "tool_use", "id": "t1", "name": "now", "input": {}}

    answer = await heard(
        service,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )

    assert [call.arguments for call in answer.finished.tool_calls] == ["{}"]


async def test_a_whole_answer_with_thinking_and_tools(service: Loopback) -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "t1", "name": "track", "input": {"n": 1}},
    ]
    service.answers(json_reply(200, {"type": "message", "content": content, "stop_reason": "tool_use"}))
    provider = provider_at(service.url, "anthropic")

    answer = await ask(provider, stream=False)
    await provider.aclose()

    assert (answer.reasoning, answer.text, answer.finished.finish) == ("hm", "Wait.", "tool_calls")
    assert [(one.id, one.name, one.arguments) for one in answer.finished.tool_calls] == [
        ("t1", "track", '{"n":1}')
    ]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, {"type": "authentication_error", "message": "invalid x-api-key"}, "auth"),
        (402, {"type": "billing_error", "message": "no"}, "quota"),
        (403, {"type": "permission_error", "message": "no"}, "permission"),
        (404, {"type": "not_found_error", "message": "model: x"}, "not_found"),
        (409, {"type": "conflict_error", "message": "no"}, "overloaded"),
        (413, {"type": "request_too_large", "message": "no"}, "invalid_request"),
        (429, {"type": "rate_limit_error", "message": "no"}, "rate_limit"),
        (
            429,
            {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
            "quota",
        ),
        (500, {"type": "api_error", "message": "no"}, "server"),
        (504, {"type": "timeout_error", "message": "no"}, "timeout"),
        (
            400,
            {
                "type": "invalid_request_error",
                "message": "prompt is too long: 210000 tokens > 200000 maximum",
            },
            "context_length",
        ),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
            "quota",
        ),
    ],
)
async def test_an_error_is_classed_in_an_answer_and_in_a_stream_alike(
    service: Loopback, status: int, error: object, kind: str
) -> None:
    body = {"type": "error", "error": error, "request_id": "req_9"}
    provider = provider_at(service.url, "anthropic")
    for reply in (json_reply(status, body), Reply(pieces=[sse(body)]), json_reply(200, body)):
        service.answers(reply)

        failed = (await ask(provider)).error

        assert failed is not None
        assert failed.kind == kind
        assert failed.message
        assert failed.request_id == "req_9"
    await provider.aclose()


async def test_an_error_of_a_new_type_is_known_by_its_status(service: Loopback) -> None:
    service.answers(json_reply(529, {"type": "error", "error": {"type": "news_error"}}))
    provider = provider_at(service.url, "anthropic")

    failed = (await ask(provider)).error
    await provider.aclose()

    assert failed is not None
    assert (failed.kind, failed.code) == ("overloaded", "news_error")


async def test_an_error_event_may_leave_its_type_to_its_name(service: Loopback) -> None:
    service.answers(Reply(pieces=[b'event: error\ndata: {"error": {"type": "overloaded_error"}}\n\n']))
    provider = provider_at(service.url, "anthropic")

    failed = (await ask(provider)).error
    await provider.aclose()

    assert failed is not None
    assert failed.kind == "overloaded"
