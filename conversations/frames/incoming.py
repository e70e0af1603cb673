"""Browser to server: text becomes one of the frames of `ClientFrame`, or a BadFrameError.

For example {"type":"message.send","id":"8d2f…","text":"Where is my parcel?"}.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from conversations.errors import ConversationError
from conversations.sentences import LOCALES

MAX_FRAME_BYTES = 64 * 1024
_MAX_ID_CHARS = 64
_MAX_COMMENT_CHARS = 1000
_MAX_QUERY_CHARS = 200


class BadFrameError(ConversationError):
    """Not a frame of this protocol. `frame_id` is the frame's own id, if it could be read."""

    code = "bad_frame"

    def __init__(self, reason: str, frame_id: str | None = None) -> None:
        super().__init__(reason)
        self.frame_id = frame_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who is there; must come first."""

    id: str | None
    token: str | None
    assistant: str | None
    conversation_id: str | None
    locale: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSend:
    """A message. `id` is the client's own; `conversation_id`, where given, must be the open one."""

    id: str
    text: str
    conversation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStop:
    """End this turn now."""

    id: str | None
    turn_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRetry:
    """Answer again."""

    id: str | None
    turn_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSend:
    """Thumbs: `rating` is 1, -1 or None (taken back)."""

    id: str | None
    message_id: str
    rating: int | None
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOpen:
    """Show this conversation; None shows a new one."""

    id: str | None
    conversation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsList:
    """Earlier conversations; `before` is the last item of the page before."""

    id: str | None
    query: str
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesList:
    """Messages older than the position `before`."""

    id: str | None
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Tell me everything again."""

    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Are you there?"""

    id: str | None


ClientFrame = (
    Hello
    | MessageSend
    | TurnStop
    | TurnRetry
    | FeedbackSend
    | ConversationOpen
    | ConversationsList
    | MessagesList
    | Sync
    | Ping
)


class _Fields:
    """A frame's fields, read with their types."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.id: str | None = None
        self.id = self.text("id", max_chars=_MAX_ID_CHARS)

    def refuse(self, name: str, wanted: str) -> BadFrameError:
        return BadFrameError(f"Field `{name}` must be {wanted}.", self.id)

    def text(self, name: str, *, max_chars: int | None = None) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or (max_chars is not None and len(value) > max_chars):
            raise self.refuse(
                name, "text" if max_chars is None else f"text of at most {max_chars} characters"
            )
        return value.replace("\0", "")

    def needed(self, name: str, *, max_chars: int | None = _MAX_ID_CHARS) -> str:
        value = self.text(name, max_chars=max_chars)
        if not value:
            raise self.refuse(name, "given")
        return value

    def number(self, name: str) -> int | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < 2**31:
            raise self.refuse(name, "a whole number")
        return value


def _message_send(fields: _Fields) -> MessageSend:
    text = fields.text("text")
    if text is None or not text.strip():
        raise fields.refuse("text", "given and not blank")
    return MessageSend(
        id=fields.needed("id"),
        text=text,
        conversation_id=fields.text("conversation_id", max_chars=_MAX_ID_CHARS),
    )


def _feedback(fields: _Fields) -> FeedbackSend:
    rating = fields.number("rating")
    if rating not in (1, -1, None):
        raise fields.refuse("rating", "1, -1 or null")
    comment = fields.text("comment", max_chars=_MAX_COMMENT_CHARS) or ""
    return FeedbackSend(id=fields.id, message_id=fields.needed("message_id"), rating=rating, comment=comment)


def _messages_list(fields: _Fields) -> MessagesList:
    before = fields.number("before")
    if before is None:
        raise fields.refuse("before", "given")
    return MessagesList(id=fields.id, before=before)


def _hello(fields: _Fields) -> Hello:
    locale = fields.text("locale", max_chars=_MAX_ID_CHARS)
    return Hello(
        id=fields.id,
        token=fields.text("token", max_chars=500),
        assistant=fields.text("assistant", max_chars=_MAX_ID_CHARS),
        conversation_id=fields.text("conversation_id", max_chars=_MAX_ID_CHARS),
        locale=locale if locale in LOCALES else None,
    )


_READERS: dict[str, Callable[[_Fields], ClientFrame]] = {
    "hello": _hello,
    "message.send": _message_send,
    "turn.stop": lambda fields: TurnStop(id=fields.id, turn_id=fields.needed("turn_id")),
    "turn.retry": lambda fields: TurnRetry(id=fields.id, turn_id=fields.needed("turn_id")),
    "feedback.send": _feedback,
    "conversation.open": lambda fields: ConversationOpen(
        id=fields.id, conversation_id=fields.text("conversation_id", max_chars=_MAX_ID_CHARS)
    ),
    "conversations.list": lambda fields: ConversationsList(
        id=fields.id,
        query=(fields.text("query", max_chars=_MAX_QUERY_CHARS) or "").strip(),
        before=fields.text("before", max_chars=_MAX_ID_CHARS),
    ),
    "messages.list": _messages_list,
    "sync": lambda fields: Sync(id=fields.id),
    "ping": lambda fields: Ping(id=fields.id),
}
CLIENT_TYPES = tuple(_READERS)


def parse(text: str) -> ClientFrame:
    """Read one frame, or raise BadFrameError.

    orjson refuses what JSON refuses (NaN, lone surrogates) and nesting over 1024 levels.
    """
    if len(text) > MAX_FRAME_BYTES or len(text.encode("utf-8", "replace")) > MAX_FRAME_BYTES:
        raise BadFrameError("A frame may have at most 64 KiB.")
    try:
        raw = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise BadFrameError("Not JSON.") from error
    if not isinstance(raw, dict):
        raise BadFrameError("A frame is a JSON object.")
    fields = _Fields(raw)
    kind = raw.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadFrameError("Unknown type.", fields.id)
    return reader(fields)
