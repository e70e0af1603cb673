"""iFlytek Spark: the signed WebSocket and its frames, HTTP in OpenAI's language, and what errors mean."""

import base64
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from chatbot.providers import spark
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest, Parameters
from chatbot.providers.spark import SparkTraits
from tests.providers import websocket
from tests.providers.asking import (
    QUESTION,
    WIRE,
    Heard,
    ask,
    conversation,
    provider_at,
    recorded_requests,
)
from tests.providers.loopback import Loopback, Piece, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, answer, reply, sse

FRAMES, HTTP = SAMPLES["spark_ws"], SAMPLES["spark"]
VECTORS = json.loads((WIRE / "spark_ws" / "spark_signed_url.json").read_text("utf-8"))["vectors"]
RECORDED = recorded_requests("spark_ws")["spark_ws"]
CODES = [
    (10003, "invalid_request", False),
    (10005, "invalid_request", False),
    (10007, "rate_limit", True),
    (10008, "overloaded", True),
    (10012, "server", True),
    (10013, "content_filter", False),
    (10014, "content_filter", False),
    (10019, "content_filter", False),
    (10110, "overloaded", True),
    (10907, "context_length", False),
    (11200, "permission", False),
    (11201, "quota", False),
    (11202, "rate_limit", True),
    (11203, "rate_limit", True),
    (19999, "server", True),
]


async def sent(
    service: Loopback,
    request: CompletionRequest = QUESTION,
    *,
    kind: str = "spark_ws",
    settings: Any = None,
    **fields: Any,
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    sample = SAMPLES[kind]
    service.answers(reply(sample, answer(sample, "Hi")))
    provider = provider_at(service.url, kind, **{**sample.settings, **(settings or {})})
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *pieces: Piece, kind: str = "spark_ws", **more: Any) -> Heard:
    service.answers(reply(SAMPLES[kind], *pieces, **more))
    provider = provider_at(service.url, kind, **SAMPLES[kind].settings)
    said = await ask(provider)
    await provider.aclose()
    return said


def fields_of(authorization: str) -> dict[str, str]:
    """The named parts of a signature, however it is spaced."""
    return dict(re.findall(r'(\w+)="([^"]*)"', base64.b64decode(authorization).decode()))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_an_address_is_signed_as_the_official_library_signs_it(vector: Any) -> None:
    url = spark.signed_url(
        vector["url"],
        vector["timestamp"],
        api_key=Secret(vector["api_key"]),
        api_secret=Secret(vector["api_secret"]),
    )

    query = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith(vector["url"] + "?")
    assert (query["host"], query["date"]) == (vector["host"], vector["date"])
    assert fields_of(query["authorization"]) == fields_of(vector["authorization"])
    assert set(query) == {"host", "date", "authorization"}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("lite", "/v1.1/chat"),
        ("generalv3", "/v3.1/chat"),
        ("pro-128k", "/chat/pro-128k"),
        ("generalv3.5", "/v3.5/chat"),
        ("max-32k", "/chat/max-32k"),
        ("4.0Ultra", "/v4.0/chat"),
        ("spark-x", "/v1/x1"),
    ],
)
async def test_each_model_is_asked_at_its_own_path(service: Loopback, model: str, path: str) -> None:
    request = await sent(service, model=model)

    assert request.path.partition("?")[0] == path
    assert request.json["parameter"]["chat"]["domain"] == model


async def test_an_address_with_a_path_is_used_as_it_is(service: Loopback) -> None:
    provider = provider_at(f"{service.url}/v9/chat", "spark_ws", **FRAMES.settings)
    service.answers(reply(FRAMES, answer(FRAMES, "Hi")))

    assert (await ask(provider, model="generalv9")).text == "Hi"
    await provider.aclose()

    assert service.requests[-1].path.partition("?")[0] == "/v9/chat"


async def test_a_frame_is_what_the_official_library_sends(service: Loopback) -> None:
    request = await sent(
        service,
        conversation(RECORDED["conversation"]),
        model="generalv3.5",
        settings={"app_id": "app1"},
    )

    recorded = RECORDED["request"]["frame"]
    del recorded["header"]["uid"]  # optional: nobody is named
    del recorded["parameter"]["chat"]["top_k"]  # the library's own default, and the service's
    assert request.json == recorded


@pytest.mark.parametrize("kind", ["spark_ws", "spark"])
@pytest.mark.parametrize(
    ("model", "traits", "takes"),
    [
        ("lite", SparkTraits(), False),
        ("generalv3", SparkTraits(), False),
        ("generalv3.5", SparkTraits(), True),
        ("4.0Ultra", SparkTraits(), True),
        ("max-32k", SparkTraits(), True),
        ("spark-x", SparkTraits(), False),
        ("a-new-one", SparkTraits(), False),
        ("lite", SparkTraits(system_role=True), True),
        ("4.0Ultra", SparkTraits(system_role=False), False),
    ],
)
async def test_where_there_is_no_system_role_the_prompt_goes_before_the_first_question(
    service: Loopback, kind: str, model: str, traits: SparkTraits, takes: bool
) -> None:
    messages = (ChatMessage("user", "Hi"), ChatMessage("assistant", "Hello"), ChatMessage("user", "Bye"))

    body = (
        await sent(service, replace(QUESTION, messages=messages), kind=kind, model=model, traits=traits)
    ).json

    told = body["payload"]["message"]["text"] if kind == "spark_ws" else body["messages"]
    assert [one["role"] for one in told] == ["system"] * takes + ["user", "assistant", "user"]
    assert told[0]["content"] == (QUESTION.system if takes else f"{QUESTION.system}\n\nHi")


