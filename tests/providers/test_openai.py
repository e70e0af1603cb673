"""Chat completions: what is sent, and what the many compatible services answer."""

from typing import Any, cast

import pytest

from chatbot.providers.capabilities import Capabilities
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, JsonSchema, Parameters, Usage
from chatbot.providers.openai import OpenAITraits
from tests.providers.asking import (
    QUESTION,
    Heard,
    ask,
    conversation,
    provider_at,
    recorded_requests,
    target_of,
)
from tests.providers.loopback import Loopback, Reply, json_reply
from tests.providers.wires import SAMPLES, sse

HELLO = Reply(pieces=[SAMPLES["openai"].delta("Hi"), SAMPLES["openai"].end])


async def sent(service: Loopback, request: CompletionRequest = QUESTION, **fields: Any) -> Any:
    """The body that reaches the service. `settings` are the provider row's, the rest the target's."""
    service.answers(HELLO)
    provider = provider_at(service.url, "openai", **fields.pop("settings", {}))
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1].json


async def heard(service: Loopback, *chunks: object, **fields: Any) -> Heard:
    """What is read from these chunks."""
    service.answers(Reply(pieces=[sse(*chunks)]))
    provider = provider_at(service.url, "openai", **fields.pop("settings", {}))
    answer = await ask(provider, **fields)
    await provider.aclose()
    return answer


def chunk(delta: dict[str, object], finish: str | None = None, **more: object) -> object:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


async def test_a_request_is_what_the_official_library_sends(service: Loopback) -> None:
    recorded = recorded_requests("openai")["openai_chat"]
    request = conversation(recorded["conversation"], json="object")

    body = await sent(service, request, model="gpt-4.1-mini", stream=False)

    assert body == recorded["request"]["body"]


async def test_a_reasoning_model_is_asked_in_its_own_way(service: Loopback) -> None:
    recorded = recorded_requests("openai")["openai_chat_reasoning_stream"]
    request = conversation(recorded["conversation"], reasoning_effort="low")

    assert await sent(service, request, model="o4-mini") == recorded["request"]["body"]


@pytest.mark.parametrize(
    ("model", "traits", "thinks"),
    [
        ("gpt-5-mini", OpenAITraits(), True),
        ("gpt-5-chat-latest", OpenAITraits(), False),
        ("gpt-4.1", OpenAITraits(), False),
        ("o3", OpenAITraits(), True),
        ("orca-2", OpenAITraits(), False),
        ("house-thinker", OpenAITraits(reasoning=True), True),
        ("o3-like-but-plain", OpenAITraits(reasoning=False), False),
    ],
)
async def test_a_model_row_overrules_what_its_name_suggests(
    service: Loopback, model: str, traits: OpenAITraits, thinks: bool
) -> None:
    request = conversation(recorded_requests("openai")["openai_chat"]["conversation"])

    body = await sent(service, request, model=model, traits=traits)

    assert ("temperature" not in body) is thinks
    assert (body["messages"][0]["role"] == "developer") is thinks


@pytest.mark.parametrize(
    ("settings", "traits", "name"),
    [
        ({}, {}, "max_tokens"),
        ({"output_limit_field": "max_completion_tokens"}, {}, "max_completion_tokens"),
        ({"output_limit_field": "max_completion_tokens"}, {"output_limit_field": "max_tokens"}, "max_tokens"),
    ],
)
async def test_the_limit_of_the_answer_goes_by_the_name_the_service_knows(
    service: Loopback, settings: Any, traits: Any, name: str
) -> None:
    request = CompletionRequest(system="", messages=(), parameters=Parameters(max_output_tokens=9))

    body = await sent(service, request, settings=settings, traits=OpenAITraits(**traits))

    assert {key: value for key, value in body.items() if "tokens" in key} == {name: 9}
    assert body["messages"] == []


async def test_what_a_service_refuses_is_left_out(service: Loopback) -> None:
    request = conversation(recorded_requests("openai")["openai_chat"]["conversation"])

    body = await sent(
        service, request, settings={"include_usage": False, "leave_out": ("presence_penalty", "stop")}
    )

    assert not {"stream_options", "presence_penalty", "stop"} & set(body)
    assert body["frequency_penalty"] == 0.2


async def test_what_is_left_out_is_known_not_to_be_taken() -> None:
    refused = ("temperature", "max_tokens", "stop", "response_format", "reasoning_effort", "stream_options")
    provider = provider_at("http://127.0.0.1", "openai", leave_out=refused)

    can = provider.capabilities(target_of(provider, model="gpt-5-mini"), Parameters())

    assert can == Capabilities(most_effort="max")
    await provider.aclose()


