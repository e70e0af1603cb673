"""A turn's whole story, read from its rows: seven queries, however long it is.

What is read here is told in sentences by `storytelling`, and shown by `manage.py explain` and a page
of the console.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q
from django.utils import timezone

from conversations import decisions, ledger, outbox, tasks, verdicts, windows
from conversations.models import (
    Completion,
    EntryKind,
    HistoryWindow,
    LedgerEntry,
    Message,
    MessageStatus,
    OutboxEntry,
    Role,
    Turn,
    Verdict,
)
from conversations.moderation.masking import MASK, Spans

WITHDRAWN = frozenset({MessageStatus.BLOCKED, MessageStatus.HIDDEN})
Drop = Mapping[str, str | int]
TaskState = Literal["not noted", "waiting", "done", "forgotten"]


class NoTurnError(Exception):
    """There is no such turn; the sentence says what there is instead."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message. `secrets` are the masked passages of `original`, from where to where.

    `text` is what its visitor may read; `original` what was written, where that is something else too.
    `concealed` is `text` without what only those may read who may read what is masked; None where
    that is all of it.
    """

    row: Message
    text: str
    original: str
    secrets: Sequence[tuple[int, int]]
    concealed: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion, its window (None where it has none) and whether the window's HMAC still matches.

    `hidden` are the placeholders the model saw, by position.
    """

    row: Completion
    window: HistoryWindow | None
    matches: bool
    hidden: Mapping[int, Sequence[str]]
    lines: Sequence[LedgerEntry]

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None while it runs, or where nobody knows."""
        total_ms = self.row.total_ms
        return None if total_ms is None else self.row.started_at + timedelta(milliseconds=total_ms)


@dataclass(frozen=True, slots=True)
class Cost:
    """The sum of settles and corrections, by currency; how many calls' cost is unknown, or still held."""

    nanos: Mapping[str, int]
    unknown: int
    held: int


