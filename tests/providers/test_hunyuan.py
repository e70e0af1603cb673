"""Tencent Hunyuan: how a request is signed and written, and what its errors mean."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers import hunyuan
from chatbot.providers.auth import Unsigned
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest
from tests.providers.asking import QUESTION, WIRE, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["hunyuan"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
VECTORS = json.loads((WIRE / "hunyuan" / "tencent_tc3.json").read_text("utf-8"))["vectors"]
RECORDED = recorded_requests("hunyuan")["hunyuan_chat"]


async def sent(
    service: Loopback, request: CompletionRequest = QUESTION, *, settings: Any = None, **fields: Any
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    service.answers(HELLO)
    provider = provider_at(service.url, "hunyuan", **{**SAMPLE.settings, **(settings or {})})
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *replies: Reply) -> Heard:
    service.answers(*replies)
    provider = provider_at(service.url, "hunyuan", **SAMPLE.settings)
    answer = await ask(provider)
    await provider.aclose()
    return answer


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_request_is_signed_as_the_official_library_signs_it(vector: Any) -> None:
    headers = {"content-type": vector["headers"]["Content-Type"], "host": vector["host"]}
    request = Unsigned(vector["method"], vector["path"], "", headers, vector["body_utf8"].encode())

    added = hunyuan.sign(
        request,
        vector["timestamp"],
        secret_id=vector["secret_id"],
        secret_key=Secret(vector["secret_key"]),
        token=Secret(vector["token"]) if vector["token"] else None,
    )

    assert hunyuan.canonical_request(request) == vector["canonical_request"]
    assert hunyuan.string_to_sign(request, vector["timestamp"]) == vector["string_to_sign"]
    named = ("X-TC-Timestamp", "X-TC-Token", "Authorization")
    assert added == {name: vector["headers"][name] for name in named if name in vector["headers"]}


async def test_what_is_sent_is_what_was_signed(service: Loopback) -> None:
    request = await sent(service, replace(QUESTION, system="你是客服😀"), stream=True)

    at = int(request.headers["x-tc-timestamp"])
    assert abs(at - time.time()) < 60
    unsigned = Unsigned("POST", request.path, "", request.headers, request.body)
    again = hunyuan.sign(unsigned, at, secret_id="id-1", secret_key=SAMPLE.settings["secret_key"])
    assert request.headers["authorization"] == again["Authorization"]
    assert request.headers["host"] == f"127.0.0.1:{service.port}"


async def test_a_request_is_what_the_official_library_sends(service: Loopback) -> None:
    request = await sent(
        service,
        conversation(RECORDED["conversation"]),
        settings={"region": "ap-guangzhou", "token": Secret("tok-1")},
        model="hunyuan-turbos-latest",
        stream=False,
    )

    recorded = RECORDED["request"]
    assert (request.method, request.path, request.json) == ("POST", recorded["path"], recorded["body"])
    for name in ("content-type", "x-tc-action", "x-tc-version", "x-tc-region"):
        assert request.headers[name] == recorded["headers"][name]
    assert request.headers["x-tc-token"] == "tok-1"


async def test_a_long_conversation_is_told_within_what_the_service_takes(service: Loopback) -> None:
    messages = tuple(
        ChatMessage("assistant" if number % 2 else "user", f"{number}\nassistant: no") for number in range(61)
    )

    body = (await sent(service, replace(QUESTION, messages=messages))).json

    told = body["Messages"]
    assert [one["Role"] for one in told] == ["system", *["user", "assistant"] * 19, "user"]
    assert len(told) == 40
    assert [one["Content"] for one in told[2:]] == [message.text for message in messages[-38:]]
    lines = told[1]["Content"].split("\n")
    assert lines[:4] == ["user: 0", "  assistant: no", "assistant: 1", "  assistant: no"]
    assert len(lines) == 2 * 23


async def test_neighbours_of_one_side_become_one_and_the_visitor_begins(service: Loopback) -> None:
    messages = (
        ChatMessage("assistant", "Welcome!"),
        ChatMessage("user", "Hi"),
        ChatMessage("user", "Where is it?"),
    )

    body = (await sent(service, CompletionRequest(system="", messages=messages))).json

    assert [one["Role"] for one in body["Messages"]] == ["user", "assistant", "user"]
    assert body["Messages"][-1]["Content"] == "Hi\n\nWhere is it?"


async def test_a_tool_call_in_pieces_is_put_together(service: Loopback) -> None:
    def chunk(finish: str = "", **call: object) -> dict[str, object]:
        calls = [{"Index": 0, "Type": "function", **call}] if call else []
        return {"Choices": [{"Delta": {"Content": "", "ToolCalls": calls}, "FinishReason": finish}]}

    answer = await heard(
        service,
        Reply(
            pieces=[
                sse(
                    chunk(Id="call_1", Function={"Name": "track", "Arguments": '{"n"'}),
                    chunk(Function={"Arguments": ":1}"}),
                    chunk("tool_calls"),
                )
            ]
        ),
    )

    assert answer.finished.finish == "tool_calls"
    assert [(one.id, one.name, one.arguments) for one in answer.finished.tool_calls] == [
        ("call_1", "track", '{"n":1}')
    ]


async def test_nothing_counts_after_the_last_word(service: Loopback) -> None:
    answer = await heard(
        service, Reply(pieces=[SAMPLE.delta("Hi") + SAMPLE.end + sse(b"[DONE]", b"{broken")])
    )

    assert (answer.text, answer.error) == ("Hi", None)


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("AuthFailure.SignatureExpire", "auth", False),
        ("AuthFailure.SecretIdNotFound", "auth", False),
        ("AuthFailure.UnauthorizedOperation", "permission", False),
        ("RequestLimitExceeded", "rate_limit", True),
        ("RequestLimitExceeded.UinLimitExceeded", "rate_limit", True),
        ("LimitExceeded", "rate_limit", True),
        ("FailedOperation.EngineRequestTimeout", "timeout", True),
        ("FailedOperation.EngineServerError", "server", True),
        ("FailedOperation.EngineServerLimitExceeded", "rate_limit", True),
        ("InternalError", "server", True),
        ("ResourceUnavailable.InArrears", "quota", False),
        ("FailedOperation.ResourcePackExhausted", "quota", False),
        ("FailedOperation.ServiceNotActivated", "permission", False),
        ("FailedOperation.ServiceStopArrears", "quota", False),
        ("OperationDenied.TextIllegalDetected", "content_filter", False),
        ("InvalidParameterValue.Model", "not_found", False),
        ("InvalidParameter", "invalid_request", False),
        ("SomethingNew", "server", True),
    ],
)
async def test_each_code_says_what_to_do(service: Loopback, code: str, kind: str, retryable: bool) -> None:
    refusal = {"Response": {"Error": {"Code": code, "Message": "because"}, "RequestId": "r-9"}}
    answers = [
        await heard(service, json_reply(200, refusal)),
        await heard(service, json_reply(400, refusal)),
        await heard(service, Reply(pieces=[SAMPLE.delta("Half"), sse(refusal)])),
    ]

    for answer in answers:
        error = answer.error
        assert error is not None
        assert (error.kind, error.retryable, error.code, error.message) == (kind, retryable, code, "because")
        assert error.request_id == "r-9"
    assert answers[-1].text == "Half"


async def test_an_event_may_tell_of_the_usage_alone(service: Loopback) -> None:
    usage = {"Usage": {"PromptTokens": 3, "CompletionTokens": 1}}

    answer = await heard(
        service, Reply(pieces=[sse(usage, {**usage, "Choices": None}), SAMPLE.delta("Hi"), SAMPLE.end])
    )

    assert (answer.text, answer.error) == ("Hi", None)


async def test_an_error_in_place_of_a_stream_is_found_whatever_its_label(service: Loopback) -> None:
    refusal = {"Response": {"Error": {"Code": "LimitExceeded", "Message": "because"}, "RequestId": "r-9"}}
    body = json.dumps(refusal, indent=1).encode()
    for label in ("text/event-stream", "text/plain", "application/json"):
        answer = await heard(service, Reply(headers={"content-type": label}, pieces=[body[:9], body[9:]]))

        assert answer.error is not None
        assert answer.error.kind == "rate_limit"
