"""Recorded traffic of each vendor, cut and ended as its manifest says, gives what the manifest expects."""

import json
from pathlib import Path
from typing import Any

import pytest

from chatbot.providers.messages import UNKNOWN_USAGE, Usage, UsageKind
from tests.providers import websocket
from tests.providers.asking import ask, provider_at
from tests.providers.loopback import Loopback, Reply, cut, json_reply
from tests.providers.wires import SAMPLES

WIRE = Path(__file__).parents[1] / "wire"
KINDS = {
    "openai_chat": "openai",
    "openai_compatible": "openai",
    "openai_completions": "completions",
    "spark_http": "spark",
    "pangu_v1": "pangu",
    "huawei": "pangu",
}
REQUEST_IDS = ("x-request-id", "request-id", "x-tc-requestid")
DROPPED = 1006  # the close code of a WebSocket that nobody closed


def kind_of(recorded: Any) -> str:
    """The kind of the registry that reads a case of a manifest."""
    if recorded.get("api") == "generate":
        return "ollama_generate"
    provider: str = recorded["provider"]
    return KINDS.get(provider, provider)


def cases() -> list[Any]:
    found = []
    for manifest in sorted(WIRE.glob("*/manifest.json")):
        for case in json.loads(manifest.read_text("utf-8"))["cases"]:
            case["path"] = manifest.parent / case["file"]
            found.append(pytest.param(case, id=case["id"]))
    return found


def refusals() -> list[Any]:
    return [
        pytest.param(vector, id=f"{vector['provider']}-{vector['status']}-{index}")
        for file in sorted(WIRE.glob("*/http_errors.json"))
        for index, vector in enumerate(json.loads(file.read_text("utf-8"))["errors"])
    ]


def as_it_came(case: Any) -> Reply:
    """The answer of a case, cut and ended as the manifest says."""
    body, end = case["path"].read_bytes(), case["end"]
    if "http" in case:
        http = case["http"]
        return Reply(status=http["status"], headers=http["headers"], pieces=cut(body, case["split"]), end=end)
    frames = [websocket.frame(text.encode()) for text in json.loads(body)]
    if end == DROPPED:
        return Reply(status=101, pieces=frames, end="reset")
    return Reply(status=101, pieces=[*frames, websocket.close(end)])


def request_id(headers: dict[str, str]) -> str | None:
    return next((headers[name] for name in REQUEST_IDS if name in headers), None)


def check_usage(usage: Usage, said: dict[str, int] | None, *, kind: UsageKind = "exact") -> None:
    if said is None:
        assert usage == UNKNOWN_USAGE
        return
    counts = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.cached_input_tokens,
        "reasoning": usage.reasoning_tokens,
        "billed_input": usage.billed_input_tokens,
        "billed_output": usage.billed_output_tokens,
    }
    assert {name: count for name, count in counts.items() if name in said or count} == {
        name: count for name, count in said.items() if name != "total"
    }
    assert said["total"] == said["input"] + said["output"]
    assert usage.kind == kind


@pytest.mark.parametrize("case", cases())
async def test_a_recorded_stream_is_read_as_its_sender_meant_it(case: Any, service: Loopback) -> None:
    expect, kind = case["expect"], kind_of(case)
    service.answers(as_it_came(case))
    provider = provider_at(service.url, kind, **SAMPLES[kind].settings)

    heard = await ask(provider)
    await provider.aclose()

    assert (heard.text, heard.reasoning) == (expect["text"], expect["reasoning"])
    if expect["complete"]:
        assert heard.error is None
        finished = heard.finished
        assert (finished.finish, finished.finish_raw) == (expect["finish"], expect["finish_raw"])
        check_usage(finished.usage, expect["usage"])
        if known := request_id(case.get("http", {}).get("headers", {})):
            assert finished.request_id == known
        calls = [(call.id, call.name, json.loads(call.arguments)) for call in finished.tool_calls]
        assert calls == [
            (call["id"] or "", call["name"], json.loads(call["arguments"])) for call in expect["tool_calls"]
        ]
    else:
        error = heard.error
        assert error is not None
        assert (error.kind, error.retryable) == (expect["error"]["kind"], expect["error"]["retryable"])
        # Anthropic counts an answer at its end; until then it has about one token.
        check_usage(error.usage, expect["usage"], kind="estimated" if kind == "anthropic" else "exact")
        for name in ("message", "code", "request_id"):
            if expect["error"].get(name):
                assert getattr(error, name) == expect["error"][name]


@pytest.mark.parametrize("vector", refusals())
async def test_a_recorded_refusal_says_what_to_do(vector: Any, service: Loopback) -> None:
    service.answers(json_reply(vector["status"], vector["body"], vector["headers"]))
    kind = kind_of(vector)
    provider = provider_at(service.url, kind, **SAMPLES[kind].settings)

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    expect = vector["expect"]
    assert (error.kind, error.retryable, error.retry_after_s) == (
        expect["kind"],
        expect["retryable"],
        expect["retry_after_s"],
    )
    if known := request_id(vector["headers"]):
        assert error.request_id == known


def test_every_recording_is_used() -> None:
    named = {case.values[0]["path"] for case in cases()}

    lying_there = {path for ending in ("sse", "ndjson", "frames.json") for path in WIRE.glob(f"*/*.{ending}")}

    assert lying_there <= named
    assert len(named) >= 35
