"""`manage.py explain <turn>`: a turn's whole story, a sentence a line, or as JSON."""

from datetime import datetime
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import logvalues
from conversations import story, storytelling
from conversations.models import Completion, HistoryWindow, LedgerEntry, Turn, Verdict
from conversations.story import Attempt, NoTurnError, Said, Story, Task

TEXT_INDENT = "    | "
_COMPLETION = (
    "id", "number", "route", "target", "provider", "model", "status", "finish", "error", "error_code",
    "request_id", "started_at", "first_delta_ms", "total_ms", "input_tokens", "output_tokens",
    "cached_input_tokens", "reasoning_tokens", "billed_input_tokens", "billed_output_tokens", "usage_kind",
)  # fmt: skip
_ENTRY = (
    "number", "kind", "purpose", "at", "amount_nanos", "currency", "price_id", "counts", "reason",
    "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "segment",
)  # fmt: skip
_VERDICT = (
    "id", "at", "stage", "source", "rule_name", "action", "message_id", "start", "end", "decision",
    "decided_by", "decided_at", "note",
)  # fmt: skip


class Command(BaseCommand):
    """Tell what happened to a turn, and why."""

    help = "Tell a turn's whole story: messages, windows, attempts, verdicts, ledger, tasks."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read which."""
        parser.add_argument("turn", help="The id of a turn, or of a message or completion of one.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")
        parser.add_argument("--text", action="store_true", help="Show what was said, masked passages too.")

    def handle(self, *args: Any, turn: str, json: bool, text: bool, **options: Any) -> None:
        """Print it; exit 1 where there is no such turn."""
        try:
            found = story.read(turn)
        except NoTurnError as error:
            raise CommandError(logvalues.printable(str(error))) from error
        if json:
            self.stdout.write(orjson.dumps(_story(found, with_text=text)).decode())
            return
        self.stdout.write(f"Turn {found.turn.pk} of conversation {found.turn.conversation_id}.")
        for line in storytelling.lines(found):
            at = f"{line.at:%Y-%m-%d %H:%M:%S}.{line.at.microsecond // 1000:03}" if line.at else " " * 23
            self.stdout.write(f"{at}  {logvalues.printable(line.words)}")
        if text:
            self._texts(found)

    def _texts(self, found: Story) -> None:
        for each in found.said:
            self.stdout.write(f"Message {each.row.position} ({each.row.role}, {each.row.status}):")
            for line in each.original.split("\n"):
                self.stdout.write(f"{TEXT_INDENT}{logvalues.printable(line)}")
        for attempt in found.attempts:
            if attempt.window is not None:
                self.stdout.write(f"System text of attempt {attempt.row.number}:")
                for line in attempt.window.system.split("\n"):
                    self.stdout.write(f"{TEXT_INDENT}{logvalues.printable(line)}")


# As JSON. The keys are for other programs: they may become more, and stay what they are.


def _story(found: Story, *, with_text: bool) -> dict[str, Any]:
    return {
        "turn": _turn(found),
        "messages": [_said(each, with_text=with_text) for each in found.said],
        "attempts": [_attempt(each, with_text=with_text) for each in found.attempts],
        "verdicts": [_fields(each, _VERDICT) for each in found.verdicts],
        "cost": {
            "nanos": dict(found.cost.nanos),
            "unknown": found.cost.unknown,
            "held": found.cost.held,
        },
        "tasks": [_task(each) for each in found.tasks],
        "lines": [
            {"at": _instant(line.at), "kind": line.kind, "words": line.words}
            for line in storytelling.lines(found)
        ],
    }


def _turn(found: Story) -> dict[str, Any]:
    turn = found.turn
    duration = None if turn.finished_at is None else turn.finished_at - turn.created_at
    return {
        "id": turn.pk,
        "conversation_id": turn.conversation_id,
        "visitor_id": turn.visitor_id,
        "assistant": turn.conversation.assistant.slug,
        "version": turn.version.number,
        "message_id": turn.message_id,
        "after": turn.after,
        "through": turn.through,
        "status": turn.status,
        "error": turn.error or None,
        "generation": turn.generation,
        "takeovers": turn.takeovers,
        "process": turn.process or None,
        "stop_requested": turn.stop_requested,
        "accepted_at": _instant(turn.created_at),
        "visible_at": _instant(turn.visible_at),
        "finished_at": _instant(turn.finished_at),
        "first_delta_ms": turn.first_delta_ms,
        "duration_ms": None if duration is None else round(duration.total_seconds() * 1000),
        "replaces": found.replaces,
        "replaced_by": [each.pk for each in found.replaced_by],
    }


def _said(said: Said, *, with_text: bool) -> dict[str, Any]:
    row = said.row
    return {
        "id": row.pk,
        "position": row.position,
        "role": row.role,
        "status": row.status,
        "at": _instant(row.created_at),
        "chars": len(said.text),
        "is_masked": row.is_masked,
        "is_withheld": bool(row.withheld),
        **({"text": said.text, "original": said.original} if with_text else {}),
    }


def _attempt(attempt: Attempt, *, with_text: bool) -> dict[str, Any]:
    window = attempt.window
    return {
        **_fields(attempt.row, _COMPLETION),
        "window": None if window is None else _window(window, attempt, with_text=with_text),
        "ledger": [_fields(each, _ENTRY) for each in attempt.lines],
    }


def _window(window: HistoryWindow, attempt: Attempt, *, with_text: bool) -> dict[str, Any]:
    return {
        "sent": window.sent,
        "dropped": window.dropped,
        "hidden": {str(position): list(names) for position, names in attempt.hidden.items()},
        "parameters": window.parameters,
        "input_tokens": window.input_tokens,
        "is_exact": window.is_exact,
        "limit_tokens": window.limit_tokens,
        "hmac": window.hmac,
        "matches": attempt.matches,
        **({"system": window.system} if with_text else {}),
    }


def _task(task: Task) -> dict[str, Any]:
    row = task.row
    return {
        "task": task.name,
        "state": task.state,
        "created_at": _instant(row.created_at if row else None),
        "sent_at": _instant(row.sent_at if row else None),
        "done_at": _instant(row.done_at if row else None),
        "attempts": row.attempts if row else None,
    }


def _fields(row: Completion | LedgerEntry | Verdict | Turn, names: tuple[str, ...]) -> dict[str, Any]:
    """Return columns; instants as RFC 3339, and None for the empty words that mean none."""
    values = {name: getattr(row, name) for name in names}
    return {
        name: _instant(value) if isinstance(value, datetime) else None if value == "" else value
        for name, value in values.items()
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