@pytest.mark.parametrize(
    ("settings", "traits", "sent_format"),
    [
        ({}, {}, "json_schema"),
        ({"json_mode": "object"}, {}, "json_object"),
        ({"json_mode": "none"}, {}, None),
        ({"json_mode": "none"}, {"json_mode": "schema"}, "json_schema"),
        ({}, {"json_mode": "none"}, None),
        ({"leave_out": ("response_format",)}, {}, None),
    ],
)
async def test_json_is_asked_for_by_what_the_service_knows(
    service: Loopback, settings: Any, traits: Any, sent_format: str | None
) -> None:
    wish = Parameters(json=JsonSchema("reply", {"type": "object", "title": "Our answer"}))
    request = CompletionRequest(system="Be kind.", messages=(), parameters=wish)

    body = await sent(service, request, settings=settings, traits=OpenAITraits(**traits))

    assert body.get("response_format", {}).get("type") == sent_format
    assert ("Our answer" in body["messages"][0]["content"]) is (sent_format != "json_schema")


async def test_at_most_four_stop_words_are_sent(service: Loopback) -> None:
    request = CompletionRequest(system="", messages=(), parameters=Parameters(stop=tuple("abcdef")))

    assert (await sent(service, request))["stop"] == ["a", "b", "c", "d"]


async def test_json_by_schema_is_asked_for(service: Loopback) -> None:
    schema = {"type": "object", "properties": {"reply": {"type": "string"}}}
    wish = Parameters(json=JsonSchema("reply", schema))

    body = await sent(service, CompletionRequest(system="", messages=(), parameters=wish))

    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == schema


ORDER = {"type": "object", "properties": {"n": {"type": "integer"}}}
CLOSED = {**ORDER, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("url", "schema", "promised"),
    [
        ("https://api.openai.com/v1", CLOSED, True),
        ("https://api.openai.com/v1", ORDER, False),
        ("https://api.openai.com/v1", {**CLOSED, "properties": {"n": {"anyOf": [ORDER]}}}, False),
        ("https://api.openai.com/v1", {"type": "array", "items": CLOSED}, True),
        ("https://shop.openai.azure.com/openai/v1", ORDER, False),
        ("http://127.0.0.1:8000/v1", ORDER, True),
    ],
)
async def test_a_schema_that_openai_would_refuse_is_seen_to_here(
    url: str, schema: dict[str, Any], promised: bool
) -> None:
    provider = provider_at(url, "openai")
    asked = Parameters(json=JsonSchema("order", schema))

    assert provider.capabilities(target_of(provider), asked).promises(asked) is promised
    await provider.aclose()


async def test_the_key_goes_where_the_row_says(service: Loopback) -> None:
    key = {"api_key": Secret("sk-1")}

    await sent(service, settings=key)
    assert service.requests[-1].headers["authorization"] == "Bearer sk-1"

    await sent(service, settings={**key, "auth_header": "api-key"})
    assert service.requests[-1].headers["api-key"] == "sk-1"
    assert "authorization" not in service.requests[-1].headers


async def test_several_keys_take_turns_and_a_refused_one_rests(service: Loopback) -> None:
    provider = provider_at(service.url, "openai", api_keys=(Secret("sk-1"), Secret("sk-2")))
    refused = json_reply(401, {"error": {"code": "invalid_api_key"}})
    service.answers(refused, HELLO, HELLO)

    answers = [await ask(provider), await ask(provider)]
    await provider.aclose()

    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert [request.headers["authorization"][-4:] for request in service.requests] == ["sk-1", "sk-2", "sk-2"]


async def test_each_refused_key_gives_way_to_the_next(service: Loopback) -> None:
    keys = tuple(Secret(f"sk-{number}") for number in (1, 2, 3))
    provider = provider_at(service.url, "openai", api_keys=keys)
    refused = json_reply(401, {"error": {"code": "invalid_api_key"}})
    spent = json_reply(429, {"error": {"code": "insufficient_quota"}})
    service.answers(refused, spent, HELLO)

    answers = [await ask(provider), await ask(provider)]
    await provider.aclose()

    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    sent = [request.headers["authorization"][-4:] for request in service.requests]
    assert sent == ["sk-1", "sk-2", "sk-3", "sk-3"]


async def test_a_key_that_may_go_on_later_keeps_its_turn(service: Loopback) -> None:
    provider = provider_at(service.url, "openai", api_keys=(Secret("sk-1"), Secret("sk-2")))
    service.answers(json_reply(429, {"error": {"code": "rate_limit_exceeded"}}))

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert error.kind == "rate_limit"
    assert len(service.requests) == 1


