"""`python -m tests.bench.seed COUNT CONVERSATION…`: give conversations a past of COUNT messages each."""

import sys

import django
from django.utils import timezone

django.setup()

from conversations.models import (  # noqa: E402 (models exist once Django is set up)
    Conversation,
    Message,
    Role,
    Turn,
    TurnStatus,
)

BATCH = 1000
QUESTION = "Where is my parcel? It should have been here on Tuesday."
ANSWER = "It is with the carrier and arrives tomorrow. You will get a message an hour before."


def seed(conversation: Conversation, count: int) -> None:
    """Add exchanges, question and answer, until the conversation has `count` messages."""
    last = Turn.objects.filter(conversation=conversation).latest("id")
    start, now = conversation.last_position, timezone.now()
    turns: list[Turn] = []
    messages: list[Message] = []
    for position in range(start + 1, count, 2):
        turn = Turn(
            conversation=conversation,
            visitor=conversation.visitor,
            version=last.version,
            after=position - 1,
            through=position,
            position=position + 1,
            status=TurnStatus.COMPLETED,
            visible_at=now,
            finished_at=now,
        )
        question = Message(
            conversation=conversation,
            visitor=conversation.visitor,
            client_id=f"seed {conversation.id} {position}",
            position=position,
            role=Role.VISITOR,
            text=QUESTION,
        )
        answer = Message(
            id=turn.message_id,
            conversation=conversation,
            turn=turn,
            version=last.version,
            position=position + 1,
            role=Role.ASSISTANT,
            text=ANSWER,
        )
        turns.append(turn)
        messages += [question, answer]
    Turn.objects.bulk_create(turns, batch_size=BATCH)
    Message.objects.bulk_create(messages, batch_size=BATCH)
    conversation.last_position = max(start, messages[-1].position if messages else 0)
    conversation.answered_through = conversation.last_position
    conversation.save(update_fields=["last_position", "answered_through"])


if __name__ == "__main__":
    for wanted in Conversation.objects.filter(id__in=sys.argv[2:]).select_related("visitor"):
        seed(wanted, int(sys.argv[1]))
