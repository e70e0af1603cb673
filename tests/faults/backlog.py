"""Ended turns whose tasks were never sent, as ten minutes without a broker leave them behind."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from conversations import tasks
from conversations.models import (
    Assistant,
    Completion,
    Conversation,
    LedgerEntry,
    Message,
    OutboxEntry,
    Turn,
    Visitor,
)

BATCH = 500


def write(turns: int) -> None:
    """Write so many turns, each with a call whose money is held, and their outbox entries."""
    assistant = Assistant.objects.get(is_default=True)
    assert assistant.live_version is not None
    now = timezone.now()
    at = now - timedelta(minutes=10)
    visitor = Visitor.objects.create()
    conversations = [Conversation(visitor=visitor, assistant=assistant, created_at=at) for _ in range(turns)]
    ended = [
        Turn(
            conversation=each, visitor=visitor, version=assistant.live_version, after=0, through=1,
            status="completed", created_at=at, finished_at=at,
        )
        for each in conversations
    ]  # fmt: skip
    said = {"route": "default", "provider": "biller", "model": "billed-1"}
    calls = [
        Completion(
            turn=each, number=1, target="billed", status="completed", input_tokens=100, output_tokens=10,
            usage_kind="exact", started_at=at, **said,
        )
        for each in ended
    ]  # fmt: skip
    holds = [
        LedgerEntry(
            completion=each, number=0, kind="hold", purpose="visitor", at=at, counts="estimated",
            assistant=assistant, **said,
        )
        for each in calls
    ]  # fmt: skip
    entries = [
        OutboxEntry(task=task, key=each.pk, created_at=at, sent_at=at)
        for each in ended
        for task in (tasks.LOG_TURN, tasks.BILL_TURN)
    ]
    answers = [
        Message(
            id=each.message_id, conversation=each.conversation, turn=each, position=2, role="assistant",
            text="It is on its way.", created_at=at,
        )
        for each in ended
    ]  # fmt: skip
    with transaction.atomic():
        Conversation.objects.bulk_create(conversations, BATCH)
        Turn.objects.bulk_create(ended, BATCH)
        Message.objects.bulk_create(answers, BATCH)
        Completion.objects.bulk_create(calls, BATCH)
        LedgerEntry.objects.bulk_create(holds, BATCH)
        OutboxEntry.objects.bulk_create(entries, BATCH)
