"""The tables, a file a subject."""

from conversations.models.assistant import Assistant, PromptVersion
from conversations.models.audit import AuditEntry
from conversations.models.budgets import (
    Budget,
    BudgetAlert,
    BudgetChange,
    BudgetPeriod,
    BudgetScope,
    BudgetSpend,
    Reservation,
)
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
from conversations.models.ledger import EntryKind, LedgerEntry, Purpose
from conversations.models.moderation import Decision, RuleChange, ScreeningRule, Verdict, VerdictSource
from conversations.models.outbox import OutboxEntry
from conversations.models.prices import NANOS, ExchangeRate, Price
from conversations.models.turn import UNFINISHED, Turn, TurnStatus
from conversations.models.visitor import Visitor

__all__ = [
    "NANOS",
    "UNFINISHED",
    "Assistant",
    "AuditEntry",
    "Budget",
    "BudgetAlert",
    "BudgetChange",
    "BudgetPeriod",
    "BudgetScope",
    "BudgetSpend",
    "Completion",
    "CompletionStatus",
    "Conversation",
    "ConversationStatus",
    "Decision",
    "EntryKind",
    "ExchangeRate",
    "HistoryWindow",
    "HourlyCounter",
    "LedgerEntry",
    "LockedConversation",
    "Message",
    "MessageStatus",
    "OutboxEntry",
    "Price",
    "PromptVersion",
    "Purpose",
    "Reservation",
    "Role",
    "RuleChange",
    "ScreeningRule",
    "Turn",
    "TurnStatus",
    "Verdict",
    "VerdictSource",
    "Visitor",
    "new_id",
]