@dataclass(frozen=True, slots=True)
class Task:
    """A task that follows the turn. `row` is None where it is not noted yet, or was forgotten since."""

    name: str
    state: TaskState
    row: OutboxEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that is on record about a turn.

    `questions` are the visitor's messages it answers, `answer` is None until it has ended. `replaces`
    is the turn whose answer this one replaces; `replaced_by` are those that answered anew, oldest first.
    """

    turn: Turn
    questions: Sequence[Said]
    answer: Said | None
    attempts: Sequence[Attempt]
    cost: Cost
    verdicts: Sequence[Verdict]
    tasks: Sequence[Task]
    replaces: str | None
    replaced_by: Sequence[Turn]

    @property
    def said(self) -> Sequence[Said]:
        """The questions, and the answer after them."""
        return [*self.questions, *([self.answer] if self.answer else [])]


def read(key: str) -> Story:
    """Return the story of a turn, found by its id or that of a message or completion of it.

    A visitor's message leads to the first turn that answered it. Raises NoTurnError.
    """
    turn = _turn(key)
    attempts = list(Completion.objects.filter(turn=turn).select_related("window").order_by("number"))
    rows = _messages(turn, attempts)
    by_position = {each.position: each for each in rows}
    said_ids = [each.pk for each in rows if each.pk == turn.message_id or _is_question(each, turn)]
    found = list(Verdict.objects.filter(message__in=said_ids).select_related("message").order_by("pk"))
    lines: dict[str, list[LedgerEntry]] = {each.pk: [] for each in attempts}
    for line in ledger.of(list(lines)):
        lines[line.completion_id].append(line)
    told = [_attempt(each, by_position, lines[each.pk]) for each in attempts]
    values = _hidden_values(rows, found, told)
    questions = [_said(each, found, values) for each in rows if _is_question(each, turn)]
    answers = [_said(each, found, values) for each in rows if each.pk == turn.message_id]
    return Story(
        turn=turn,
        questions=questions,
        answer=answers[0] if answers else None,
        attempts=told,
        cost=_cost(lines.values()),
        verdicts=found,
        tasks=_tasks(turn),
        replaces=turn.replaces.turn_id if turn.replaces else None,
        replaced_by=list(
            Turn.objects.filter(conversation=turn.conversation_id, replaces=turn.message_id).order_by("pk")
        ),
    )


# Which turn


def _turn(key: str) -> Turn:
    rows = Turn.objects.select_related("conversation__assistant", "version", "replaces")
    turn = rows.filter(Q(pk=key) | Q(message_id=key)).first()
    if turn is not None:
        return turn
    completion = Completion.objects.filter(pk=key).first()
    if completion is not None:
        if completion.turn_id is None:
            raise NoTurnError(f"Completion `{key}` belongs to no turn: no visitor asked for it.")
        return rows.get(pk=completion.turn_id)
    message = Message.objects.filter(pk=key).first()
    if message is None:
        raise NoTurnError(f"There is no turn `{key}`, and no message or completion of that id.")
    answering = rows.filter(
        conversation=message.conversation_id, after__lt=message.position, through__gte=message.position
    )
    turn = answering.order_by("pk").first() if message.role == Role.VISITOR else None
    if turn is None:
        raise NoTurnError(f"Message `{key}` was answered by no turn.")
    return turn


def _is_question(message: Message, turn: Turn) -> bool:
    return message.role == Role.VISITOR and turn.after < message.position <= turn.through


def _messages(turn: Turn, attempts: Iterable[Completion]) -> list[Message]:
    """Return the messages it answers, its answer, and all that its windows showed, oldest first."""
    shown = {position for each in attempts if (window := _window(each)) for position in window.sent}
    wanted = (
        Q(position__in=shown) | Q(position__gt=turn.after, position__lte=turn.through) | Q(pk=turn.message_id)
    )
    return list(Message.objects.filter(wanted, conversation=turn.conversation_id).order_by("position"))


# Attempts, and what they cost


def _window(completion: Completion) -> HistoryWindow | None:
    return completion.window if hasattr(completion, "window") else None


def _attempt(row: Completion, messages: Mapping[int, Message], lines: Sequence[LedgerEntry]) -> Attempt:
    window = _window(row)
    if window is None:
        return Attempt(row, None, False, {}, lines)
    sent = [messages[position] for position in window.sent if position in messages]
    try:
        _request, matches = windows.rebuild_from(row, sent)
    except (TypeError, ValueError):  # parameters that this version of ours does not know
        matches = False
    hidden = {int(position): [each[2] for each in passages] for position, passages in window.hidden.items()}
    return Attempt(row, window, matches, hidden, lines)


def _cost(lines: Iterable[Sequence[LedgerEntry]]) -> Cost:
    nanos: dict[str, int] = {}
    unknown = held = 0
    for several in lines:
        costs = [each for each in several if each.kind in (EntryKind.SETTLE, EntryKind.CORRECTION)]
        for each in costs:
            if each.amount_nanos is not None:
                nanos[each.currency] = nanos.get(each.currency, 0) + each.amount_nanos
        unknown += bool(costs) and all(each.amount_nanos is None for each in costs)
        held += len(several) == 1  # a hold that nothing has closed
    return Cost(nanos, unknown, held)


# What may be read


def _hidden_values(
    rows: Iterable[Message], found: Iterable[Verdict], attempts: Iterable[Attempt]
) -> list[str]:
    """Return what of the visitor's own words is masked: an answer may repeat it. The longest first."""
    by_position = {each.position: each for each in rows}
    by_id = {each.pk: each for each in by_position.values()}
    values = {
        decisions.original_of(message)[each.start : each.end]
        for each in found
        if each.action == "mask" and (message := by_id.get(each.message_id)) and message.role == Role.VISITOR
    }
    for attempt in attempts:
        for position, passages in (attempt.window.hidden if attempt.window else {}).items():
            message = by_position.get(int(position))
            values |= {message.text[start:end] for start, end, _name in passages} if message else set()
    return sorted(values - {""}, key=len, reverse=True)


def _said(row: Message, found: Iterable[Verdict], values: Iterable[str]) -> Said:
    original = decisions.original_of(row)
    several = [each for each in found if each.message_id == row.pk]
    secrets = [(each.start, each.end) for each in several if each.action == "mask"]
    concealed: str | None
    if row.role == Role.VISITOR:
        concealed = None if row.is_masked and not secrets else _without(row.text, secrets)
    else:
        concealed = None if row.status in WITHDRAWN else row.text
    if concealed is not None:
        if len(several) >= verdicts.MAX_FINDINGS:  # what stands behind the last of them was not noted
            concealed = concealed[: max(each.end for each in several)]
        for value in values:
            concealed = concealed.replace(value, MASK)
    return Said(row, row.text, original, secrets, concealed)


def _without(text: str, passages: Iterable[tuple[int, int]]) -> str:
    spans = Spans()
    for start, end in passages:
        spans.add(min(start, len(text)), min(end, len(text)))
    return spans.masked(text, 0, len(text))


# What followed


def _tasks(turn: Turn) -> list[Task]:
    rows = {each.task: each for each in OutboxEntry.objects.filter(task__in=tasks.AFTER_TURN, key=turn.pk)}
    ended_at = turn.finished_at
    is_old = ended_at is not None and ended_at < timezone.now() - outbox.KEEP_DONE
    told: list[Task] = []
    for name in tasks.AFTER_TURN:
        row = rows.get(name)
        state: TaskState = "forgotten" if is_old else "not noted"
        if row is not None:
            state = "waiting" if row.done_at is None else "done"
        told.append(Task(name.rpartition(".")[2], state, row))
    return told