async def test_headers_and_query_of_the_row_are_sent(service: Loopback) -> None:
    from_row = {
        "organization": "org-1",
        "headers": {"X-Team": "support"},
        "query": {"api-version": "2026-01-01"},
    }

    await sent(service, settings=from_row)

    request = service.requests[-1]
    assert request.path == "/chat/completions?api-version=2026-01-01"
    assert (request.headers["openai-organization"], request.headers["x-team"]) == ("org-1", "support")
    assert "authorization" not in request.headers
    recorded = recorded_requests("openai")["openai_chat"]["request"]["headers"]
    assert {name: request.headers[name] for name in ("accept", "content-type")} == {
        name: recorded[name] for name in ("accept", "content-type")
    }
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"code": "credit_balance_exhausted", "type": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": "rate_limit_exceeded", "type": "insufficient_quota"}}, "rate_limit"),
        (429, {"error": {"code": None, "type": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": "slow_down"}}, "rate_limit"),
        (429, {"error": {"type": "exceeded_current_quota_error"}}, "quota"),
        (503, {"error": {"code": "server_is_overloaded"}}, "overloaded"),
        (400, {"error": {"code": "content_filter", "innererror": {}}}, "content_filter"),
        (400, {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 512}}, "context_length"),
        (
            400,
            {"object": "error", "message": "This model's maximum context length is 5", "code": 400},
            "context_length",
        ),
        (400, {"error": {"code": "data_inspection_failed"}}, "content_filter"),
        (429, {"error": {"code": "org_limit", "type": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": "slow_down", "type": "insufficient_quota"}}, "rate_limit"),
        (404, {"error": "model not found"}, "not_found"),
        (404, {"detail": "Not Found"}, "not_found"),
        (400, {"error": {"message": "bad", "type": "invalid_request_error", "code": 400}}, "invalid_request"),
        (422, {"object": "error", "message": {"detail": [{"msg": "Extra inputs"}]}}, "invalid_request"),
        (500, [], "server"),
        (500, None, "server"),
    ],
)
async def test_compatible_services_word_their_errors_differently(
    service: Loopback, status: int, body: object, kind: str
) -> None:
    service.answers(json_reply(status, body))
    provider = provider_at(service.url, "openai")

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert error.kind == kind
    assert error.message


@pytest.mark.parametrize(
    ("reported", "kind"),
    [
        ({"message": "no", "type": "server_error"}, "server"),
        ({"message": "no", "code": 429}, "rate_limit"),
        ({"message": "no", "code": "502"}, "server"),
        ({"message": "no", "code": "invalid_api_key"}, "auth"),
        ("no", "server"),
    ],
)
async def test_an_error_in_the_stream_is_classed_like_any_other(
    service: Loopback, reported: object, kind: str
) -> None:
    answer = await heard(service, chunk({"content": "Half"}), {"error": reported})

    assert answer.text == "Half"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.message) == (kind, "no")


async def test_a_finish_without_done_is_a_whole_answer(service: Loopback) -> None:
    answer = await heard(service, chunk({"content": "Hi"}, "stop"))

    assert (answer.text, answer.finished.finish, answer.error) == ("Hi", "stop", None)


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_after_the_finish_a_broken_farewell_does_no_harm(service: Loopback, end: Any) -> None:
    service.answers(Reply(pieces=[sse(chunk({"content": "Hi"}, "stop")), b"data: [DO"], end=end))
    provider = provider_at(service.url, "openai")

    answer = await ask(provider)
    await provider.aclose()

    assert (answer.text, answer.finished.finish) == ("Hi", "stop")


async def test_a_refusal_is_said_and_marked(service: Loopback) -> None:
    answer = await heard(
        service, chunk({"refusal": "I can't "}), chunk({"refusal": "help."}), chunk({}, "stop"), b"[DONE]"
    )

    assert (answer.text, answer.finished.finish) == ("I can't help.", "content_filter")


@pytest.mark.parametrize(
    ("word", "finish"),
    [("length", "length"), ("function_call", "tool_calls"), ("sensitive", "content_filter"), ("eos", "stop")],
)
async def test_finish_words_become_ours(service: Loopback, word: str, finish: str) -> None:
    answer = await heard(service, chunk({"content": "Hi"}, word))

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, word)


async def test_a_service_that_gives_up_reports_an_error(service: Loopback) -> None:
    answer = await heard(service, chunk({"content": "Ha"}), chunk({}, "insufficient_system_resource"))

    assert answer.text == "Ha"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.code) == ("server", "insufficient_system_resource")


