"""What staff decide about a verdict, and what its visitor reads from then on.

Functions are synchronous, and whole transactions. Overturning shows a message again, except for what other
findings still forbid: those with a verdict that stands, and those that the rules of today find in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from conversations import audit, notices, rulebook, verdicts
from conversations.audit import Kind, Verb
from conversations.models import (
    Conversation,
    Decision,
    LockedConversation,
    Message,
    MessageStatus,
    Role,
    Verdict,
)
from conversations.models.conversation import TITLE_CHARS, first_line
from conversations.moderation.folding import fold
from conversations.moderation.masking import Spans
from conversations.moderation.placeholders import Placeholders
from conversations.moderation.ruleset import Finding

WITHDRAWING = frozenset({"block", "hide"})
HIDING = frozenset({*WITHDRAWING, "mask"})
_REMEMBERED_MESSAGES = 200  # of the visitor, whose own words may be repeated to them


class DecisionError(Exception):
    """A verdict cannot be decided like this."""


class NoVerdictError(DecisionError):
    """There is no such verdict."""


class AlreadyDecidedError(DecisionError):
    """Somebody else was faster, and thought otherwise: the verdict as it is now."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"Verdict {verdict.pk} is {verdict.decision}.")
        self.verdict = verdict


class RulesUnreadableError(DecisionError):
    """Nothing is shown again while nobody knows what is forbidden."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The verdicts that were decided together, and whether their message reads otherwise now."""

    verdicts: Sequence[Verdict]
    is_message_changed: bool


def decide(verdict_id: int, decision: Decision, *, by: str, note: str = "") -> Decided:
    """Uphold or overturn an open verdict, and with it those of the same rule and words in its message.

    Deciding the same again changes nothing. Raises DecisionError.
    """
    with transaction.atomic():
        verdict = _locked(verdict_id)
        if verdict.decision == decision:
            return Decided((), False)
        if verdict.decision != Decision.OPEN:
            raise AlreadyDecidedError(verdict)
        waiting = Verdict.objects.filter(message_id=verdict.message_id, decision=Decision.OPEN)
        return _write(verdict, alike(verdict, waiting.order_by("pk")), decision, by=by, note=note)


def reopen(verdict_id: int, *, by: str) -> Decided:
    """Take a decision back, also from those that were decided with it. Raises DecisionError."""
    with transaction.atomic():
        verdict = _locked(verdict_id)
        if verdict.decision == Decision.OPEN:
            return Decided((), False)
        together = Verdict.objects.filter(
            message_id=verdict.message_id, decided_at=verdict.decided_at, decided_by=verdict.decided_by
        )
        return _write(verdict, list(together.order_by("pk")), Decision.OPEN, by=by, note="")


def _locked(verdict_id: int) -> Verdict:
    """Return a verdict as it is once its conversation is ours."""
    conversation_id = Verdict.objects.filter(pk=verdict_id).values_list("conversation_id", flat=True).first()
    if conversation_id is None:
        raise NoVerdictError("There is no such verdict.")
    LockedConversation.get(conversation_id)
    return Verdict.objects.select_related("message").get(pk=verdict_id)


def alike(verdict: Verdict, others: Iterable[Verdict]) -> list[Verdict]:
    """Return those that say the same: one rule, one message, the same words."""
    original = original_of(verdict.message)
    words = _words(original, verdict)
    return [
        each
        for each in others
        if (each.message_id, each.source, each.rule_name, each.action, each.stage)
        == (verdict.message_id, verdict.source, verdict.rule_name, verdict.action, verdict.stage)
        and _words(original, each) == words
    ]


def _write(verdict: Verdict, together: list[Verdict], decision: Decision, *, by: str, note: str) -> Decided:
    is_open = decision == Decision.OPEN
    Verdict.objects.filter(pk__in=[each.pk for each in together]).update(
        decision=decision,
        decided_by="" if is_open else by,
        decided_at=None if is_open else timezone.now(),
        note=note,
    )
    audit.write(
        Verb.REOPENED if is_open else Verb.DECIDED,
        Kind.VERDICT,
        verdict.pk,
        by=by,
        label=verdict.rule_name or verdict.source,
        before={"decision": verdict.decision or "open"},
        after={"decision": decision.value or "open", "verdicts": [each.pk for each in together]},
    )
    # Upholding, and taking that back, leaves the message as it is.
    is_about_message = verdict.action in HIDING and Decision.OVERTURNED in {decision, verdict.decision}
    is_changed = is_about_message and settle(verdict.message)
    if is_changed:
        conversation_id, message_id = verdict.conversation_id, verdict.message_id
        transaction.on_commit(lambda: notices.message_changed(conversation_id, message_id))
    return Decided(together, is_changed)


