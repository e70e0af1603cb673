"""Baidu Qianfan V1: tokens in the query, conversations in its shape, and what its errors mean."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers import qianfan
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters
from chatbot.providers.qianfan import PREFIX, QianfanSettings, QianfanTraits
from chatbot.providers.tokens import ProcessTokens
from tests.providers.asking import QUESTION, WIRE, Heard, ask, provider_at
from tests.providers.loopback import Loopback, Reply, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["qianfan"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
EXCHANGE = json.loads((WIRE / "qianfan" / "oauth2.json").read_text("utf-8"))["exchange"]
CALL = f"{PREFIX}/chat/completions"


async def sent(service: Loopback, request: CompletionRequest = QUESTION, **fields: Any) -> Any:
    """The body that reaches the service."""
    service.answers(HELLO)
    provider = provider_at(service.url, "qianfan", **SAMPLE.settings)
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1].json


async def heard(service: Loopback, *replies: Reply) -> Heard:
    service.answers(*replies)
    provider = provider_at(service.url, "qianfan", **SAMPLE.settings)
    answer = await ask(provider)
    await provider.aclose()
    return answer


def said(**parameters: Any) -> CompletionRequest:
    return replace(QUESTION, parameters=Parameters(**parameters))


async def test_tokens_are_got_renewed_and_sent_as_the_official_library_does(service: Loopback) -> None:
    service.fixed.clear()
    service.answers(*(json_reply(turn["response"]["status"], turn["response"]["body"]) for turn in EXCHANGE))
    settings = QianfanSettings(
        base_url=service.url, client_id="ak-example", client_secret=Secret("sk-example")
    )
    provider = qianfan.build("baidu", settings, ProcessTokens())
    question = CompletionRequest(system="", messages=(ChatMessage("user", "你好"),))

    answer = await ask(provider, question, model="completions", stream=False)
    await provider.aclose()

    assert answer.text == "您好"
    for request, turn in zip(service.requests, EXCHANGE, strict=True):
        recorded = turn["request"]
        assert (request.method, request.path) == (recorded["method"], recorded["path"])
        assert (request.headers["content-type"], request.json) == (
            recorded["content_type"],
            recorded["body"],
        )


async def test_an_expired_token_is_renewed_for_a_stream_too(service: Loopback) -> None:
    service.answers(json_reply(200, {"error_code": 110, "error_msg": "Access token invalid"}), HELLO)
    provider = provider_at(service.url, "qianfan", **SAMPLE.settings)

    answer = await ask(provider, model="completions")
    await provider.aclose()

    assert answer.text == "Hi"
    assert [request.path.partition("access_token=")[2] for request in service.requests] == [
        "tok-0",
        "",
        "tok-1",
    ]


async def test_a_token_that_expires_in_a_stream_is_renewed_for_the_next_request(service: Loopback) -> None:
    expired = {"error_code": 111, "error_msg": "Access token expired"}
    service.answers(Reply(pieces=[sse(expired)]), HELLO)
    provider = provider_at(service.url, "qianfan", **SAMPLE.settings)

    answers = [await ask(provider), await ask(provider)]
    await provider.aclose()

    assert answers[0].error is not None
    assert (answers[0].error.kind, answers[0].error.again) == ("auth_expired", True)
    assert answers[1].text == "Hi"
    assert service.requests[-1].path.endswith("?access_token=tok-1")


async def test_a_token_shows_neither_in_a_log_nor_in_an_error(
    service: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    garbage = Reply(status=200, headers={"content-type": "text/event-stream", "bad header": "\0"})
    echo = json_reply(200, {"error_code": 336003, "error_msg": "wrong: access_token=tok-0"})

    answers = [await heard(service, reply) for reply in (HELLO, garbage, echo)]

    assert [answer.error is None for answer in answers] == [True, False, False]
    for answer in answers:
        error: BaseException | None = answer.error
        while error is not None:
            assert "tok-0" not in f"{error} {error!r} {error.args}"
            error = error.__cause__
    assert "tok-0" not in caplog.text
    assert "sk-very-secret-key" not in caplog.text


async def test_a_conversation_takes_the_services_shape(service: Loopback) -> None:
    messages = (
        ChatMessage("assistant", "Welcome!"),
        ChatMessage("user", "Hi"),
        ChatMessage("user", "Where is it?"),
    )

    body = await sent(service, replace(QUESTION, messages=messages), model="completions_pro")

    assert service.requests[-1].path.startswith(f"{PREFIX}/chat/completions_pro?")
    assert body["system"] == QUESTION.system
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][-1]["content"] == "Hi\n\nWhere is it?"


async def test_a_model_without_a_system_prompt_gets_it_with_the_first_question(service: Loopback) -> None:
    body = await sent(service, traits=QianfanTraits(system_role=False))

    assert "system" not in body
    assert body["messages"] == [
        {"role": "user", "content": f"{QUESTION.system}\n\n{QUESTION.messages[0].text}"}
    ]


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({"temperature": 0.0}, {"temperature": 0.01}),
        ({"temperature": 1.8, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}),
        ({"max_output_tokens": 256, "stop": ("END",)}, {"max_output_tokens": 256, "stop": ["END"]}),
        ({"frequency_penalty": 1.0, "presence_penalty": 0.2}, {"penalty_score": 1.5}),
        ({"frequency_penalty": -1.0}, {"penalty_score": 1.0}),
        ({"json": "object"}, {"response_format": "json_object"}),
        ({"reasoning_effort": "low"}, {}),
    ],
)
async def test_parameters_are_said_in_its_words_and_ranges(service: Loopback, asked: Any, body: Any) -> None:
    told = await sent(service, said(**asked))

    assert {name: told[name] for name in told if name not in ("messages", "system", "stream")} == body


async def test_json_by_schema_is_asked_for_in_words(service: Loopback) -> None:
    schema = JsonSchema("reply", {"type": "object", "required": ["ok"]})
    service.answers(Reply(pieces=[SAMPLE.delta('{"ok": 1}'), SAMPLE.end]))
    provider = provider_at(service.url, "qianfan", **SAMPLE.settings)

    answer = await ask(provider, said(json=schema))
    await provider.aclose()

    assert answer.text == '{"ok": 1}'
    assert '"required":["ok"]' in service.requests[-1].json["system"]
    assert service.requests[-1].json["response_format"] == "json_object"


@pytest.mark.parametrize(
    ("end", "finish"),
    [
        ({"finish_reason": "normal"}, "stop"),
        ({"finish_reason": "stop"}, "stop"),
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "normal", "is_truncated": True}, "length"),
        ({"finish_reason": "normal", "need_clear_history": True, "ban_round": -1}, "content_filter"),
        ({}, "stop"),
    ],
)
async def test_finish_words_become_ours(service: Loopback, end: Any, finish: str) -> None:
    answer = await heard(service, Reply(pieces=[sse({"result": "Hi", "is_end": True, "id": "as-7", **end})]))

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, end.get("finish_reason"))
    assert answer.finished.request_id == "as-7"


async def test_a_function_call_is_handed_on(service: Loopback) -> None:
    call = {"name": "track", "arguments": '{"n":1}', "thoughts": "hm"}
    last = {"result": "", "is_end": True, "finish_reason": "function_call", "function_call": call}

    answer = await heard(service, Reply(pieces=[sse(last)]))

    assert answer.finished.finish == "tool_calls"
    assert [(one.name, one.arguments) for one in answer.finished.tool_calls] == [("track", '{"n":1}')]


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (4, "rate_limit", True),
        (18, "rate_limit", True),
        (336501, "rate_limit", True),
        (336502, "rate_limit", True),
        (2, "overloaded", True),
        (336100, "overloaded", True),
        (17, "quota", False),
        (19, "quota", False),
        (336001, "invalid_request", False),
        (336003, "invalid_request", False),
        (336103, "context_length", False),
        (6, "permission", False),
        (15, "permission", False),
        (336000, "server", True),
        (999, "server", True),
    ],
)
async def test_each_code_says_what_to_do(service: Loopback, code: int, kind: str, retryable: bool) -> None:
    refusal = {"error_code": code, "error_msg": "because", "id": "as-9"}

    whole = await heard(service, json_reply(200, refusal))
    within = await heard(service, Reply(pieces=[SAMPLE.delta("Half"), sse(refusal)]))

    assert within.text == "Half"
    for error in (whole.error, within.error):
        assert error is not None
        assert (error.kind, error.retryable, error.code) == (kind, retryable, str(code))
        assert error.message == "because"


@pytest.mark.parametrize("path", ["", PREFIX])
async def test_the_address_may_hold_the_services_own_path(service: Loopback, path: str) -> None:
    service.answers(HELLO)
    provider = provider_at(f"{service.url}{path}", "qianfan", **SAMPLE.settings)

    assert (await ask(provider, model="completions")).text == "Hi"
    await provider.aclose()

    assert service.requests[-1].path == f"{CALL}?access_token=tok-0"


async def test_events_may_leave_out_what_they_do_not_say(service: Loopback) -> None:
    events = sse({"id": "as-1", "result": "Hi"}, {"id": "as-1", "is_end": False}, {"is_end": True})

    answer = await heard(service, Reply(pieces=[events]))

    assert (answer.text, answer.error) == ("Hi", None)


async def test_a_limit_with_status_200_says_how_long_to_wait(service: Loopback) -> None:
    service_says = json_reply(200, {"error_code": 336501, "error_msg": "RPM"}, {"retry-after": "7"})

    error = (await heard(service, service_says)).error

    assert error is not None
    assert (error.kind, error.retry_after_s) == ("rate_limit", 7.0)
