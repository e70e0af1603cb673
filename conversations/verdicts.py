"""Verdicts: what screening found and did, and what staff thought of it afterwards.

Functions are synchronous; those that write leave the transaction to their caller unless they say otherwise.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from chatbot import metrics
from conversations.models import Decision, ScreeningRule, Verdict, VerdictSource
from conversations.moderation.leaks import PREFIX
from conversations.moderation.rules import Stage
from conversations.moderation.ruleset import Finding

MAX_FINDINGS = 50  # of one message: a thousand addresses are told by the first of them
PAGE = 50
MOST_COUNTED = 999
MOST_FINDERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding, ready to be written. `rule_name` is a rule's, or a service's word for it."""

    source: str
    rule_name: str
    action: str
    start: int = 0
    end: int = 0
    withheld: str = ""


def of_finding(finding: Finding, text: str) -> Found:
    """Return a finding of the rules in `text`, as it was written."""
    is_prompt = finding.rule.id.startswith(PREFIX)
    return Found(
        source=VerdictSource.PROMPT if is_prompt else VerdictSource.RULE,
        rule_name=finding.rule.id,
        action=finding.rule.action,
        start=finding.start,
        end=finding.end,
        withheld=text[finding.start : finding.end] if finding.rule.action == "mask" else "",
    )


def record(found: Iterable[Found], *, stage: Stage, conversation_id: str, message_id: str) -> None:
    """Write what was found in one message."""
    several = list(found)[:MAX_FINDINGS]
    if not several:
        return
    names = {each.rule_name for each in several if each.source == VerdictSource.RULE}
    rule_of = dict(
        ScreeningRule.objects.filter(name__in=names, removed_at__isnull=True).values_list("name", "pk")
    )
    for each in several:
        metrics.VERDICTS.labels(stage, each.source, each.action).inc()
    now = timezone.now()
    Verdict.objects.bulk_create(
        Verdict(
            at=now,
            stage=stage,
            source=each.source,
            rule_id=rule_of.get(each.rule_name),
            rule_name=each.rule_name[:120],
            action=each.action,
            conversation_id=conversation_id,
            message_id=message_id,
            start=each.start,
            end=each.end,
            withheld=each.withheld if stage != "input" else "",
        )
        for each in several
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which verdicts to list. Empty fields ask for nothing; `rule_name` is a rule's, or a source's word."""

    is_decided: bool = False
    rule_name: str = ""
    action: str = ""
    stage: str = ""
    source: str = ""
    assistant_id: int | None = None
    since: date | None = None
    until: date | None = None  # with this day


@dataclass(frozen=True, slots=True)
class Page:
    """Verdicts, newest first; whether there are newer and older ones."""

    items: Sequence[Verdict]
    has_newer: bool
    has_older: bool


def page(wanted: Wanted, *, before: int | None = None, after: int | None = None) -> Page:
    """Return the newest verdicts, or those next to one: `before` it, or made `after` it.

    Each comes with its message, conversation and assistant.
    """
    rows = _rows(wanted).select_related("message", "conversation__assistant", "rule")
    if after is not None:
        nearest = list(rows.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        return Page(nearest[:PAGE][::-1], len(nearest) > PAGE, True)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return Page(found[:PAGE], before is not None, len(found) > PAGE)


def known(verdict_id: int) -> Verdict | None:
    """Return one verdict as `page` does; None where there is none."""
    return (
        Verdict.objects.select_related("message", "conversation__assistant", "rule")
        .filter(pk=verdict_id)
        .first()
    )


def of_messages(message_ids: Collection[str]) -> list[Verdict]:
    """Return all verdicts of these messages, oldest first."""
    return list(Verdict.objects.filter(message_id__in=message_ids).order_by("pk"))


def count_open(limit: int = MOST_COUNTED) -> int:
    """Return how many verdicts wait for a decision, at most `limit` + 1."""
    return _rows(Wanted()).order_by("-pk").values("pk")[: limit + 1].count()


def _rows(wanted: Wanted) -> QuerySet[Verdict]:
    rows = Verdict.objects.all()
    rows = rows.exclude(decision=Decision.OPEN) if wanted.is_decided else rows.filter(decision=Decision.OPEN)
    for name in ("rule_name", "action", "stage", "source"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.assistant_id is not None:
        rows = rows.filter(conversation__assistant_id=wanted.assistant_id)
    if wanted.since is not None:
        rows = rows.filter(at__gte=_midnight(wanted.since))
    if wanted.until is not None:
        rows = rows.filter(at__lt=_midnight(wanted.until) + timedelta(days=1))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hits:
    """How often something was found, and how many of these findings staff overturned or left open."""

    count: int = 0
    overturned: int = 0
    open: int = 0

    @property
    def overturned_share(self) -> float | None:
        """The overturned ones among the decided, from 0 to 1; None where none is decided."""
        decided = self.count - self.open
        return self.overturned / decided if decided else None


_OVERTURNED, _OPEN = Q(decision=Decision.OVERTURNED), Q(decision=Decision.OPEN)


def hits_of(rule_ids: Collection[int]) -> dict[int, Hits]:
    """Return the hits of these rules; a rule that was never found is absent."""
    rows = (
        Verdict.objects.filter(rule_id__in=rule_ids)
        .values("rule_id")
        .annotate(hits=Count("pk"), over=Count("pk", filter=_OVERTURNED), left=Count("pk", filter=_OPEN))
        .values_list("rule_id", "hits", "over", "left")
    )
    return {rule_id: Hits(*counts) for rule_id, *counts in rows if rule_id is not None}


@dataclass(frozen=True, slots=True)
class Finder:
    """Who finds: a rule of staff, the guard of the prompt, a service."""

    source: str
    rule_name: str
    rule_id: int | None
    hits: Hits


def finders(*, since: datetime | None = None) -> list[Finder]:
    """Return who found how much since then, most first, at most MOST_FINDERS."""
    rows = Verdict.objects.all() if since is None else Verdict.objects.filter(at__gte=since)
    found = (
        rows.values("source", "rule_name")
        .annotate(
            rule=Max("rule_id"),
            hits=Count("pk"),
            over=Count("pk", filter=_OVERTURNED),
            left=Count("pk", filter=_OPEN),
        )
        .order_by("-hits", "rule_name", "source")
        .values_list("source", "rule_name", "rule", "hits", "over", "left")
    )
    return [
        Finder(source, rule_name, rule_id, Hits(*counts))
        for source, rule_name, rule_id, *counts in found[:MOST_FINDERS]
    ]
