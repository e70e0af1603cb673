"""Server to browser: events and answers become text.

For example {"type":"turn.delta","turn_id":"01k…","at":12,"text":" days"}.
"""

from collections.abc import Sequence
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
from conversations.sentences import sentence

PROTOCOL = 1


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
