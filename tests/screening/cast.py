"""Conversations in which something was found, as the turn leaves them."""

from collections.abc import Sequence

from conversations import rulebook, verdicts
from conversations.models import Conversation, Message, Turn, Verdict
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset
from tests.frame.rows import ended_turn


def rule(name: str, pattern: str, action: str = "block", **fields: object) -> Rule:
    """Return a phrase rule, put live."""
    new = Rule(id=name, **{"kind": "phrase", "pattern": pattern, "action": action, **fields})  # type: ignore[arg-type]
    rulebook.save(new, by="ann")
    rulebook.forget()
    return new


def screened_answer(text: str, rules: Sequence[Rule], *, turn: Turn | None = None) -> Message:
    """Return an answer that was screened by these rules, with its verdicts."""
    turn = turn or ended_turn()
    message = Message.objects.get(turn=turn)
    done = Ruleset(rules).screen(text, "output")
    message.status = "blocked" if done.is_blocked else "final"
    message.text = "" if done.is_blocked else done.masked
    message.withheld = text if message.text != text else ""
    message.save()
    Conversation.objects.filter(pk=turn.conversation_id).update(
        title="Where is my parcel?", last_line=message.text or "Where is my parcel?"
    )
    verdicts.record(
        [verdicts.of_finding(finding, text) for finding in done.findings],
        stage="output",
        conversation_id=turn.conversation_id,
        message_id=message.pk,
    )
    return message


def screened_question(text: str, rules: Sequence[Rule], *, turn: Turn | None = None) -> Message:
    """Return a visitor's message that was screened by these rules, with its verdicts."""
    turn = turn or ended_turn()
    message = Message.objects.get(conversation=turn.conversation_id, position=turn.through)
    done = Ruleset(rules).screen(text, "input")
    message.status = "blocked" if done.is_blocked else "final"
    message.text, message.is_masked = text, done.masked != text
    message.save()
    verdicts.record(
        [verdicts.of_finding(finding, text) for finding in done.findings],
        stage="input",
        conversation_id=turn.conversation_id,
        message_id=message.pk,
    )
    return message


def verdict_of(message: Message, rule_name: str = "") -> Verdict:
    """Return the only verdict of a message, or of one rule in it."""
    rows = Verdict.objects.filter(message=message)
    return rows.get(rule_name=rule_name) if rule_name else rows.get()
