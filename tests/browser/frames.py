"""Frames as the server sends them, for tests to say."""

from datetime import UTC, datetime, timedelta
from typing import Any

Frame = dict[str, Any]

CONVERSATION: Frame = {"id": "c1", "status": "open", "title": "Exchange for a Skagen shell"}
ASSISTANT: Frame = {
    "slug": "northwind",
    "name": "Northwind Assistant",
    "greeting": "Hello. How can we help?",
    "starters": [
        "Where is my order?",
        "How do I return or exchange something?",
        "Help me find the right size",
        "What does delivery cost?",
    ],
}


def ago(**span: float) -> str:
    """Return an instant before now, as frames write it."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(
    id: str,
    role: str,
    text: str,
    position: int,
    *,
    turn: str | None = None,
    at: str | None = None,
    **more: Any,
) -> Frame:
    """Return a message; `more` replaces fields."""
    return {
        "id": id,
        "turn_id": turn,
        "position": position,
        "role": role,
        "text": text,
        "status": "final",
        "created_at": at or ago(minutes=2),
        "replaces": None,
        "rating": None,
        "version": 1 if role == "assistant" else None,
        **more,
    }


def question(id: str, text: str, position: int, **more: Any) -> Frame:
    """Return a visitor's message."""
    return message(id, "visitor", text, position, **more)


def answer(id: str, text: str, position: int, turn: str, **more: Any) -> Frame:
    """Return an assistant's message."""
    return message(id, "assistant", text, position, turn=turn, **more)


def ready(
    conversation: Frame | None = None,
    messages: list[Frame] | None = None,
    *,
    turn: Frame | None = None,
    more: bool = False,
    max_chars: int = 4000,
    assistant: Frame = ASSISTANT,
    token: str = "t1",
) -> Frame:
    """Return everything a tab shows. Without a conversation it is the first view."""
    return {
        "type": "ready",
        "protocol": 1,
        "visitor": {"id": "v1", "token": token},
        "assistant": assistant,
        "limits": {"message_max_chars": max_chars},
        "conversation": conversation,
        "messages": messages or [],
        "more": more,
        "turn": turn,
    }


def running(id: str, message_id: str, text: str = "", **more: Any) -> Frame:
    """Return the running turn of a `ready`."""
    return {
        "id": id,
        "message_id": message_id,
        "position": None,
        "replaces": None,
        "text": text,
        **more,
    }


def saved(sent: Frame, position: int, *, conversation: Frame = CONVERSATION, **more: Any) -> Frame:
    """Return the acknowledgement of a `message.send`."""
    stored = question(f"m{position}", sent["text"], position, at=ago(), **more)
    return {"type": "message.saved", "id": sent["id"], "message": stored, "conversation": conversation}


def started(turn: str, message_id: str, *, replaces: str | None = None) -> Frame:
    """Return the start of a turn."""
    return {"type": "turn.started", "turn_id": turn, "message_id": message_id, "replaces": replaces}


def delta(turn: str, at: int, text: str, *, position: int | None = None) -> Frame:
    """Return a piece of an answer."""
    frame = {"type": "turn.delta", "turn_id": turn, "at": at, "text": text}
    return frame if position is None else {**frame, "position": position}


def finished(turn: str, stored: Frame, status: str = "completed") -> Frame:
    """Return the end of a turn."""
    return {"type": "turn.finished", "turn_id": turn, "status": status, "message": stored}


def error(code: str, text: str = "", **more: Any) -> Frame:
    """Return a refusal."""
    return {"type": "error", "code": code, "text": text or code, **more}


def listed(id: str, title: str, last_line: str, at: str) -> Frame:
    """Return a conversation as a row of the list."""
    return {"id": id, "title": title, "status": "open", "last_message_at": at, "last_line": last_line}