def original_of(message: Message) -> str:
    """Return a message as it was written."""
    return message.withheld or message.text


def settle(message: Message) -> bool:
    """Let a message read as its verdicts want it now; return whether that changed it."""
    known = list(Verdict.objects.filter(message=message).order_by("pk"))
    original = original_of(message)
    status, text = reading(message, known)
    if text and message.role != Role.VISITOR:
        found = _found_today(message, original, known)
        verdicts.record(
            (verdicts.of_finding(finding, original) for finding in found),
            stage="output",
            conversation_id=message.conversation_id,
            message_id=message.pk,
        )
        hidden = [(finding.start, finding.end) for finding in found if finding.rule.action != "flag"]
        text = _masked(original, [*_standing_spans(known), *hidden])
    if (status, text) == (message.status, message.text):
        return False
    withheld = original if text != original else ""
    Message.objects.filter(pk=message.pk).update(status=status, text=text, withheld=withheld)
    _remember(message.conversation_id)
    return True


def reading(message: Message, known: Iterable[Verdict]) -> tuple[str, str]:
    """Return the status and text that a message has by its verdicts.

    It is withdrawn while a finding that withdraws it stands, unless another of these was overturned: then
    only the passage of the first is taken out. What a visitor wrote is theirs, and stays as it is.
    """
    original = original_of(message)
    several = list(known)
    withdrawing = [each for each in several if each.action in WITHDRAWING]
    standing = [each for each in withdrawing if each.decision != Decision.OVERTURNED]
    if not withdrawing or not original:
        status = message.status
        is_shown = status not in {MessageStatus.BLOCKED, MessageStatus.HIDDEN}
    else:
        is_lifted = len(standing) < len(withdrawing) and all(each.end > each.start for each in standing)
        is_shown = not standing or (is_lifted and message.role != Role.VISITOR)
        status = MessageStatus.FINAL
        if not is_shown:
            hides = any(each.action == "hide" for each in standing)
            status = MessageStatus.HIDDEN if hides else MessageStatus.BLOCKED
    if message.role == Role.VISITOR:
        return status, original
    return status, _masked(original, _standing_spans(several)) if is_shown else ""


def _standing_spans(known: Iterable[Verdict]) -> list[tuple[int, int]]:
    return [
        (each.start, each.end)
        for each in known
        if each.action in HIDING and each.decision != Decision.OVERTURNED and each.end > each.start
    ]


def _masked(text: str, passages: Iterable[tuple[int, int]]) -> str:
    spans = Spans()
    for start, end in passages:
        spans.add(min(start, len(text)), min(end, len(text)))
    return spans.masked(text, 0, len(text))


def _found_today(message: Message, original: str, known: Iterable[Verdict]) -> list[Finding]:
    """Return what the rules in force find in an answer that has no verdict yet.

    Nothing behind the place where it was stopped has ever been looked at, and rules may have come since.
    """
    try:
        ruleset = rulebook.current()
    except Exception as error:
        raise RulesUnreadableError("The rules cannot be read.") from error
    said = Placeholders(ruleset)
    earlier = Message.objects.filter(
        conversation_id=message.conversation_id, role=Role.VISITOR, position__lt=message.position
    )
    for each in reversed(earlier.order_by("-position").values_list("text", flat=True)[:_REMEMBERED_MESSAGES]):
        said.hide(each)
    places = {(each.rule_name, each.start, each.end) for each in known}
    allowed = {
        (each.rule_name, _words(original, each)) for each in known if each.decision == Decision.OVERTURNED
    }
    return [
        finding
        for finding in ruleset.screen(original, "output").findings
        if (finding.rule.id, finding.start, finding.end) not in places
        and (finding.rule.id, _words(original, finding)) not in allowed
        and finding.value not in said.values
    ]


def _words(original: str, found: Verdict | Finding) -> str:
    return fold(original[found.start : found.end]).symbols


def _remember(conversation_id: str) -> None:
    """Let the conversation's title and last line be of messages that may be read."""
    row = Conversation.objects.get(pk=conversation_id)
    shown = (
        Message.objects.filter(conversation_id=conversation_id)
        .exclude(role=Role.NOTE)
        .exclude(status__in=[MessageStatus.BLOCKED, MessageStatus.HIDDEN])
        .exclude(text="")
    )
    last = shown.order_by("-position").values_list("text", flat=True).first()
    row.last_line = first_line(last or "")
    if not row.title:
        first = shown.filter(role=Role.VISITOR).order_by("position").values_list("text", flat=True).first()
        row.title = first_line(first or "", TITLE_CHARS)
    row.save(update_fields=["last_line", "title"])
