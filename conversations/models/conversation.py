from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.utils import timezone

from conversations.models import statements
from conversations.models.assistant import Assistant, PromptVersion
from conversations.models.ids import IdField, new_id
from conversations.models.visitor import Visitor

_LINE_CHARS = 120
TITLE_CHARS = 80


def first_line(text: str, length: int = _LINE_CHARS) -> str:
    """Return the beginning of `text` as one line of at most `length` characters."""
    flat = " ".join(text[: length * 4].split())
    return flat if len(flat) <= length else flat[: length - 1].rstrip() + "…"


class ConversationStatus(models.TextChoices):
    OPEN = "open"
    WITH_AGENT = "with_agent"
    CLOSED = "closed"


class Conversation(models.Model):
    """One visitor with one assistant, from the first message until closed.

    `last_position` is the highest position given out; the row is the lock under which positions
    are given and turns are made. Visitor messages up to `answered_through` have had their turn.
    """

    id = IdField(primary_key=True, default=new_id, editable=False)
    visitor = models.ForeignKey(Visitor, on_delete=models.PROTECT, db_index=False)
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT)
    status = models.CharField(
        max_length=16, choices=ConversationStatus.choices, default=ConversationStatus.OPEN
    )
    title = models.CharField(max_length=TITLE_CHARS, blank=True)
    locale = models.CharField(max_length=16, default="en")
    last_position = models.PositiveIntegerField(default=0)
    answered_through = models.PositiveIntegerField(default=0)
    last_line = models.CharField(max_length=_LINE_CHARS, blank=True)
    last_message_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["visitor", "assistant", "-last_message_at"], name="conversations_of_visitor"
            ),
            models.Index(fields=["-last_message_at"], name="conversations_by_age"),
        ]

    def __str__(self) -> str:
        return self.id


_LOCK = (
    "SELECT c.id, c.visitor_id, c.assistant_id, c.status, c.title, c.last_line, c.last_position,"
    " c.answered_through, c.last_message_at, a.live_version_id FROM conversations_conversation c"
    " JOIN conversations_assistant a ON a.id = c.assistant_id WHERE c.id = %s"
)


@dataclass(slots=True, kw_only=True)
class LockedConversation:
    """A conversation's row, locked until the transaction ends: who has it gives positions and makes turns.

    `live_version_id` is the assistant's; None if it has none.
    """

    id: str
    visitor_id: str
    assistant_id: int
    status: str
    title: str
    last_line: str
    last_position: int
    answered_through: int
    last_message_at: datetime
    live_version_id: int | None

    @classmethod
    def get(cls, conversation_id: str) -> "LockedConversation | None":
        """Lock a conversation; None where there is none."""
        found = statements.fetch(_LOCK + statements.for_update_of("c"), [conversation_id])
        if found is None:
            return None
        names = cls.__slots__
        row = cls(**dict(zip(names, found, strict=True)))
        row.last_message_at = statements.instant(row.last_message_at)
        return row

    def remember(self, text: str, at: datetime) -> None:
        """Let `text`, said at `at`, be the conversation's last line, and its title if it is the first."""
        self.title = self.title or first_line(text, TITLE_CHARS)
        self.last_line = first_line(text) or self.last_line
        self.last_message_at = at

    def save(self) -> None:
        """Write what may have changed."""
        statements.execute(
            "UPDATE conversations_conversation SET title = %s, last_line = %s, last_position = %s,"
            " answered_through = %s, last_message_at = %s WHERE id = %s",
            [
                self.title,
                self.last_line,
                self.last_position,
                self.answered_through,
                statements.moment(self.last_message_at),
                self.id,
            ],
        )


class Role(models.TextChoices):
    VISITOR = "visitor"
    ASSISTANT = "assistant"
    AGENT = "agent"
    NOTE = "note"


class MessageStatus(models.TextChoices):
    FINAL = "final"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    BLOCKED = "blocked"
    HIDDEN = "hidden"


class Message(models.Model):
    """One utterance. `position` orders a conversation's messages; there may be gaps.

    An answer's row is written when its turn ends; until then the turn holds its id and position.
    `client_id` is the visitor's own id of the message, by which it may be sent twice without harm.
    `text` is what its visitor may read; where that is not what was written, because it was blocked,
    hidden or masked, `withheld` is. `is_masked`: the model gets placeholders for a part of it.
    """

    id = IdField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.PROTECT, related_name="messages", db_index=False
    )
    visitor = models.ForeignKey(Visitor, on_delete=models.PROTECT, null=True, blank=True, db_index=False)
    client_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - NULL is outside the constraint
    turn = models.OneToOneField(
        "Turn", on_delete=models.PROTECT, null=True, blank=True, related_name="answer"
    )
    version = models.ForeignKey(
        PromptVersion, on_delete=models.PROTECT, null=True, blank=True, db_index=False
    )
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, db_index=False)
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=16, choices=Role.choices)
    status = models.CharField(max_length=16, choices=MessageStatus.choices, default=MessageStatus.FINAL)
    text = models.TextField(blank=True)
    withheld = models.TextField(blank=True)
    is_masked = models.BooleanField(default=False)
    rating = models.SmallIntegerField(null=True, blank=True)
    rating_comment = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["visitor", "client_id"], name="one_message_per_client_id"),
            models.UniqueConstraint(fields=["conversation", "position"], name="one_message_per_position"),
            models.CheckConstraint(condition=models.Q(rating__in=[1, -1]), name="rating_up_or_down"),
        ]
        indexes = [
            models.Index(
                fields=["conversation", "position"],
                condition=models.Q(is_masked=True),
                name="masked_messages",
            )
        ]

    def __str__(self) -> str:
        return self.id
