"""Recorded traffic of each vendor, cut and ended as its manifest says, gives what the manifest expects."""

import json
from pathlib import Path
from typing import Any

import pytest

from chatbot.providers.messages import UNKNOWN_USAGE, Usage
from tests.providers.asking import ask, provider_at
from tests.providers.loopback import Loopback, Reply, cut

WIRE = Path(__file__).parents[1] / "wire"
KINDS = {"openai_chat": "openai", "openai_compatible": "openai", "openai_completions": "completions"}


def cases() -> list[Any]:
    found = []
    for manifest in sorted(WIRE.glob("*/manifest.json")):
        for case in json.loads(manifest.read_text("utf-8"))["cases"]:
            case["path"] = manifest.parent / case["file"]
            found.append(pytest.param(case, id=case["id"]))
    return found


def expected_usage(said: dict[str, int] | None) -> Usage:
    if said is None:
        return UNKNOWN_USAGE
    return Usage(
        input_tokens=said["input"],
        output_tokens=said["output"],
        cached_input_tokens=said.get("cached"),
        reasoning_tokens=said.get("reasoning"),
        kind="exact",
    )


@pytest.mark.parametrize("case", cases())
async def test_a_recorded_stream_is_read_as_its_sender_meant_it(case: Any, service: Loopback) -> None:
    expect, http = case["expect"], case["http"]
    pieces = cut(case["path"].read_bytes(), case["split"])
    service.answers(Reply(status=http["status"], headers=http["headers"], pieces=pieces, end=case["end"]))
    provider = provider_at(service.url, KINDS[case["provider"]])

    heard = await ask(provider)
    await provider.aclose()

    assert (heard.text, heard.reasoning) == (expect["text"], expect["reasoning"])
    if expect["complete"]:
        assert heard.error is None
        finished = heard.finished
        assert (finished.finish, finished.finish_raw) == (expect["finish"], expect["finish_raw"])
        assert finished.usage == expected_usage(expect["usage"])
        assert finished.request_id == http["headers"].get("x-request-id")
        calls = [(call.id, call.name, json.loads(call.arguments)) for call in finished.tool_calls]
        assert calls == [
            (call["id"], call["name"], json.loads(call["arguments"])) for call in expect["tool_calls"]
        ]
    else:
        error = heard.error
        assert error is not None
        assert (error.kind, error.retryable) == (expect["error"]["kind"], expect["error"]["retryable"])
        assert error.usage == expected_usage(expect["usage"])
        if expect["error"]["message"]:
            assert error.message == expect["error"]["message"]


def test_every_recording_is_used() -> None:
    named = {case.values[0]["path"] for case in cases()}

    lying_there = {path for path in WIRE.glob("*/*.sse")}

    assert lying_there <= named
    assert len(named) >= 13
