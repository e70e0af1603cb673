"""Verdicts: what screening found and did, and what staff thought of it afterwards.

Functions are synchronous; those that write leave the transaction to their caller unless they say otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from conversations.models import ScreeningRule, Verdict, VerdictSource
from conversations.moderation.leaks import PREFIX
from conversations.moderation.rules import Stage
from conversations.moderation.ruleset import Finding

MAX_FINDINGS = 50  # of one message: a thousand addresses are told by the first of them


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