async def test_chunks_without_choices_are_taken_as_they_are(service: Loopback) -> None:
    azure_first: dict[str, object] = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    llamacpp_usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "timings": {}}

    answer = await heard(
        service,
        azure_first,
        chunk({"role": "assistant", "content": None}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        llamacpp_usage,
        b"[DONE]",
    )

    assert answer.text == "Hi"
    assert answer.finished.usage == Usage(input_tokens=1, output_tokens=2, kind="exact")


async def test_openrouters_reasoning_and_mistrals_parts_are_thinking(service: Loopback) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": " more"}]},
        {"type": "text", "text": "Hi"},
    ]

    answer = await heard(
        service, chunk({"content": "", "reasoning": "hm"}), chunk({"content": parts}), chunk({}, "stop")
    )

    assert (answer.reasoning, answer.text) == ("hm more", "Hi")


async def test_a_whole_answer_with_thinking_and_tools(service: Loopback) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"n":1}'}}
    message = {"role": "assistant", "content": "Wait.", "reasoning_content": "hm", "tool_calls": [call]}
    service.answers(json_reply(200, {"choices": [{"message": message, "finish_reason": "tool_calls"}]}))
    provider = provider_at(service.url, "openai")

    answer = await ask(provider, stream=False)
    await provider.aclose()

    assert (answer.reasoning, answer.text) == ("hm", "Wait.")
    assert [(one.id, one.name, one.arguments) for one in answer.finished.tool_calls] == [
        ("c1", "track", '{"n":1}')
    ]


@pytest.mark.parametrize("where", ["settings", "traits"])
async def test_think_tags_are_kept_out_where_a_row_says_so(service: Loopback, where: str) -> None:
    pieces = ["<th", "ink>\nhm, ", "yes</", "think>\n\n", "Hello <th", "e> you"]
    chunks = [chunk({"content": piece}) for piece in pieces]
    fields: Any = (
        {"settings": {"think_tags": True}}
        if where == "settings"
        else {"traits": OpenAITraits(think_tags=True)}
    )

    answer = await heard(service, *chunks, chunk({}, "stop"), **fields)

    assert (answer.reasoning, answer.text) == ("hm, yes", "Hello <the> you")


@pytest.mark.parametrize("opening", ["", "<think>", "\n<think>\n", " "])
@pytest.mark.parametrize("size", [1, 4, 100])
async def test_an_answer_may_begin_within_a_thought(service: Loopback, opening: str, size: int) -> None:
    text = f"{opening}hm, <b>\n</think>\n\nHello <think>again</think>you"
    chunks = [chunk({"content": text[at : at + size]}) for at in range(0, len(text), size)]
    for fields in ({"settings": {"starts_thinking": True}}, {"traits": OpenAITraits(starts_thinking=True)}):
        answer = await heard(service, *chunks, chunk({}, "stop"), **cast(Any, fields))

        assert (answer.reasoning, answer.text) == ("hm, <b>\nagain", "Hello you")


async def test_half_an_emoji_does_not_break_the_answer(service: Loopback) -> None:
    broken = b'{"choices":[{"index":0,"delta":{"content":"Hi \\ud83d"}}]}'

    answer = await heard(service, broken, chunk({"content": "!"}, "stop"))

    assert answer.text == "Hi �!"


async def test_a_zero_byte_never_comes_through(service: Loopback) -> None:
    answer = await heard(service, chunk({"content": "a\0b"}, "stop"))

    assert answer.text == "a�b"


async def test_an_event_named_error_is_one_whatever_it_holds(service: Loopback) -> None:
    named = b'event: error\ndata: {"message": "upstream gone", "code": 502}\n\n'
    service.answers(Reply(pieces=[sse(chunk({"content": "Half"})), named]))
    provider = provider_at(service.url, "openai")

    answer = await ask(provider)
    await provider.aclose()

    assert answer.text == "Half"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.message) == ("server", "upstream gone")


async def test_kimis_usage_stands_in_the_last_choice(service: Loopback) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]}

    answer = await heard(service, chunk({"content": "Hi"}), last, b"[DONE]")

    assert answer.finished.usage == Usage(input_tokens=3, output_tokens=2, kind="exact")


async def test_a_usage_that_counts_nothing_is_unknown_and_spoils_no_answer(service: Loopback) -> None:
    for usage, known in (
        ("none", Usage()),
        ({"prompt_tokens": -1, "completion_tokens": 2}, Usage(output_tokens=2)),
        ({"prompt_tokens": "3", "completion_tokens": 1e30}, Usage()),
        (
            {"prompt_tokens": 3.0, "completion_tokens": 2, "prompt_tokens_details": [0]},
            Usage(input_tokens=3, output_tokens=2, kind="exact"),
        ),
    ):
        answer = await heard(service, chunk({"content": "Hi"}, "stop"), {"choices": [], "usage": usage})

        assert (answer.text, answer.finished.usage) == ("Hi", known)
