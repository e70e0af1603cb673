"""One run of a turn: composing for each target, asking, screening, showing.

It may be cancelled at any moment and still knows how to end.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from django.utils import timezone

from chatbot import database, metrics
from chatbot.providers import fallback
from chatbot.providers.errors import BadRequest, ProviderError, RouteExhausted
from chatbot.providers.events import AttemptFailed, CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import CompletionRequest, Usage
from conversations import lifecycle, screening, tokens, turns, verdicts, windows
from conversations.lifecycle import TakenTurn
from conversations.live import LocalAnswer
from conversations.models import CompletionStatus, PromptVersion, VerdictSource
from conversations.moderation.answer import AnswerGate
from conversations.turns import NO_MONEY, CompletionEnd, Outcome, Status
from conversations.verdicts import Found

MAX_ANSWER_CHARS = 200_000
_FILTERED = Found(source=VerdictSource.PROVIDER, rule_name="content_filter", action="block")


class WithdrawnError(Exception):
    """What was written may not be shown: the answer is over."""


class TurnLostError(Exception):
    """The turn was restarted, stopped or taken over: this run of it must not show anything."""


@dataclass(slots=True)
class Asking:
    """One run of a turn. `numbered` is how many completions earlier runs of it wrote. What the model
    thinks is counted, and shown to nobody."""

    turn: TakenTurn
    answer: LocalAnswer
    route: fallback.Route
    version: PromptVersion
    numbered: int = 0
    _rows: windows.Rows | None = None
    _attempt: windows.Attempt | None = None
    _thought: str = ""
    _gate: AnswerGate | None = None
    _is_broken: bool = False

    async def ask(self) -> Outcome:
        """Ask the route's targets and show the answer as it comes. Raises TurnLostError."""
        finished: CompletionFinished | None = None
        try:
            async with aclosing(fallback.stream(self.route, self._compose)) as events:
                async for event in events:
                    match event:
                        case TextDelta():
                            await self._show(event.text)
                        case ReasoningDelta():
                            self._thought += event.text
                        case AttemptFailed():
                            await self._attempt_failed(event.error)
                        case CompletionFinished():
                            finished = event
                        case _:
                            assert_never(event)
            if finished is not None and finished.finish not in ("error", "content_filter"):
                await self._show_rest()
        except WithdrawnError:
            return self._ended("blocked", finished=finished)
        except RouteExhausted as error:
            if error.last.kind == "content_filter":
                return Outcome(status="blocked", text="", found=[_FILTERED])
            is_broke = error.last.kind == "budget"
            return Outcome(status="failed", text="", error=NO_MONEY if is_broke else "model_unavailable")
        except ProviderError as error:
            self._count_error(error)
            if error.kind == "content_filter":  # some services say so after they have spoken
                return self._ended("blocked", error=error)
            with suppress(WithdrawnError):
                await self._show_rest()  # it breaks off here: nothing can become a match any more
            return self._ended("interrupted", error=error)
        if finished is None or finished.finish == "error":
            return self._ended("interrupted", finished=finished)
        if finished.finish == "content_filter":
            return self._ended("blocked", finished=finished)
        return self._ended("completed", finished=finished)

    def cut_short(self, status: Literal["stopped", "interrupted", "failed"], error: str = "") -> Outcome:
        """Return how the turn ends when it is cancelled here and now."""
        return self._ended(status, code=error)

    async def abandon(self) -> None:
        """Close the books of a run that another one follows."""
        end = self._completion_end(CompletionStatus.CANCELLED, None, None)
        if end is not None:
            await database.write(turns.close_completion, end)

    async def _compose(self, attempt: fallback.Attempt) -> CompletionRequest:
        preparing = database.writing(
            windows.prepare, self.turn, self.version, self._rows, self.route, attempt, self.numbered + 1
        )
        try:
            self._rows, request, attempt_begun, self._gate = await asyncio.shield(preparing)
        except asyncio.CancelledError:
            await asyncio.shield(_close_unasked(preparing))
            raise
        self._attempt, self.numbered, self._thought = attempt_begun, attempt_begun.number, ""
        return request

    async def _show(self, text: str) -> None:
        text = text.replace("\0", "")  # PostgreSQL's text has no such character
        if not text:
            return
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()  # nor halves of characters, nor has JSON
        metrics.DELTAS.inc()
        await self._tell(self._let_out(lambda gate: gate.feed(text)))

    async def _show_rest(self) -> None:
        await self._tell(self._let_out(AnswerGate.finish))

    def _let_out(self, work: Callable[[AnswerGate], str]) -> str:
        """Return what may be shown now, by the newest rules. Raises WithdrawnError."""
        gate = self._gate
        assert gate is not None
        shown = ""
        try:
            rules = screening.newest(gate.rules)
            if rules is not gate.rules:
                shown = gate.swap(screening.guarded(self.version, rules))
            shown += work(gate)
        except Exception as error:
            if not screening.broken(error):
                self._is_broken = True
                raise WithdrawnError from error
            return gate.open()
        if gate.is_blocked:
            raise WithdrawnError
        return shown

    def must_withdraw(self) -> bool:
        """Say whether the newest rules forbid what was written so far."""
        gate = self._gate
        if gate is None:
            return False
        rules = screening.newest(gate.rules)
        return rules is not gate.rules and gate.would_block(screening.guarded(self.version, rules))

    def withdraw(self) -> Outcome:
        """Return how the turn ends where `must_withdraw`."""
        if self._gate is not None:
            self._gate.swap(screening.guarded(self.version, screening.newest(self._gate.rules)))
        return self._ended("blocked")

    async def _tell(self, text: str) -> None:
        """Show what passed the gate."""
        if not text:
            return
        answer = self.answer
        if answer.position is None:
            await self._become_visible()
        if answer.length + len(text) > MAX_ANSWER_CHARS:
            raise BadRequest("invalid_request", "The answer is longer than anybody would read.")
        await answer.show(text)

    async def _become_visible(self) -> None:
        now = time.monotonic()
        if self._attempt is not None:
            self._attempt.first_delta_ms = int((now - self._attempt.started) * 1000)
        waited = timezone.now() - self.turn.created_at
        metrics.FIRST_DELTA.observe(waited.total_seconds())
        self.answer.position = await database.write(
            lifecycle.become_visible, self.turn, first_delta_ms=int(waited.total_seconds() * 1000)
        )
        if self.answer.position is None:
            raise TurnLostError

    async def _attempt_failed(self, error: ProviderError) -> None:
        self._count_error(error)
        end = self._completion_end(CompletionStatus.FAILED, None, error)
        if end is not None:
            await database.write(turns.close_completion, end)
        self._attempt = None

    def _count_error(self, error: ProviderError) -> None:
        provider = self._attempt.provider if self._attempt else "-"
        metrics.PROVIDER_ERRORS.labels(provider, error.kind).inc()

    def _ended(
        self,
        status: Status,
        *,
        finished: CompletionFinished | None = None,
        error: ProviderError | None = None,
        code: str = "",
    ) -> Outcome:
        is_failed = error is not None or (finished is not None and finished.finish == "error")
        completion = "failed" if is_failed else "cancelled" if finished is None else "completed"
        found, gate = self._found(finished, error), self._gate
        if any(each.action == "block" for each in found):
            status, code = "blocked", ""
        text, original = self.answer.text, gate.original if gate else ""
        if gate is not None and gate.text is not None:
            text = gate.text
        if status == "blocked":
            text = ""
        is_changed = status == "blocked" or any(each.action == "mask" for each in found)
        return Outcome(
            status=status,
            text=text,
            withheld=original if is_changed else "",
            found=found,
            error=code,
            completion=self._completion_end(completion, finished, error),
        )

    def _found(self, finished: CompletionFinished | None, error: ProviderError | None) -> list[Found]:
        """Return what screening found in the answer."""
        gate = self._gate
        if gate is None:
            return []
        found = [verdicts.of_finding(each, gate.original) for each in gate.findings]
        if gate.is_overflown:
            found.append(Found(source=VerdictSource.OVERFLOW, rule_name="", action="block"))
        if self._is_broken:
            found.append(Found(source=VerdictSource.BROKEN, rule_name="", action="block"))
        is_filtered = finished is not None and finished.finish == "content_filter"
        if is_filtered or (error is not None and error.kind == "content_filter"):
            found.append(_FILTERED)
        return found

    def _completion_end(
        self, status: str, finished: CompletionFinished | None, error: ProviderError | None
    ) -> CompletionEnd | None:
        attempt = self._attempt
        if attempt is None:
            return None
        usage = finished.usage if finished else error.usage if error else Usage()
        if usage.kind != "exact" and (error is None or self._written or self._thought):
            usage = self._estimate(attempt, usage)
        request_id = (finished and finished.request_id) or (error and error.request_id)
        return CompletionEnd(
            completion_id=attempt.completion_id,
            status=status,
            usage=usage,
            finish=finished.finish if finished else "",
            error=error.kind if error else "",
            error_code=((error and error.code) or "")[:64],
            request_id=(request_id or "")[:128],
            first_delta_ms=attempt.first_delta_ms,
            total_ms=int((time.monotonic() - attempt.started) * 1000),
        )

    def _estimate(self, attempt: windows.Attempt, known: Usage) -> Usage:
        """Return what is known, and by our own count what is not. Of an answer that broke off the service
        may have counted less than it said."""
        count, _ = tokens.counter_for(attempt.model)
        thought, said = (count(text) if text else 0 for text in (self._thought, self._written))
        return replace(
            known,
            input_tokens=attempt.input_tokens if known.input_tokens is None else known.input_tokens,
            output_tokens=max(known.output_tokens or 0, thought + said),
            reasoning_tokens=(thought or None) if known.reasoning_tokens is None else known.reasoning_tokens,
            kind="estimated",
        )

    @property
    def _written(self) -> str:
        """What the model has written, shown or not."""
        return self._gate.original if self._gate else ""


async def _close_unasked(preparing: asyncio.Future[windows.Prepared]) -> None:
    """Close a completion that is written all the same, though nothing will be asked."""
    await asyncio.wait([preparing])
    if not preparing.cancelled() and preparing.exception() is None:
        _, _, attempt, _ = preparing.result()
        nothing = Usage(input_tokens=0, output_tokens=0, kind="exact")
        end = CompletionEnd(
            completion_id=attempt.completion_id, status=CompletionStatus.CANCELLED, usage=nothing
        )
        await database.write(turns.close_completion, end)
