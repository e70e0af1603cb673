"""What is told of each call to a model service: numbers, and a line for each that failed."""

import re
from contextlib import suppress
from typing import Any

import pytest

from chatbot import metrics
from chatbot.calls import CallLog
from chatbot.providers import fallback
from chatbot.providers.base import CallLimits
from chatbot.providers.errors import IncompleteStream, RouteExhausted, TimedOut, of_kind
from chatbot.providers.events import CompletionFinished
from chatbot.providers.fallback import Route, Step, WeightedTarget
from chatbot.providers.gate import SharedGate
from chatbot.providers.messages import Usage
from chatbot.providers.scripted import Scripted, says
from tests.providers.asking import QUESTION, hear, target_of


class Desk:
    """Asks one target of its own; `name` makes its numbers its own too."""

    def __init__(self, name: str, *scripts: Any, **fields: Any) -> None:
        self.gate = SharedGate(witness=CallLog())
        self.target = target_of(Scripted(*scripts, name="service"), name=name, **fields)
        self.route = Route(name="r", steps=(Step((WeightedTarget(self.target),)),), gate=self.gate)

    async def asks(self) -> None:
        async def compose(attempt: Any) -> Any:
            return QUESTION

        with suppress(RouteExhausted):
            await hear(fallback.stream(self.route, compose))

    def value(self, name: str, **labels: str) -> float | None:
        said = ",".join(
            f'{key}="{word}"' for key, word in sorted({"target": self.target.name, **labels}.items())
        )
        found = re.search(
            rf"^{re.escape(f'{name}{{{said}}}')} (\S+)$", metrics.exposition().decode(), re.MULTILINE
        )
        return float(found[1]) if found else None

    def calls(self) -> dict[str, float | None]:
        return {each: self.value("chatbot_target_calls_total", outcome=each) for each in metrics.OUTCOMES}


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    records = [dict(record.msg) for record in caplog.records if isinstance(record.msg, dict)]
    return [record for record in records if record["event"] == event]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "BACKOFF_S", 0.0)


async def test_an_answer_is_counted_with_its_times_and_tokens() -> None:
    usage = Usage(input_tokens=11, output_tokens=7, kind="exact")
    desk = Desk("counted", says("Hello", finished=CompletionFinished(finish="stop", usage=usage)))

    await desk.asks()
    await desk.asks()

    assert desk.calls() == {"answered": 2, "failed": 0, "cancelled": 0, "refused": 0}
    assert desk.value("chatbot_target_tokens_total", direction="input") == 22
    assert desk.value("chatbot_target_tokens_total", direction="output") == 14
    assert desk.value("chatbot_target_first_delta_seconds_count") == 2
    assert desk.value("chatbot_target_call_seconds_count") == 2
    assert desk.value("chatbot_target_breaker_open") == 0
    await desk.gate.aclose()


async def test_each_failed_attempt_is_a_line_without_what_anybody_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = of_kind(
        "rate_limit", "You said: where is my parcel?", status=429, code="slow_down", request_id="req-1"
    )
    desk = Desk("failing", [error], ["Half", IncompleteStream("It broke off.", request_id="req-2")])

    await desk.asks()

    said = lines(caplog, "attempt failed")
    first, second = said
    assert first["level"] == "warning"
    wanted = {
        "target": "failing", "provider": "service", "model": "m", "kind": "rate_limit", "status": 429,
        "code": "slow_down", "provider_request_id": "req-1",
    }  # fmt: skip
    assert {key: first[key] for key in wanted} == wanted
    assert (second["kind"], second["provider_request_id"]) == ("incomplete_stream", "req-2")
    assert second["first_delta_ms"] is not None
    assert "parcel" not in str(said)
    assert desk.value("chatbot_target_errors_total", kind="rate_limit") == 1
    assert desk.value("chatbot_target_errors_total", kind="incomplete_stream") == 1
    assert desk.calls()["failed"] == 2
    await desk.gate.aclose()


async def test_what_our_own_limits_refuse_is_no_call() -> None:
    desk = Desk("limited", says("Hello"), service_limits=CallLimits(rpm=1))

    await desk.asks()
    await desk.asks()

    assert desk.calls() == {"answered": 1, "failed": 0, "cancelled": 0, "refused": 1}
    assert desk.value("chatbot_target_errors_total", kind="limited") == 1
    assert desk.value("chatbot_target_call_seconds_count") == 1
    await desk.gate.aclose()


async def test_an_open_breaker_shows_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    desk = Desk("resting", [TimedOut("first", "It hangs.")])

    await desk.asks()
    await desk.asks()

    assert desk.value("chatbot_target_breaker_open") == 1
    assert [line["kind"] for line in lines(caplog, "target rests")] == ["timeout"]
    assert [line["level"] for line in lines(caplog, "attempt failed")] == ["warning", "info"]
    assert desk.calls()["refused"] == 1
    await desk.gate.aclose()
