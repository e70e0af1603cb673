"""Ending turns: the row, its message, completion and verdicts, and what must follow, in one transaction.

Functions are synchronous, for a database thread; see conversations.asking for how a turn comes to its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import transaction

from chatbot.providers.messages import Usage
from conversations import lifecycle, tasks, transcript, verdicts
from conversations.errors import BudgetExhaustedError
from conversations.events import MessageView
from conversations.lifecycle import TakenTurn
from conversations.models import (
    Completion,
    CompletionStatus,
    LockedConversation,
    MessageStatus,
    PromptVersion,
    Turn,
    TurnStatus,
    statements,
)
from conversations.verdicts import Found

NO_MONEY = BudgetExhaustedError.code

Status = Literal["completed", "stopped", "interrupted", "failed", "blocked"]
_MESSAGE_STATUS: dict[str, str] = {
    TurnStatus.COMPLETED: MessageStatus.FINAL,
    TurnStatus.STOPPED: MessageStatus.STOPPED,
    TurnStatus.INTERRUPTED: MessageStatus.INTERRUPTED,
    TurnStatus.FAILED: MessageStatus.FAILED,
    TurnStatus.BLOCKED: MessageStatus.BLOCKED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionEnd:
    """What is known of a completion when it ends."""

    completion_id: str
    status: str
    usage: Usage
    finish: str = ""
    error: str = ""
    error_code: str = ""
    request_id: str = ""
    first_delta_ms: int | None = None
    total_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn ends: `error` is a visitor's error code or empty.

    `text` is what the visitor may read, `withheld` the whole of what was written where that is something
    else, and `found` what screening found in it.
    """

    status: Status
    text: str
    withheld: str = ""
    found: Sequence[Found] = ()
    error: str = ""
    completion: CompletionEnd | None = None


def close_completion(end: CompletionEnd) -> None:
    """Write the end of a completion, once."""
    statements.execute(
        "UPDATE conversations_completion SET status = %s, finish = %s, error = %s, error_code = %s,"
        " request_id = %s, input_tokens = %s, output_tokens = %s, cached_input_tokens = %s,"
        " reasoning_tokens = %s, billed_input_tokens = %s, billed_output_tokens = %s, usage_kind = %s,"
        " first_delta_ms = %s, total_ms = %s"
        " WHERE id = %s AND status = 'running'",
        [
            end.status,
            end.finish,
            end.error,
            end.error_code,
            end.request_id,
            end.usage.input_tokens,
            end.usage.output_tokens,
            end.usage.cached_input_tokens,
            end.usage.reasoning_tokens,
            end.usage.billed_input_tokens,
            end.usage.billed_output_tokens,
            end.usage.kind,
            end.first_delta_ms,
            end.total_ms,
            end.completion_id,
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An ended turn as its tabs are told: `error` is a code or empty, `sentences` may say it by locale.

    `following` is the next turn, if there is need of one.
    """

    turn_id: str
    status: str
    message: MessageView
    error: str
    sentences: Mapping[str, str]
    following: TakenTurn | None = None


def finish(
    turn: TakenTurn, outcome: Outcome, *, process: str, generation: int | None, hand_on: bool = False
) -> Finished | None:
    """End a turn: its row, message, completion and outbox in one transaction.

    None if it is not the caller's to end (see lifecycle.end).
    """
    with transaction.atomic():
        ending = lifecycle.end(
            turn,
            status=outcome.status,
            text=outcome.text,
            withheld=outcome.withheld,
            message_status=_MESSAGE_STATUS[outcome.status],
            process=process,
            generation=generation,
            error=outcome.error,
            hand_on=hand_on,
            is_answered=outcome.error != NO_MONEY,
        )
        if ending is None:
            return None
        if outcome.completion is not None:
            close_completion(outcome.completion)
        verdicts.record(
            outcome.found, stage="output", conversation_id=turn.conversation_id, message_id=turn.message_id
        )
        tasks.after_turn(turn.id)
    return Finished(
        turn_id=turn.id,
        status=outcome.status,
        message=transcript.view(ending.message),
        error=outcome.error,
        sentences=_sentences(turn.version_id, outcome.error),
        following=lifecycle.taken(ending.following) if ending.following else None,
    )


def _sentences(version_id: int, error: str) -> Mapping[str, str]:
    """Return the version's own words for having no answer."""
    return PromptVersion.known(version_id).fallback if error == "model_unavailable" else {}


def claim(turn_id: str, process: str) -> TakenTurn | None:
    """Take a queued turn; None if another process was first."""
    with transaction.atomic():
        turn = lifecycle.claim(turn_id, process)
        if turn is not None:
            _close_left_open(turn_id)
        return turn


def finish_dead(row: Turn, *, process: str, text: str) -> Finished | None:
    """End the turn of a process that died, with what is known of its text."""
    with transaction.atomic():
        LockedConversation.get(row.conversation_id)  # always before a turn, or two of us wait for each other
        turn = lifecycle.fence_dead(row, process)
        if turn is None:
            return None
        _close_left_open(turn.id)
        status: Status = "stopped" if turn.stop_requested else "interrupted"
        return finish(turn, Outcome(status=status, text=text), process=process, generation=None)


def _close_left_open(turn_id: str) -> None:
    """Close the completions of a process that died: nobody will ever know more of them."""
    Completion.objects.filter(turn_id=turn_id, status=CompletionStatus.RUNNING).update(
        status=CompletionStatus.CANCELLED, error="incomplete_stream"
    )


def finish_queued(row: Turn) -> Finished | None:
    """End a queued turn that its visitor stopped before anyone took it up."""
    outcome = Outcome(status="stopped", text="")
    with transaction.atomic():
        finished = finish(lifecycle.taken(row), outcome, process="", generation=None)
        if finished is not None:
            _close_left_open(row.pk)
        return finished


def ended(turn_id: str) -> Finished | None:
    """Return an ended turn as its tabs are told; None while it has not ended."""
    row = Turn.objects.filter(pk=turn_id, finished_at__isnull=False).select_related("answer").first()
    if row is None:
        return None
    return Finished(
        turn_id=row.id,
        status=row.status,
        message=transcript.view(row.answer),
        error=row.error,
        sentences=_sentences(row.version_id, row.error),
    )
