"""Who changed which rules, and what they were before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from conversations.models import RuleChange

PAGE = 50
MOST_SHOWN = 200  # rules of one change; a list has thousands


def version() -> int:
    """Return which change was the last; 0 before the first."""
    return RuleChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def page(*, rule_name: str = "", before: int | None = None) -> tuple[Sequence[RuleChange], bool]:
    """Return the newest changes, or the newest before one, and whether there are older ones.

    With `rule_name` those that touched this rule. `before` and `after` of a change are read when asked for.
    """
    rows = RuleChange.objects.defer("before", "after")
    if rule_name:
        rows = rows.filter(Q(before__has_key=rule_name) | Q(after__has_key=rule_name))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], len(found) > PAGE


@dataclass(frozen=True, slots=True)
class Difference:
    """One rule of a change: None where it was not there before, or is not there after."""

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def fields(self) -> Sequence[tuple[str, Any, Any]]:
        """Return the fields that differ, each with its values before and after; None where there is none."""
        before, after = self.before or {}, self.after or {}
        names = {**before, **after}
        return [
            (name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
        ]


def differences(change: RuleChange, *, rule_name: str = "") -> tuple[Sequence[Difference], int]:
    """Return the rules of a change by name, at most MOST_SHOWN, and how many there are in all."""
    names = sorted({**change.before, **change.after})
    if rule_name:
        names = [name for name in names if name == rule_name]
    shown = names[:MOST_SHOWN]
    return [Difference(name, change.before.get(name), change.after.get(name)) for name in shown], len(names)
