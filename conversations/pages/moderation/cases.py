"""One verdict as staff read it: what was found, and the messages around it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations import decisions, verdicts
from conversations.models import Message, MessageStatus, Role, Verdict, VerdictSource
from conversations.pages import numbers
from conversations.pages.moderation import words
from conversations.pages.moderation.passages import Passage, Piece, excerpt, pieces
from conversations.pages.moderation.words import Badge

_AROUND = 3  # messages before and after


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue."""

    pk: int
    title: str | Promise
    excerpt: Sequence[Piece]
    badge: Badge
    age: str
    at: datetime
    decision: str
    address: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the context. `foot` says what its visitor sees in place of it, or empty."""

    role: str
    speaker: str
    at: datetime
    pieces: Sequence[Piece]
    foot: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A verdict with its context."""

    pk: int
    title: str | Promise
    badge: Badge
    at: datetime
    conversation: str
    conversation_title: str
    facts: Sequence[tuple[str, str | Promise]]
    messages: Sequence[Shown]
    rule_address: str
    overturn: str
    decision: str | Promise
    decided_by: str
    decided_at: datetime | None
    note: str


def row(verdict: Verdict, *, others: Sequence[Verdict], sees_masked: bool, address: str) -> Row:
    """Return one line of the queue. `others` are verdicts that may be about the same message."""
    beside = [each for each in others if each.message_id == verdict.message_id and each.pk != verdict.pk]
    passages = [_passage(each, sees_masked=sees_masked, is_chosen=False) for each in beside]
    secret = [each for each in passages if each.is_secret]
    text = _text(verdict.message, [verdict, *beside], sees_masked=sees_masked)
    return Row(
        pk=verdict.pk,
        title=title(verdict),
        excerpt=excerpt(text, [_passage(verdict, sees_masked=sees_masked, is_chosen=True), *secret]),
        badge=words.done(verdict.action),
        age=numbers.age(timezone.now() - verdict.at),
        at=verdict.at,
        decision=verdict.decision,
        address=address,
    )


def title(verdict: Verdict) -> str | Promise:
    """Return who found it: a rule by its name, or where it came from."""
    if verdict.source == VerdictSource.RULE and verdict.rule_name:
        return verdict.rule_name
    where = words.SOURCES.get(verdict.source, verdict.source)
    return where


def case(verdict: Verdict, *, sees_masked: bool) -> Case:
    """Return a verdict with the messages around it: four queries."""
    message = verdict.message
    around = _around(message)
    known = verdicts.of_messages([each.pk for each in around])
    alike = {verdict.pk, *(each.pk for each in decisions.alike(verdict, known))}
    return Case(
        pk=verdict.pk,
        title=title(verdict),
        badge=words.done(verdict.action),
        at=verdict.at,
        conversation=verdict.conversation_id,
        conversation_title=verdict.conversation.title,
        facts=_facts(verdict),
        messages=[
            _shown(
                each,
                [one for one in known if one.message_id == each.pk],
                alike=alike,
                name=verdict.conversation.assistant.name,
                sees_masked=sees_masked,
                is_chosen=each.pk == message.pk,
            )
            for each in around
        ],
        rule_address=reverse("rule", args=[verdict.rule_id])
        if verdict.rule is not None and verdict.rule.removed_at is None
        else "",
        overturn=_("Overturn, show it")
        if verdict.action in decisions.HIDING and message.role != Role.VISITOR
        else _("Overturn"),
        decision=words.DECISIONS.get(verdict.decision, ""),
        decided_by=verdict.decided_by,
        decided_at=verdict.decided_at,
        note=verdict.note,
    )


def _around(message: Message) -> list[Message]:
    rows = Message.objects.filter(conversation_id=message.conversation_id)
    before = rows.filter(position__lt=message.position).order_by("-position")[:_AROUND]
    after = rows.filter(position__gt=message.position).order_by("position")[:_AROUND]
    return [*reversed(before), message, *after]


def _shown(
    message: Message,
    found: Iterable[Verdict],
    *,
    alike: set[int],
    name: str,
    sees_masked: bool,
    is_chosen: bool,
) -> Shown:
    several = list(found)
    passages = [_passage(each, sees_masked=sees_masked, is_chosen=each.pk in alike) for each in several]
    text = _text(message, several, sees_masked=sees_masked)
    return Shown(
        role=message.role,
        speaker=name if message.role == Role.ASSISTANT else "",
        at=message.created_at,
        pieces=pieces(text, [each for each in passages if is_chosen or each.is_secret]),
        foot=_foot(message),
        is_chosen=is_chosen,
    )


def _text(message: Message, found: Sequence[Verdict], *, sees_masked: bool) -> str:
    """Return what may be read of a message, before its masks.

    Where not every finding was noted, there may be more to mask behind the last one.
    """
    text = decisions.original_of(message)
    if sees_masked or len(found) < verdicts.MAX_FINDINGS:
        return text
    return text[: max(each.end for each in found)]


def _passage(verdict: Verdict, *, sees_masked: bool, is_chosen: bool) -> Passage:
    return Passage(
        verdict.start,
        verdict.end,
        label=str(title(verdict)),
        is_secret=verdict.action == "mask" and not sees_masked,
        is_chosen=is_chosen,
    )


def _foot(message: Message) -> str:
    if message.role == Role.VISITOR:
        return _("Not sent to the assistant") if message.status == MessageStatus.BLOCKED else ""
    if message.status in {MessageStatus.BLOCKED, MessageStatus.HIDDEN}:
        return _("The visitor sees that it was withdrawn.")
    return _("The visitor sees ▮▮▮ in place of what is masked.") if message.withheld else ""


def _facts(verdict: Verdict) -> list[tuple[str, str | Promise]]:
    facts: list[tuple[str, str | Promise]] = [
        (_("Where"), words.STAGES.get(verdict.stage, verdict.stage)),
        (_("Assistant"), verdict.conversation.assistant.name),
    ]
    if verdict.rule is not None:
        kind: str | Promise = words.KINDS.get(verdict.rule.kind, verdict.rule.kind)
        if verdict.rule.kind == "detector":
            kind = words.DETECTORS.get(verdict.rule.pattern, verdict.rule.pattern)
        facts.append((_("Kind"), kind))
        hits = verdicts.hits_of([verdict.rule.pk]).get(verdict.rule.pk, verdicts.Hits())
        said = ngettext("%(number)s hit", "%(number)s hits", hits.count) % {
            "number": numbers.count(hits.count)
        }
        over = _("%(number)s overturned") % {"number": numbers.count(hits.overturned)}
        facts.append((_("This rule"), f"{said}, {over}"))
    elif verdict.rule_name:
        facts.append((_("Kind"), verdict.rule_name))
    return facts
