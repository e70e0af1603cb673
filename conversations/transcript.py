"""What was said: storing visitors' messages and reading conversations.

Functions here are synchronous and belong in a database thread. Those that write say so, and leave
the transaction to their caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from conversations.errors import ConflictError, NotFoundError
from conversations.events import ConversationLine, ConversationView, MessageView
from conversations.models import (
    Conversation,
    ConversationStatus,
    LockedConversation,
    Message,
    MessageStatus,
    PromptVersion,
    Role,
    Visitor,
    statements,
)

PAGE_MESSAGES = 50
PAGE_CONVERSATIONS = 20


def head(conversation: Conversation | LockedConversation) -> ConversationView:
    """Return a conversation's head as its visitor sees it."""
    return ConversationView(conversation.id, conversation.status, conversation.title)


def view(message: Message) -> MessageView:
    """Return a message as its visitor sees it. Hidden and withdrawn text stays behind."""
    withheld = message.status == MessageStatus.HIDDEN or (
        message.status == MessageStatus.BLOCKED and message.role == Role.ASSISTANT
    )
    return MessageView(
        id=message.id,
        turn_id=message.turn_id,
        position=message.position,
        role=message.role,
        text=None if withheld else message.text,
        status=message.status,
        created_at=message.created_at,
        replaces=message.replaces_id,
        rating=message.rating,
        version=None if message.version_id is None else PromptVersion.known(message.version_id).number,
    )


def is_over(conversation: Conversation | LockedConversation, now: datetime) -> bool:
    """Say whether the next message opens a new conversation."""
    idle = timedelta(hours=settings.CONVERSATION_IDLE_H)
    return conversation.status == ConversationStatus.CLOSED or (
        conversation.status == ConversationStatus.OPEN and conversation.last_message_at < now - idle
    )


def lock(conversation_id: str, visitor_id: str) -> LockedConversation:
    """Return the visitor's conversation, locked until the transaction ends. Else NotFoundError."""
    row = LockedConversation.get(conversation_id)
    if row is None or row.visitor_id != visitor_id:
        raise NotFoundError("There is no such conversation.")
    return row


def open_conversation(
    *, visitor_id: str, assistant_id: int, locale: str, now: datetime
) -> LockedConversation:
    """Write a new conversation, and its visitor if nothing of them was stored before."""
    Visitor.objects.bulk_create([Visitor(id=visitor_id)], ignore_conflicts=True)
    row = Conversation(visitor_id=visitor_id, assistant_id=assistant_id, locale=locale, last_message_at=now)
    row.save(force_insert=True)
    return lock(row.id, visitor_id)


def close(conversation: LockedConversation, now: datetime) -> None:
    """Write that a conversation is over."""
    Conversation.objects.filter(pk=conversation.id).update(status=ConversationStatus.CLOSED, closed_at=now)


def store(
    conversation: LockedConversation,
    *,
    client_id: str,
    text: str,
    now: datetime,
    is_blocked: bool = False,
    is_masked: bool = False,
) -> Message:
    """Write a visitor's message at the next position of a locked conversation.

    One that `is_blocked` is nobody's title or last line. Raises IntegrityError where this visitor's
    `client_id` is already stored.
    """
    conversation.last_position += 1
    message = Message(
        conversation_id=conversation.id,
        visitor_id=conversation.visitor_id,
        client_id=client_id,
        position=conversation.last_position,
        role=Role.VISITOR,
        status=MessageStatus.BLOCKED if is_blocked else MessageStatus.FINAL,
        text=text,
        is_masked=is_masked,
        created_at=now,
    )
    statements.insert(message)
    conversation.remember("" if is_blocked else text, now)
    conversation.save()
    return message


def stored_before(visitor_id: str, client_id: str, text: str) -> tuple[Message, Conversation]:
    """Return the message this visitor sent under `client_id`. With other text: ConflictError."""
    message = Message.objects.select_related("conversation").get(visitor_id=visitor_id, client_id=client_id)
    if message.text != text:
        raise ConflictError("This id stands for another message.")
    return message, message.conversation


