"""One question outside of any conversation: asked of a route, measured, and booked as a test."""

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, assert_never

from chatbot import database
from chatbot.providers import fallback
from chatbot.providers.errors import ProviderError, RouteExhausted
from chatbot.providers.events import AttemptFailed, CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import ChatMessage, CompletionRequest, Usage
from conversations.models import Completion, CompletionStatus


@dataclass(slots=True)
class Trial:
    """What came of it. `finish` is None and `is_complete` false where the answer has no end."""

    text: str = ""
    reasoning: str = ""
    finish: str | None = None
    is_complete: bool = False
    usage: Usage = field(default_factory=Usage)
    error: ProviderError | None = None
    attempts: list[tuple[str, ProviderError | None]] = field(default_factory=list)
    first_delta_ms: int | None = None
    total_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as `manage.py ask --json` prints it. Without a price table every cost is unknown."""
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "finish": self.finish,
            "complete": self.is_complete,
            "usage": {
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "cached_input_tokens": self.usage.cached_input_tokens,
                "reasoning_tokens": self.usage.reasoning_tokens,
                "kind": self.usage.kind,
            },
            "cost": {"nanos": None, "currency": None, "kind": "unknown"},
            "error": self.error
            and {
                "kind": self.error.kind,
                "message": self.error.message,
                "retryable": self.error.retryable,
                "retry_after_s": self.error.retry_after_s,
            },
            "attempts": [{"model": model, "error": error and error.kind} for model, error in self.attempts],
            "first_delta_ms": self.first_delta_ms,
            "total_ms": self.total_ms,
        }


async def ask(
    route: fallback.Route, question: str, *, system: str, show: Callable[[str], None] = lambda _: None
) -> Trial:
    """Ask `route` and hand each piece of the answer to `show`. A failure stands in the trial."""
    trial = Trial()
    request = CompletionRequest(system=system, messages=(ChatMessage("user", question),))
    began = time.monotonic()
    rows: list[Completion] = []

    async def compose(attempt: fallback.Attempt) -> CompletionRequest:
        row = Completion(
            number=attempt.number,
            route=route.name,
            target=attempt.target.name,
            provider=attempt.target.provider.name,
            model=attempt.target.model,
        )
        await database.run(row.save, force_insert=True)
        rows.append(row)
        trial.attempts.append((attempt.target.name, None))
        return request

    try:
        async with aclosing(fallback.stream(route, compose)) as events:
            async for event in events:
                match event:
                    case TextDelta():
                        if trial.first_delta_ms is None:
                            trial.first_delta_ms = _ms_since(began)
                        trial.text += event.text
                        show(event.text)
                    case ReasoningDelta():
                        trial.reasoning += event.text
                    case AttemptFailed():
                        await _failed(trial, rows, event.error)
                    case CompletionFinished():
                        trial.finish, trial.is_complete, trial.usage = event.finish, True, event.usage
                        await database.run(_close, rows[-1], trial, event.request_id or "")
                    case _:
                        assert_never(event)
    except RouteExhausted as error:
        trial.error = error.last
    except ProviderError as error:
        trial.error = error
        trial.usage = error.usage
        await _failed(trial, rows, error)
    trial.total_ms = _ms_since(began)
    return trial


async def _failed(trial: Trial, rows: list[Completion], error: ProviderError) -> None:
    if not rows or trial.attempts[-1][1] is not None:  # it failed before there was a row
        return
    trial.attempts[-1] = (trial.attempts[-1][0], error)
    rows[-1].error = error.kind
    await database.run(_close, rows[-1], trial, error.request_id or "")


def _close(row: Completion, trial: Trial, request_id: str) -> None:
    row.status = CompletionStatus.FAILED if row.error else CompletionStatus.COMPLETED
    row.finish = trial.finish or ""
    row.request_id = request_id[:128]
    row.input_tokens, row.output_tokens = trial.usage.input_tokens, trial.usage.output_tokens
    row.cached_input_tokens = trial.usage.cached_input_tokens
    row.reasoning_tokens = trial.usage.reasoning_tokens
    row.usage_kind = trial.usage.kind
    row.first_delta_ms = trial.first_delta_ms
    row.save()


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
