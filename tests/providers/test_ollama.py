"""Ollama: what both of its addresses are sent, and what comes that the contract does not know."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from chatbot.providers.completions import flatten
from chatbot.providers.keys import Secret
from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters, Usage
from chatbot.providers.ndjson import LineSplitter
from chatbot.providers.ollama import OllamaSettings, OllamaTraits
from tests.providers.asking import QUESTION, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, reply

RECORDED = recorded_requests("ollama")


async def sent(
    service: Loopback,
    request: CompletionRequest = QUESTION,
    *,
    kind: str = "ollama",
    settings: Any = None,
    **fields: Any,
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    sample = SAMPLES[kind]
    service.answers(reply(sample, sample.delta("Hi"), sample.end))
    provider = provider_at(service.url, kind, **(settings or {}))
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *lines: object, kind: str = "ollama", **fields: Any) -> Heard:
    """What is read from these lines. `settings` are the provider row's, the rest the target's."""
    service.answers(reply(SAMPLES[kind], *(orjson.dumps(one) + b"\n" for one in lines)))
    provider = provider_at(service.url, kind, **fields.pop("settings", {}))
    answer = await ask(provider, **fields)
    await provider.aclose()
    return answer


def says(text: str, **message: object) -> object:
    return {"message": {"role": "assistant", "content": text, **message}, "done": False}


def done(reason: str | None = "stop", **more: object) -> object:
    said = {} if reason is None else {"done_reason": reason}
    return {"message": {"role": "assistant", "content": ""}, "done": True, **said, **more}


async def test_a_chat_is_what_the_official_library_sends(service: Loopback) -> None:
    recorded = RECORDED["ollama_chat"]["request"]
    wish = conversation(RECORDED["ollama_chat"]["conversation"], json="object", reasoning_effort="none")

    request = await sent(service, wish, settings={"keep_alive": "5m"}, model="deepseek-r1:1.5b", stream=False)

    del recorded["body"]["tools"]  # an empty list of them
    assert (request.method, request.path, request.json) == (
        recorded["method"],
        recorded["path"],
        recorded["body"],
    )
    assert "authorization" not in request.headers


async def test_a_prompt_is_what_the_official_library_sends(service: Loopback) -> None:
    recorded = RECORDED["ollama_generate"]["request"]
    talk = conversation(RECORDED["ollama_generate"]["conversation"])
    wish = replace(talk, messages=talk.messages[:1], parameters=Parameters(max_output_tokens=256))

    request = await sent(service, wish, kind="ollama_generate", model="deepseek-coder", stream=False)

    assert (request.method, request.path, request.json) == (
        recorded["method"],
        recorded["path"],
        recorded["body"],
    )


async def test_a_conversation_becomes_a_script_that_the_model_may_not_go_on_with(service: Loopback) -> None:
    talk = (ChatMessage("user", "Hi"), ChatMessage("assistant", "Hello"), ChatMessage("user", "Bye"))
    wish = CompletionRequest(system="Be kind.", messages=talk, parameters=Parameters(stop=("END",)))

    body = (await sent(service, wish, kind="ollama_generate")).json

    assert (
        body["prompt"]
        == flatten(replace(wish, system=""))
        == "User: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"
    )
    assert (body["system"], body["options"]["stop"]) == ("Be kind.", ["\nUser:", "END"])


@pytest.mark.parametrize("kind", ["ollama", "ollama_generate"])
async def test_the_window_is_as_large_as_the_row_says(service: Loopback, kind: str) -> None:
    assert (await sent(service, kind=kind, context_tokens=16000)).json["options"] == {"num_ctx": 16000}
    assert (await sent(service, kind=kind)).json["options"] == {}


async def test_a_key_is_sent_where_there_is_one(service: Loopback) -> None:
    request = await sent(service, settings={"api_key": Secret("proxied")})

    assert request.headers["authorization"] == "Bearer proxied"


async def test_json_by_schema_is_asked_for(service: Loopback) -> None:
    schema = {"type": "object", "properties": {"reply": {"type": "string"}}}
    wish = Parameters(json=JsonSchema("reply", schema))

    assert (await sent(service, replace(QUESTION, parameters=wish))).json["format"] == schema


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "think"),
    [
        ("deepseek-r1:1.5b", None, "none", False),
        ("deepseek-r1:1.5b", None, "high", True),
        ("qwen3:4b", None, "minimal", True),
        ("gpt-oss:20b", None, "high", "high"),
        ("gpt-oss:20b", None, "none", "low"),
        ("llama3.2", None, "high", None),
        ("llama3.2", "switch", "high", True),
        ("house", "levels", "medium", "medium"),
        ("deepseek-r1:1.5b", "none", "high", None),
        ("deepseek-r1:1.5b", None, None, None),
    ],
)
async def test_a_model_is_told_to_think_only_if_it_can(
    service: Loopback, model: str, thinking: Any, effort: Any, think: Any
) -> None:
    wish = replace(QUESTION, parameters=Parameters(reasoning_effort=effort))

    body = (await sent(service, wish, model=model, traits=OllamaTraits(thinking=thinking))).json

    assert body.get("think") == think


def test_a_first_answer_may_wait_for_the_model_to_be_loaded() -> None:
    assert OllamaSettings().timeout_s.first_s == 120


@pytest.mark.parametrize("kind", ["ollama", "ollama_generate"])
async def test_tagged_thinking_is_kept_apart_however_it_is_cut(service: Loopback, kind: str) -> None:
    pieces = ["<th", "ink>\nhm, ", "yes</", "think>\n\n", "Hello <th", "e> you"]
    lines = [says(piece) if kind == "ollama" else {"response": piece, "done": False} for piece in pieces]
    end = done() if kind == "ollama" else {"response": "", "done": True, "done_reason": "stop"}

    answer = await heard(service, *lines, end, kind=kind)

    assert (answer.reasoning, answer.text) == ("hm, yes", "Hello <the> you")


@pytest.mark.parametrize(
    "fields", [{"settings": {"think_tags": False}}, {"traits": OllamaTraits(think_tags=False)}]
)
async def test_tags_are_text_where_a_row_says_so(service: Loopback, fields: Any) -> None:
    answer = await heard(service, says("<think>"), says("hm</think>"), done(), **fields)

    assert (answer.reasoning, answer.text) == ("", "<think>hm</think>")


async def test_the_last_line_may_carry_text_and_need_not_end(service: Loopback) -> None:
    service.answers(
        reply(
            SAMPLES["ollama"],
            orjson.dumps(says("Hi ")) + b"\n",
            orjson.dumps({"message": {"content": "there"}, "done": True, "done_reason": "length"}),
        )
    )
    provider = provider_at(service.url, "ollama")

    answer = await ask(provider)
    await provider.aclose()

    assert (answer.text, answer.finished.finish) == ("Hi there", "length")


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), (None, "stop"), ("news", "stop")]
)
async def test_finish_words_become_ours(service: Loopback, reason: Any, finish: str) -> None:
    answer = await heard(service, says("Hi"), done(reason))

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, reason or "stop")


@pytest.mark.parametrize("reason", ["load", "unload"])
async def test_a_model_that_was_only_moved_gave_no_answer(service: Loopback, reason: str) -> None:
    answer = await heard(service, done(reason))

    assert answer.error is not None
    assert (answer.error.kind, answer.error.retryable, answer.error.code) == ("server", True, reason)


async def test_half_a_count_is_not_called_exact(service: Loopback) -> None:
    answer = await heard(service, says("Hi"), done(eval_count=5))

    assert answer.finished.usage == Usage(output_tokens=5, kind="unknown")


async def test_tools_come_whole(service: Loopback) -> None:
    calls = [{"function": {"name": "track", "arguments": {"n": 1}}}, {"function": {"name": "now"}}]

    answer = await heard(service, says("", tool_calls=calls), done())

    assert answer.finished.finish == "tool_calls"
    assert [(one.name, one.arguments) for one in answer.finished.tool_calls] == [
        ("track", '{"n":1}'),
        ("now", "{}"),
    ]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": '"llama3.2" does not support thinking'}, "invalid_request"),
        (400, {"error": "the prompt exceeds the context length of 4096"}, "context_length"),
        (401, {"error": "unauthorized"}, "auth"),
        (404, {"error": "model 'x' not found"}, "not_found"),
        (500, {"error": "model requires more system memory"}, "server"),
        (503, {"error": "server busy, please try again"}, "overloaded"),
        (502, {"error": {"message": "bad gateway"}}, "server"),
    ],
)
async def test_an_error_answer_says_what_to_do(
    service: Loopback, status: int, body: object, kind: str
) -> None:
    service.answers(json_reply(status, body))
    provider = provider_at(service.url, "ollama")

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert error.kind == kind
    assert error.message


def test_lines_are_split_however_they_arrive() -> None:
    body = b'{"a":"\xe2\x80\xa8"}\n\n{"b":2}\r\n{"c":3}\r{"d":4}'
    ways = [[body], [body[at : at + 1] for at in range(len(body))]]
    ways += [[body[:at], body[at:]] for at in range(1, len(body))]
    for pieces in ways:
        splitter = LineSplitter()

        events = [event.data for piece in pieces for event in splitter.feed(piece)]

        assert events == [b'{"a":"\xe2\x80\xa8"}', b'{"b":2}', b'{"c":3}']
        assert [event.data for event in splitter.end()] == [b'{"d":4}']
        assert splitter.end() == []


def test_half_a_line_at_the_end_is_dropped() -> None:
    splitter = LineSplitter()

    assert splitter.feed(b'{"a":1') == []
    assert splitter.end() == []


@pytest.mark.parametrize("kind", ["ollama", "ollama_generate"])
async def test_the_last_line_may_do_without_words(service: Loopback, kind: str) -> None:
    sample = SAMPLES[kind]
    last = b'{"model": "m", "done": true, "done_reason": "stop", "eval_count": 7}\n'
    service.answers(Reply(headers={"content-type": sample.content_type}, pieces=[sample.delta("Hi"), last]))
    provider = provider_at(service.url, kind)

    answer = await ask(provider)
    await provider.aclose()

    assert (answer.text, answer.finished.finish) == ("Hi", "stop")
    assert answer.finished.usage == Usage(output_tokens=7)


async def test_a_thought_may_have_begun_in_the_prompt(service: Loopback) -> None:
    sample = SAMPLES["ollama"]
    service.answers(reply(sample, *map(sample.delta, ["hm", "</think>", "\nHi"]), sample.end))
    provider = provider_at(service.url, "ollama")

    answer = await ask(provider, traits=OllamaTraits(starts_thinking=True))
    await provider.aclose()

    assert (answer.reasoning, answer.text) == ("hm", "Hi")
