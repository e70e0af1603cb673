"""The tables, a file a subject."""

from conversations.models.assistant import Assistant, PromptVersion
from conversations.models.completion import Completion, CompletionStatus, HistoryWindow
from conversations.models.conversation import (
    Conversation,
    ConversationStatus,
    LockedConversation,
    Message,
    MessageStatus,
    Role,
)
from conversations.models.counters import HourlyCounter
from conversations.models.ids import new_id
from conversations.models.outbox import OutboxEntry
from conversations.models.turn import UNFINISHED, Turn, TurnStatus
from conversations.models.visitor import Visitor

__all__ = [
    "UNFINISHED",
    "Assistant",
    "Completion",
    "CompletionStatus",
    "Conversation",
    "ConversationStatus",
    "HistoryWindow",
    "HourlyCounter",
    "LockedConversation",
    "Message",
    "MessageStatus",
    "OutboxEntry",
    "PromptVersion",
    "Role",
    "Turn",
    "TurnStatus",
    "Visitor",
    "new_id",
]
