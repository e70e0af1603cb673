"""The JSON of the chat socket, version 1: the only place that knows it.

Browser to server: `parse` turns text into one of the frames of `ClientFrame`.
Server to browser: `render` and its siblings turn events and answers into text, for example
{"type":"turn.delta","turn_id":"01k…","at":12,"text":" days"}.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

import orjson

from conversations.errors import ConversationError
from conversations.events import (
    ConversationLine,
    ConversationView,
    Draining,
    Event,
    MessageAdded,
    MessageChanged,
    MessageSaved,
    MessageView,
    TurnDelta,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from conversations.sentences import LOCALES, sentence

PROTOCOL = 1
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


def _json(frame: dict[str, Any]) -> str:
    return orjson.dumps(frame).decode()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(view: MessageView, locale: str) -> dict[str, Any]:
    return {
        "id": view.id,
        "turn_id": view.turn_id,
        "position": view.position,
        "role": view.role,
        "text": sentence("withdrawn", locale) if view.text is None else view.text,
        "status": view.status,
        "created_at": _time(view.created_at),
        "replaces": view.replaces,
        "rating": view.rating,
        "version": view.version,
    }


def _conversation(view: ConversationView) -> dict[str, Any]:
    return {"id": view.id, "status": view.status, "title": view.title}


def render(event: Event, locale: str) -> str:
    """Return an event as a frame for a tab in `locale`."""
    match event:
        case TurnDelta():
            frame: dict[str, Any] = {
                "type": "turn.delta",
                "turn_id": event.turn_id,
                "at": event.at,
                "text": event.text,
            }
            if event.at == 0:
                frame["position"] = event.position
        case MessageSaved():
            frame = {
                "type": "message.saved",
                "id": event.client_id,
                "message": _message(event.message, locale),
                "conversation": _conversation(event.conversation),
            }
        case MessageAdded():
            frame = {"type": "message.added", "message": _message(event.message, locale)}
        case MessageChanged():
            frame = {"type": "message.changed", "message": _message(event.message, locale)}
        case TurnStarted():
            frame = {
                "type": "turn.started",
                "turn_id": event.turn_id,
                "message_id": event.message_id,
                "replaces": event.replaces,
            }
        case TurnFinished():
            frame = {
                "type": "turn.finished",
                "turn_id": event.turn_id,
                "status": event.status,
                "message": _message(event.message, locale),
            }
        case TurnFailed():
            frame = {
                "type": "error",
                "code": event.code,
                "text": event.sentences.get(locale) or sentence(event.code, locale),
                "turn_id": event.turn_id,
            }
        case Draining():
            frame = {"type": "draining", "reconnect_after_ms": event.reconnect_after_ms}
        case _:
            assert_never(event)
    return _json(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTurn:
    """The queued or running turn of a `ready`, with everything shown so far."""

    id: str
    message_id: str
    position: int | None
    replaces: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything a tab shows."""

    visitor_id: str
    token: str
    slug: str
    name: str
    greeting: str
    starters: Sequence[str]
    message_max_chars: int
    conversation: ConversationView | None
    messages: Sequence[MessageView]
    more: bool
    turn: RunningTurn | None


def ready(state: Ready, locale: str) -> str:
    """Return the `ready` frame."""
    turn = state.turn
    return _json(
        {
            "type": "ready",
            "protocol": PROTOCOL,
            "visitor": {"id": state.visitor_id, "token": state.token},
            "assistant": {
                "slug": state.slug,
                "name": state.name,
                "greeting": state.greeting,
                "starters": list(state.starters),
            },
            "limits": {"message_max_chars": state.message_max_chars},
            "conversation": state.conversation and _conversation(state.conversation),
            "messages": [_message(each, locale) for each in state.messages],
            "more": state.more,
            "turn": turn
            and {
                "id": turn.id,
                "message_id": turn.message_id,
                "position": turn.position,
                "replaces": turn.replaces,
                "text": turn.text,
            },
        }
    )


def messages(items: Sequence[MessageView], *, more: bool, locale: str, frame_id: str | None) -> str:
    """Return one page of older messages."""
    frame: dict[str, Any] = {
        "type": "messages",
        "items": [_message(each, locale) for each in items],
        "more": more,
    }
    return _json(_answering(frame, frame_id))


def conversations(items: Sequence[ConversationLine], *, more: bool, frame_id: str | None) -> str:
    """Return one page of the visitor's conversations."""
    rows = [
        {
            "id": each.id,
            "title": each.title,
            "status": each.status,
            "last_message_at": _time(each.last_message_at),
            "last_line": each.last_line,
        }
        for each in items
    ]
    return _json(_answering({"type": "conversations", "items": rows, "more": more}, frame_id))


def pong(frame_id: str | None) -> str:
    """Return the answer to a ping."""
    return _json(_answering({"type": "pong"}, frame_id))


def refusal(error: ConversationError, locale: str, frame_id: str | None, ref: str | None = None) -> str:
    """Return the error frame that answers a client's frame."""
    frame: dict[str, Any] = {"type": "error", "code": error.code, "text": sentence(error.code, locale)}
    if error.retry_after_s is not None:
        frame["retry_after_s"] = error.retry_after_s
    if ref is not None:
        frame["ref"] = ref
    return _json(_answering(frame, frame_id))


def _answering(frame: dict[str, Any], frame_id: str | None) -> dict[str, Any]:
    if frame_id is not None:
        frame["id"] = frame_id
    return frame
