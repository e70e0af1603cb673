"""The rows of turns: begin, restart, become visible, end; claim, beat, and find the dead.

Every change is a guarded update: whoever moves the row has the turn, whoever does not has lost it.
Functions are synchronous; those that write leave the transaction to their caller unless they say
otherwise. The conversation's row is always locked first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations.errors import NotFoundError
from conversations.models import (
    UNFINISHED,
    ConversationStatus,
    LockedConversation,
    Message,
    Role,
    Turn,
    TurnStatus,
    statements,
)

BEAT_S = 3.0
DEAD_AFTER_S = 11.0  # three missed beats and some; with the reaper's 4 s it is below the promised 20
MAX_TAKEOVERS = 3  # a turn whose processes keep dying is given up


_END = (
    "UPDATE conversations_turn SET status = %s, finished_at = %s, error = %s,"
    " position = COALESCE(position, %s) WHERE id = %s AND status IN ('queued', 'running') AND process = %s"
    " RETURNING position, through, visible_at"
)
_END_UNLESS_RESTARTED = _END.replace("RETURNING", "AND generation = %s RETURNING")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenTurn:
    """A turn in the hands of `process`, or of nobody yet (""): it waits for any to claim it.

    It answers the messages after `after` up to `through`.
    """

    id: str
    conversation_id: str
    visitor_id: str
    version_id: int
    message_id: str
    replaces: str | None
    after: int
    through: int
    generation: int
    process: str
    stop_requested: bool
    created_at: datetime


def taken(row: Turn) -> TakenTurn:
    """Return the row's values as the process that has it keeps them."""
    return TakenTurn(
        id=row.id,
        conversation_id=row.conversation_id,
        visitor_id=row.visitor_id,
        version_id=row.version_id,
        message_id=row.message_id,
        replaces=row.replaces_id,
        after=row.after,
        through=row.through,
        generation=row.generation,
        process=row.process,
        stop_requested=row.stop_requested,
        created_at=row.created_at,
    )


def unfinished(conversation_id: str) -> Turn | None:
    """Return the conversation's queued or running turn."""
    return Turn.objects.filter(conversation_id=conversation_id, status__in=UNFINISHED).first()


@dataclass(frozen=True, slots=True)
class UnfinishedTurn:
    """A queued or running turn, as a new message meets it."""

    id: str
    conversation_id: str
    status: str
    generation: int
    position: int | None


def lock_visitor(visitor_id: str) -> None:
    """Let nobody else begin a turn of this visitor until the transaction ends."""
    statements.lock_row("conversations_visitor", visitor_id)


def unfinished_of(visitor_id: str) -> list[UnfinishedTurn]:
    """Return the visitor's queued and running turns."""
    found = statements.fetch_all(
        "SELECT id, conversation_id, status, generation, position FROM conversations_turn"
        " WHERE visitor_id = %s AND status IN ('queued', 'running')",
        [visitor_id],
    )
    return [UnfinishedTurn(*each) for each in found]


def begin(
    conversation: LockedConversation, *, after: int, through: int, process: str, replaces: str | None = None
) -> Turn:
    """Write a new turn in a locked conversation: running in `process`, or queued if that is empty.

    Raises NotFoundError where the assistant has no live version.
    """
    if conversation.live_version_id is None:
        raise NotFoundError("The assistant has no live version.")
    now = timezone.now()
    row = Turn(
        conversation_id=conversation.id,
        visitor_id=conversation.visitor_id,
        version_id=conversation.live_version_id,
        replaces_id=replaces,
        after=after,
        through=through,
        process=process,
        status=TurnStatus.RUNNING if process else TurnStatus.QUEUED,
        beat_at=now,
        created_at=now,
    )
    statements.insert(row)
    return row


def restart(turn: UnfinishedTurn, *, through: int) -> UnfinishedTurn | None:
    """Let a turn of which nothing is visible answer up to `through` as well. None if it is too late."""
    found = statements.fetch(
        "UPDATE conversations_turn SET through = %s, generation = generation + 1"
        " WHERE id = %s AND status IN ('queued', 'running') AND visible_at IS NULL AND NOT stop_requested"
        " RETURNING status, generation",
        [through, turn.id],
    )
    return None if found is None else replace(turn, status=found[0], generation=found[1])


