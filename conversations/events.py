"""What happens in a conversation, as its tabs are told: values, without JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """A message as a visitor may see it. `text` is None where a calm sentence takes its place."""

    id: str
    turn_id: str | None
    position: int
    role: str
    text: str | None
    status: str
    created_at: datetime
    replaces: str | None
    rating: int | None
    version: int | None


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation's head."""

    id: str
    status: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLine:
    """A conversation as one row of the visitor's list."""

    id: str
    title: str
    status: str
    last_message_at: datetime
    last_line: str


@dataclass(frozen=True, slots=True)
class MessageSaved:
    """The sender's message is stored. `client_id` is the sender's own id of it.

    `is_new` is False where it was stored before: it may have been answered since.
    """

    client_id: str
    message: MessageView
    conversation: ConversationView
    is_new: bool


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """Another tab's message is stored."""

    message: MessageView


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A message is not what it was."""

    message: MessageView


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn was taken up; its answer will be `message_id`."""

    turn_id: str
    message_id: str
    replaces: str | None


@dataclass(frozen=True, slots=True)
class TurnDelta:
    """A piece of the answer: `at` is its place in code points; `position` comes with the first."""

    turn_id: str
    at: int
    text: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """A turn has ended; `message` is its answer, final and whole."""

    turn_id: str
    status: str
    message: MessageView


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """Why a turn ended without an answer; follows its TurnFinished.

    `sentences`, by locale, stand in for the code's own.
    """

    turn_id: str
    code: str
    sentences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draining:
    """This process is going away: come back elsewhere."""

    reconnect_after_ms: int


Event = (
    MessageSaved
    | MessageAdded
    | MessageChanged
    | TurnStarted
    | TurnDelta
    | TurnFinished
    | TurnFailed
    | Draining
)
