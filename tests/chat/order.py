"""What must be so of a visitor's conversations once everything has come to rest."""

from collections.abc import Mapping, Sequence

from conversations.models import UNFINISHED, Completion, Conversation, Message, Turn
from tests.faults.shown import Frame


def unrest(visitor_id: str) -> list[object]:
    """Return the visitor's turns that have not ended, and the conversations that wait for one."""
    return [
        *Turn.objects.filter(visitor_id=visitor_id, status__in=UNFINISHED).values(),
        *(row.pk for row in Conversation.objects.filter(visitor_id=visitor_id) if _waits(row)),
    ]


def _waits(row: Conversation) -> bool:
    asked = row.messages.filter(role="visitor").values_list("position", flat=True)
    return row.answered_through < max(asked, default=0)


def stored(conversation_id: str | None) -> list[tuple[str, str, str]]:
    """Return what a tab has to show of a conversation: (role, status, text) of each message."""
    rows = Message.objects.filter(conversation_id=conversation_id).order_by("position")
    return [(each.role, each.status, each.text) for each in rows]


def moves(frames: Sequence[Frame]) -> int:
    """Count how often a message that was sent again brought its tab to another conversation."""
    count, shown = 0, None
    for frame in frames:
        if frame["type"] in ("ready", "message.saved"):
            now = frame["conversation"] and frame["conversation"]["id"]
            count += frame["type"] == "message.saved" and shown not in (None, now)
            shown = now
    return count


# What the model was asked, and what it said.
Said = Sequence[tuple[str, str]]


def check(visitor_id: str, sent: Mapping[str, str], said: Said) -> None:
    """Hold the rows against the texts that were sent, by their ids, and what the model said."""
    stored = {each.client_id: each.text for each in Message.objects.filter(visitor_id=visitor_id)}
    assert stored == sent
    for row in Conversation.objects.filter(visitor_id=visitor_id):
        _check_conversation(row, said)
    left_open = Completion.objects.filter(turn__visitor_id=visitor_id, status="running")
    assert list(left_open.values()) == []


def _check_conversation(row: Conversation, said: Said) -> None:
    messages = list(row.messages.order_by("position"))
    turns = list(Turn.objects.filter(conversation=row).order_by("created_at", "id"))
    positions = [each.position for each in messages]
    assert positions == sorted(set(positions))
    assert positions[-1] <= row.last_position
    answers = [each for each in messages if each.role == "assistant"]
    assert sorted(str(each.turn_id) for each in answers) == sorted(turn.pk for turn in turns)
    for turn in turns:
        answer = next(each for each in answers if each.turn_id == turn.pk)
        assert turn.finished_at is not None
        assert (answer.pk, answer.position) == (turn.message_id, turn.position)
        assert answer.position > turn.through >= turn.after
        questions = [
            each.text
            for each in messages
            if each.role == "visitor" and turn.after < each.position <= turn.through
        ]
        assert _has_been_said(answer, questions, said), (answer.status, answer.text, questions, said)
    _check_chains(messages, turns)


def _has_been_said(answer: Message, questions: Sequence[str], said: Said) -> bool:
    """Say whether the model said this to all of the questions: a whole answer, or the beginning of one."""
    texts = [text for asked, text in said if set(questions) <= set(asked.split("\n\n"))]
    if answer.status == "final":
        return answer.text in texts
    return not answer.text or any(text.startswith(answer.text) for text in texts)


def _check_chains(messages: Sequence[Message], turns: Sequence[Turn]) -> None:
    """Each question belongs to one chain: a turn and those that were asked to do better."""
    chain_of: dict[str, str] = {}
    for turn in turns:
        chain_of[turn.message_id] = chain_of[turn.replaces_id] if turn.replaces_id else turn.pk
    for message in messages:
        if message.role == "visitor":
            chains = {
                chain_of[turn.message_id] for turn in turns if turn.after < message.position <= turn.through
            }
            assert len(chains) == 1, (message.position, [(each.after, each.through) for each in turns])
