"""Rows of ended turns, as the turn machine would have left them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from conversations import tasks
from conversations.models import (
    Assistant,
    Completion,
    CompletionStatus,
    Conversation,
    Message,
    PromptVersion,
    Role,
    Turn,
    TurnStatus,
    Visitor,
)

START = datetime(2026, 11, 20, 9, 15, tzinfo=timezone.get_default_timezone())


def assistant(slug: str = "shop") -> Assistant:
    """Return an assistant with a live version."""
    row, is_new = Assistant.objects.get_or_create(slug=slug, defaults={"name": slug, "house": "Northwind"})
    if is_new:
        row.live_version = PromptVersion.objects.create(assistant=row, number=1, instructions="Be kind.")
        row.save()
    return row


def ended_turn(
    *,
    of: Assistant | None = None,
    conversation: Conversation | None = None,
    status: str = TurnStatus.COMPLETED,
    at: datetime = START,
    took_ms: int = 2000,
    first_delta_ms: int | None = 400,
    attempts: Sequence[Mapping[str, object]] = ({},),
) -> Turn:
    """Return a turn that has ended, with its question, its answer, its attempts and its outbox entry."""
    of = of or assistant()
    if conversation is None:
        conversation = Conversation.objects.create(
            visitor=Visitor.objects.create(), assistant=of, created_at=at
        )
    after = conversation.last_position
    Message.objects.create(
        conversation=conversation, visitor=conversation.visitor, position=after + 1, role=Role.VISITOR,
        text="Where is my parcel?", created_at=at,
    )  # fmt: skip
    ended_at = at + timedelta(milliseconds=took_ms)
    assert of.live_version is not None
    turn = Turn.objects.create(
        conversation=conversation, visitor=conversation.visitor, version=of.live_version, after=after,
        through=after + 1, position=after + 2, status=status, created_at=at, finished_at=ended_at,
        first_delta_ms=first_delta_ms,
    )  # fmt: skip
    Message.objects.create(
        id=turn.message_id, conversation=conversation, turn=turn, version=of.live_version, position=after + 2,
        role=Role.ASSISTANT, text="It is on its way.", created_at=ended_at,
    )  # fmt: skip
    Conversation.objects.filter(pk=conversation.pk).update(last_position=after + 2, last_message_at=ended_at)
    conversation.refresh_from_db()
    for number, attempt in enumerate(attempts, 1):
        Completion.objects.create(
            **{
                "turn": turn, "number": number, "route": "default", "target": "quick", "provider": "openai",
                "model": "gpt-5-mini", "status": CompletionStatus.COMPLETED, "input_tokens": 100,
                "output_tokens": 20, "usage_kind": "exact", "started_at": at, **attempt,
            }
        )  # fmt: skip
    tasks.after_turn(turn.pk)
    return turn
