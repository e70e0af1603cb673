"""What rules would have found in messages of the past: read in batches, newest first."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from conversations.models import Message, Role
from conversations.moderation.rules import Rule, Stage
from conversations.moderation.ruleset import Finding, Ruleset

MAX_MESSAGES: Final = 10_000
MAX_EXAMPLES: Final = 10
_READ: Final = 250
_BATCH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """A message in which something was found, as it was written."""

    message: Message
    text: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step looked at: how many messages, in how many something was found, up to which message.

    `before` is where the next step goes on; empty when there are no more.
    """

    looked_at: int
    hits: int
    examples: Sequence[Example]
    before: str


def step(
    rules: Iterable[Rule], *, before: str = "", at_most: int = MAX_MESSAGES, examples: int = MAX_EXAMPLES
) -> Batch:
    """Look at up to `at_most` messages older than `before`, for about a second."""
    ruleset = Ruleset(rules)
    roles = _roles(ruleset.rules)
    looked_at, hits = 0, 0
    found: list[Example] = []
    until = time.monotonic() + _BATCH_S
    while True:
        rows = Message.objects.filter(role__in=roles)
        if before:
            rows = rows.filter(pk__lt=before)
        size = min(_READ, at_most - looked_at)
        several = list(rows.order_by("-pk").select_related("conversation__assistant")[:size])
        for message in several:
            example = look(ruleset, message)
            if example is not None:
                hits += 1
                if len(found) < examples:
                    found.append(example)
        looked_at += len(several)
        before = several[-1].pk if len(several) == size else ""
        if not before or looked_at == at_most or time.monotonic() >= until:
            return Batch(looked_at, hits, found, before if looked_at < at_most else "")


def look(ruleset: Ruleset, message: Message) -> Example | None:
    """Return what the rules find in one message; None where they find nothing."""
    text = message.withheld or message.text
    stages: tuple[Stage, ...] = ("input",) if message.role == Role.VISITOR else ("output", "review")
    findings = [finding for stage in stages for finding in ruleset.screen(text, stage).findings]
    return Example(message, text, list(dict.fromkeys(findings))) if findings else None


def _roles(rules: Iterable[Rule]) -> set[str]:
    return {
        str(Role.VISITOR if stage == "input" else Role.ASSISTANT) for rule in rules for stage in rule.stages
    }
