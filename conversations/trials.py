"""One request outside of any conversation: asked of a route, measured, and booked as a test."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, assert_never

from chatbot.providers import fallback
from chatbot.providers.errors import ProviderError, RouteExhausted
from chatbot.providers.events import AttemptFailed, CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import ChatMessage, CompletionRequest, Usage, UsageKind
from conversations import tokens
from conversations.bookings import Bookings
from conversations.ledger import Posting
from conversations.models import Completion, CompletionStatus
from conversations.routes import Routes

PROBES_AT_ONCE = 8
CODE_CHARS = 64


DEFAULT_OUTPUT_TOKENS = 1024  # held for an answer whose length nobody bounds


@dataclass(frozen=True, slots=True)
class Cost:
    """`nanos` are billionths of `currency`'s unit; both None where it is unknown. `kind` is the counts'."""

    nanos: int | None = None
    currency: str | None = None
    kind: UsageKind = "unknown"


@dataclass(slots=True)
class Trial:
    """What came of it. `finish` is None and `is_complete` false where the answer has no end; `usage` and
    `cost` are those of the last attempt."""

    text: str = ""
    reasoning: str = ""
    finish: str | None = None
    is_complete: bool = False
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)
    error: ProviderError | None = None
    attempts: list[tuple[str, ProviderError | None]] = field(default_factory=list)
    first_delta_ms: int | None = None
    total_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as `manage.py ask --json` prints it."""
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
            "cost": {"nanos": self.cost.nanos, "currency": self.cost.currency, "kind": self.cost.kind},
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
    route: fallback.Route,
    request: CompletionRequest,
    *,
    bookings: Bookings,
    show: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Ask `route` and hand each piece of the answer to `show`. A failure stands in the trial."""
    trial = Trial()
    began = asked = time.monotonic()
    rows: list[Completion] = []

    async def compose(attempt: fallback.Attempt) -> CompletionRequest:
        nonlocal asked
        row = Completion(
            number=attempt.number,
            route=route.name,
            target=attempt.target.name,
            provider=attempt.target.provider.name,
            model=attempt.target.model,
        )
        parameters = route.parameters_for(attempt.target, request.parameters)
        await bookings.begin(
            row,
            input_tokens=_count(request),
            output_tokens=parameters.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
        )
        rows.append(row)
        trial.attempts.append((attempt.target.name, None))
        asked = time.monotonic()
        return request

    async def end(usage: Usage, request_id: str | None, *, error: ProviderError | None = None) -> None:
        row, name = rows[-1], trial.attempts[-1][0]
        trial.attempts[-1] = (name, error)
        trial.usage = usage
        row.status = CompletionStatus.FAILED if error else CompletionStatus.COMPLETED
        row.finish, row.error = trial.finish or "", error.kind if error else ""
        row.error_code = error.code[:CODE_CHARS] if error and error.code else ""
        row.request_id = (request_id or "")[:128]
        _count_in(row, usage if usage.kind != "unknown" or not trial.text else _guess(request, trial))
        row.total_ms = _ms_since(asked)
        trial.cost = _cost(await bookings.end(row))

    try:
        async with aclosing(fallback.stream(route, compose)) as events:
            async for event in events:
                match event:
                    case TextDelta():
                        if trial.first_delta_ms is None:
                            trial.first_delta_ms = _ms_since(began)
                            rows[-1].first_delta_ms = _ms_since(asked)
                        trial.text += event.text
                        show(event.text)
                    case ReasoningDelta():
                        trial.reasoning += event.text
                    case AttemptFailed():
                        if len(rows) == event.attempt:  # else it failed before there was a row
                            await end(event.error.usage, event.error.request_id, error=event.error)
                    case CompletionFinished():
                        trial.finish, trial.is_complete = event.finish, True
                        await end(event.usage, event.request_id)
                    case _:
                        assert_never(event)
    except RouteExhausted as error:
        trial.error = error.last
    except ProviderError as error:
        trial.error = error
        await end(error.usage, error.request_id, error=error)
    except asyncio.CancelledError:
        if rows and rows[-1].status == CompletionStatus.RUNNING:
            rows[-1].status = CompletionStatus.CANCELLED
            _count_in(rows[-1], _guess(request, trial))
            await asyncio.shield(bookings.end(rows[-1]))
        raise
    trial.total_ms = _ms_since(began)
    return trial


async def probe(routes: Routes, models: Sequence[str], *, bookings: Bookings) -> dict[str, Trial]:
    """Ask each of these model rows for one word, also those that rest; at most PROBES_AT_ONCE together."""
    request = CompletionRequest(system="", messages=(ChatMessage("user", "Answer with one word: ready"),))
    turn = asyncio.Semaphore(PROBES_AT_ONCE)

    async def asked(name: str) -> Trial:
        async with turn:
            return await ask(routes.only(name), request, bookings=bookings)

    return dict(zip(models, await asyncio.gather(*map(asked, models)), strict=True))


def _count(request: CompletionRequest) -> int:
    texts = [request.system, *(message.text for message in request.messages)]
    return sum(tokens.estimate(text) + tokens.MESSAGE_OVERHEAD for text in texts if text)


def _guess(request: CompletionRequest, trial: Trial) -> Usage:
    """What an answer that broke off has cost at least."""
    said = trial.reasoning + trial.text
    written = tokens.estimate(said) if said else 0
    return Usage(input_tokens=_count(request), output_tokens=written, kind="estimated")


def _count_in(row: Completion, usage: Usage) -> None:
    row.input_tokens, row.output_tokens = usage.input_tokens, usage.output_tokens
    row.cached_input_tokens, row.reasoning_tokens = usage.cached_input_tokens, usage.reasoning_tokens
    row.billed_input_tokens = usage.billed_input_tokens
    row.billed_output_tokens = usage.billed_output_tokens
    row.usage_kind = usage.kind


def _cost(posting: Posting) -> Cost:
    if posting.nanos is None:
        return Cost()
    return Cost(posting.nanos, posting.currency or None, posting.usage.kind)


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