@pytest.mark.parametrize(
    ("model", "asked", "chat"),
    [
        ("generalv3.5", {"temperature": 0.0}, {"temperature": 0.01}),
        ("generalv3.5", {"temperature": 1.7, "top_p": 0.5, "stop": ("x",)}, {"temperature": 1.0}),
        ("generalv3.5", {"max_output_tokens": 9, "frequency_penalty": 1.0}, {"max_tokens": 9}),
        ("spark-x", {"temperature": 1.7, "top_p": 0.5}, {"temperature": 1.7, "top_p": 0.5}),
        ("spark-x", {"presence_penalty": 1.0}, {"presence_penalty": 1.0}),
    ],
)
async def test_parameters_are_moved_into_what_the_model_takes(
    service: Loopback, model: str, asked: Any, chat: Any
) -> None:
    wish = replace(QUESTION, parameters=Parameters(**asked))

    over_socket = (await sent(service, wish, model=model)).json["parameter"]["chat"]
    over_http = (await sent(service, wish, model=model, kind="spark")).json

    assert over_socket == {"domain": model, **chat}
    assert {name: over_http[name] for name in over_http if name not in ("messages", "stream")} == {
        "model": model,
        **chat,
    }


async def test_json_is_promised_over_http_only(service: Loopback) -> None:
    wish = replace(QUESTION, parameters=Parameters(json="object"))
    service.answers(reply(HTTP, answer(HTTP, "{}")), reply(FRAMES, answer(FRAMES, "{}")))
    by_http = provider_at(service.url, "spark", **HTTP.settings)
    by_socket = provider_at(service.url, "spark_ws", **FRAMES.settings)

    assert [(await ask(by_http, wish)).text, (await ask(by_socket, wish)).text] == ["{}", "{}"]
    await by_http.aclose()
    await by_socket.aclose()

    http, frame = (request.json for request in service.requests)
    assert http["response_format"] == {"type": "json_object"}
    assert "JSON object" in frame["payload"]["message"]["text"][0]["content"]


@pytest.mark.parametrize(("code", "kind", "retryable"), CODES)
async def test_each_code_says_what_to_do(service: Loopback, code: int, kind: str, retryable: bool) -> None:
    header = {"code": code, "message": "because", "sid": "cht-9", "status": 2}
    refusal = {"code": code, "message": "because", "sid": "cht-9"}
    under_error = {"error": {"message": "because", "type": "api_error", "param": None, "code": str(code)}}

    answers = [
        await heard(service, websocket.frame(orjson.dumps({"header": header}))),
        await heard(service, FRAMES.delta("Half") + websocket.frame(orjson.dumps({"header": header}))),
        await heard(service, HTTP.delta("Half"), sse(refusal), kind="spark"),
        await heard(service, HTTP.delta("Half"), sse(under_error), kind="spark"),
    ]

    assert [one.text for one in answers] == ["", "Half", "Half", "Half"]
    for one in answers:
        assert one.error is not None
        assert (one.error.kind, one.error.retryable, one.error.code) == (kind, retryable, str(code))
        assert one.error.message == "because"
    assert [one.error.request_id for one in answers[:3] if one.error] == ["cht-9"] * 3


async def test_a_whole_answer_over_http_with_an_error_is_one(service: Loopback) -> None:
    service.answers(json_reply(200, {"code": 10907, "message": "too many tokens", "sid": "cha-3"}))
    provider = provider_at(service.url, "spark", **HTTP.settings)

    error = (await ask(provider, stream=False)).error
    await provider.aclose()

    assert error is not None
    assert (error.kind, error.request_id) == ("context_length", "cha-3")


async def test_a_tool_call_in_a_frame_is_handed_on(service: Loopback) -> None:
    call = {"content": "", "role": "assistant", "function_call": {"name": "track", "arguments": '{"n":1}'}}
    choices = {"status": 2, "seq": 0, "text": [call]}
    frame = {"header": {"code": 0, "sid": "cht-1"}, "payload": {"choices": choices}}

    said = await heard(service, websocket.frame(orjson.dumps(frame)))

    assert said.finished.finish == "tool_calls"
    assert [(one.name, one.arguments) for one in said.finished.tool_calls] == [("track", '{"n":1}')]


async def test_a_frame_without_text_is_passed_over(service: Loopback) -> None:
    frames = [{"header": {"code": 0}, "payload": {"plugins": {"text": []}}}, {"header": {"code": 0}}]

    said = await heard(service, *(websocket.frame(orjson.dumps(one)) for one in frames), answer(FRAMES, "Hi"))

    assert (said.text, said.error) == ("Hi", None)


async def test_any_code_but_zero_is_an_error(service: Loopback) -> None:
    service.answers(Reply(pieces=[HTTP.delta("Half"), sse({"code": -1, "message": "no", "sid": "cha-4"})]))
    provider = provider_at(service.url, "spark", **HTTP.settings)

    answer = await ask(provider)
    await provider.aclose()

    assert answer.text == "Half"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.code) == ("server", "-1")