def newest_open(visitor_id: str, assistant_id: int) -> Conversation | None:
    """Return the visitor's newest conversation with this assistant that is not over."""
    row = (
        Conversation.objects.filter(visitor_id=visitor_id, assistant_id=assistant_id)
        .order_by("-last_message_at", "-id")
        .first()
    )
    return None if row is None or is_over(row, timezone.now()) else row


def conversation_of(visitor_id: str, assistant_id: int, conversation_id: str) -> Conversation:
    """Return the visitor's conversation with this assistant. Else NotFoundError."""
    row = Conversation.objects.filter(
        pk=conversation_id, visitor_id=visitor_id, assistant_id=assistant_id
    ).first()
    if row is None:
        raise NotFoundError("There is no such conversation.")
    return row


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of a conversation, oldest first; `more` says whether there are older ones."""

    items: Sequence[MessageView]
    more: bool


def page(conversation_id: str, *, before: int | None = None) -> Page:
    """Return the newest messages, or the newest before a position. Staff's notes stay out."""
    rows = Message.objects.filter(conversation_id=conversation_id).exclude(role=Role.NOTE)
    if before is not None:
        rows = rows.filter(position__lt=before)
    newest = list(rows.order_by("-position")[: PAGE_MESSAGES + 1])
    return Page([view(row) for row in reversed(newest[:PAGE_MESSAGES])], len(newest) > PAGE_MESSAGES)


def message_view(message_id: str) -> MessageView | None:
    """Return one message, or None where there is none."""
    row = Message.objects.filter(pk=message_id).first()
    return None if row is None else view(row)


def conversations(
    visitor_id: str, assistant_id: int, *, query: str = "", before: str | None = None
) -> tuple[list[ConversationLine], bool]:
    """Return a page of the visitor's conversations, newest first, and whether there are more.

    `query` finds titles and message text; `before` is the id or the `last_message_at` of the last
    item of the page before.
    """
    rows = Conversation.objects.filter(visitor_id=visitor_id, assistant_id=assistant_id)
    if query:
        said = Message.objects.filter(conversation__visitor_id=visitor_id, text__icontains=query).exclude(
            Q(status__in=[MessageStatus.HIDDEN, MessageStatus.BLOCKED]) | Q(role=Role.NOTE)
        )
        rows = rows.filter(Q(title__icontains=query) | Q(pk__in=said.values("conversation_id")))
    if before:
        rows = rows.filter(_older_than(before, visitor_id))
    found = list(rows.order_by("-last_message_at", "-id")[: PAGE_CONVERSATIONS + 1])
    lines = [
        ConversationLine(
            id=row.id,
            title=row.title,
            status=row.status,
            last_message_at=row.last_message_at,
            last_line=row.last_line,
        )
        for row in found[:PAGE_CONVERSATIONS]
    ]
    return lines, len(found) > PAGE_CONVERSATIONS


def _older_than(before: str, visitor_id: str) -> Q:
    last = Conversation.objects.filter(pk=before, visitor_id=visitor_id).first()
    if last is not None:
        return Q(last_message_at__lt=last.last_message_at) | Q(
            last_message_at=last.last_message_at, pk__lt=last.pk
        )
    try:
        at = parse_datetime(before)
    except ValueError:
        at = None
    if at is None or timezone.is_naive(at):
        raise NotFoundError("There is no such conversation.")
    return Q(last_message_at__lt=at)


def rate(visitor_id: str, message_id: str, *, rating: int | None, comment: str) -> tuple[str, MessageView]:
    """Write what the visitor thinks of an answer; return its conversation's id and the message.

    Raises NotFoundError.
    """
    row = (
        Message.objects.filter(pk=message_id, conversation__visitor_id=visitor_id)
        .exclude(role__in=[Role.VISITOR, Role.NOTE])
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such answer.")
    row.rating, row.rating_comment = rating, comment
    row.save(update_fields=["rating", "rating_comment"])
    return row.conversation_id, view(row)