def become_visible(turn: TakenTurn, *, first_delta_ms: int) -> int | None:
    """Give the answer its position, in a transaction of its own, before its first delta is shown.

    Returns None when the turn is no longer the caller's: restarted, stopped or taken over.
    """
    now = statements.moment(timezone.now())
    with transaction.atomic():
        found = statements.fetch(
            "UPDATE conversations_conversation SET last_position = last_position + 1 WHERE id = %s"
            " RETURNING last_position",
            [turn.conversation_id],
        )
        assert found is not None
        position: int = found[0]
        moved = statements.execute(
            "UPDATE conversations_turn SET position = %s, visible_at = %s, beat_at = %s, first_delta_ms = %s"
            " WHERE id = %s AND status = 'running' AND generation = %s AND NOT stop_requested",
            [position, now, now, first_delta_ms, turn.id, turn.generation],
        )
        if not moved:
            transaction.set_rollback(True)
            return None
    return position


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ended, and the turn that answers what came meanwhile (None: nothing came)."""

    status: str
    message: Message
    following: Turn | None


def end(
    turn: TakenTurn,
    *,
    status: str,
    text: str,
    message_status: str,
    process: str,
    generation: int | None,
    withheld: str = "",
    error: str = "",
    hand_on: bool = False,
    is_answered: bool = True,
) -> Ending | None:
    """Write the end of a turn with its message; begin the next if there is need.

    Needs a transaction. `process` is who had it ("" for a queued one). `text` is what the visitor may
    read, `withheld` what was written where that is something else. `generation` None ends it
    whatever came meanwhile, else only if nothing did. With `hand_on` the next turn is queued for
    another process. Messages that are not `is_answered` wait for the turn of the next one. Returns
    None when the turn is not the caller's to end.
    """
    now = timezone.now()
    conversation = LockedConversation.get(turn.conversation_id)
    assert conversation is not None
    position = conversation.last_position + 1
    found = statements.fetch(
        _END if generation is None else _END_UNLESS_RESTARTED,
        [status, statements.moment(now), error, position, turn.id, process]
        + ([] if generation is None else [generation]),
    )
    if found is None:
        return None
    position, through, visible_at = found
    message = Message(
        id=turn.message_id,
        conversation_id=conversation.id,
        turn_id=turn.id,
        version_id=turn.version_id,
        replaces_id=turn.replaces,
        position=position,
        role=Role.ASSISTANT,
        status=message_status,
        text=text,
        withheld=withheld,
        created_at=statements.instant(visible_at) if visible_at else now,
    )
    statements.insert(message)
    conversation.last_position = max(conversation.last_position, position)
    if is_answered:
        conversation.answered_through = max(conversation.answered_through, through)
    conversation.remember(text, now)
    conversation.save()
    may_wait = is_answered and (conversation.last_position > position or position > through + 1)
    return Ending(status, message, _follow(conversation, "" if hand_on else process) if may_wait else None)


def _follow(conversation: LockedConversation, process: str) -> Turn | None:
    """Begin a turn for visitor messages that no turn has answered."""
    if conversation.status != ConversationStatus.OPEN or conversation.live_version_id is None:
        return None
    found = statements.fetch(
        "SELECT MAX(position) FROM conversations_message"
        " WHERE conversation_id = %s AND position > %s AND role = 'visitor' AND status <> 'blocked'",
        [conversation.id, conversation.answered_through],
    )
    if found is None or found[0] is None:
        return None
    return begin(conversation, after=conversation.answered_through, through=found[0], process=process)


def request_stop(turn_id: str, visitor_id: str) -> Turn | None:
    """Note that the visitor wants this turn to end; None if it has ended or is not theirs."""
    moved = Turn.objects.filter(pk=turn_id, visitor_id=visitor_id, status__in=UNFINISHED).update(
        stop_requested=True
    )
    return Turn.objects.filter(pk=turn_id).first() if moved else None


def beat(process: str, turn_ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Say that these turns live; return {turn id: (generation, stop_requested)} of those still ours."""
    rows = Turn.objects.filter(pk__in=turn_ids, process=process, status=TurnStatus.RUNNING)
    rows.update(beat_at=timezone.now())
    return {
        pk: (generation, stop)
        for pk, generation, stop in rows.values_list("pk", "generation", "stop_requested")
    }


def hand_back(turn: TakenTurn, process: str) -> bool:
    """Queue a turn of which nothing was shown for another process; it may have become visible unused."""
    return bool(
        Turn.objects.filter(
            pk=turn.id, process=process, status=TurnStatus.RUNNING, stop_requested=False
        ).update(
            status=TurnStatus.QUEUED,
            process="",
            generation=F("generation") + 1,
            position=None,
            visible_at=None,
            first_delta_ms=None,
        )
    )


def dead() -> list[Turn]:
    """Return running turns whose process has not been heard of, oldest first, at most 100."""
    limit = timezone.now() - timedelta(seconds=DEAD_AFTER_S)
    return list(Turn.objects.filter(status=TurnStatus.RUNNING, beat_at__lt=limit).order_by("beat_at")[:100])


def requeue_dead(row: Turn) -> bool:
    """Queue a dead process's turn of which nothing is visible. False if someone else was first."""
    return bool(
        Turn.objects.filter(
            pk=row.pk,
            status=TurnStatus.RUNNING,
            process=row.process,
            beat_at=row.beat_at,
            visible_at__isnull=True,
            stop_requested=False,
            takeovers__lt=MAX_TAKEOVERS,
        ).update(
            status=TurnStatus.QUEUED, process="", generation=F("generation") + 1, takeovers=F("takeovers") + 1
        )
    )


def fence_dead(row: Turn, process: str) -> TakenTurn | None:
    """Take a dead process's turn over in order to end it. None if someone else was first."""
    moved = Turn.objects.filter(
        pk=row.pk, status=TurnStatus.RUNNING, process=row.process, beat_at=row.beat_at
    ).update(process=process, generation=F("generation") + 1, beat_at=timezone.now())
    return taken(Turn.objects.get(pk=row.pk)) if moved else None


def queued() -> list[str]:
    """Return the ids of queued turns, oldest first, at most 20."""
    return list(
        Turn.objects.filter(status=TurnStatus.QUEUED).order_by("beat_at").values_list("pk", flat=True)[:20]
    )


def claim(turn_id: str, process: str) -> TakenTurn | None:
    """Take a queued turn; None if another process was first."""
    moved = Turn.objects.filter(pk=turn_id, status=TurnStatus.QUEUED).update(
        status=TurnStatus.RUNNING, process=process, beat_at=timezone.now()
    )
    return taken(Turn.objects.get(pk=turn_id)) if moved else None


def again(turn_id: str, process: str) -> TakenTurn | None:
    """Return the turn as it now is, if `process` still has it."""
    row = Turn.objects.filter(pk=turn_id, process=process, status=TurnStatus.RUNNING).first()
    return None if row is None else taken(row)


def exists(turn_id: str, visitor_id: str) -> bool:
    """Say whether the visitor has such a turn."""
    return Turn.objects.filter(pk=turn_id, visitor_id=visitor_id).exists()
