"""Who did what: one entry for each change, written in the transaction of the change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from django.db import connection

from chatbot import addresses
from conversations.models import AuditEntry

PAGE = 50
LABEL_CHARS = 200


class Verb(StrEnum):
    """What was done."""

    ADDED = "added"
    CHANGED = "changed"
    DISABLED = "disabled"
    ENABLED = "enabled"
    CHANGED_ROLES = "changed roles"
    CHANGED_PASSWORD = "changed password"  # noqa: S105 - a verb
    SIGNED_IN = "signed in"
    LOCKED_OUT = "locked out"
    SIGNED_OUT = "signed out"
    DECIDED = "decided"
    REOPENED = "reopened"


class Kind(StrEnum):
    """What it was done to. The key of `RULES` and `BUDGET` is that of the change, which has the details."""

    STAFF = "staff"
    VERDICT = "verdict"
    RULES = "rules"
    BUDGET = "budget"
    PRICE = "price"
    RATE = "rate"


def write(
    verb: Verb,
    kind: Kind,
    key: object,
    *,
    by: str,
    label: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Write down a change in the caller's transaction; there must be one. `by` is empty for nobody known."""
    assert connection.in_atomic_block, "An audit entry is written together with what it tells of."
    AuditEntry.objects.create(
        by=by,
        origin=addresses.caller(),
        verb=verb,
        kind=kind,
        key=str(key),
        label=label[:LABEL_CHARS],
        before=before,
        after=after,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to list; empty fields ask for nothing. Days are UTC, and `until` is within."""

    by: str = ""
    verb: str = ""
    kind: str = ""
    since: date | None = None
    until: date | None = None


def page(wanted: Wanted, *, before: int | None = None) -> tuple[Sequence[AuditEntry], bool]:
    """Return the newest entries, or the newest before one, and whether there are older ones."""
    rows = AuditEntry.objects.all()
    for name in ("by", "verb", "kind"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.since is not None:
        rows = rows.filter(at__gte=datetime.combine(wanted.since, time(), UTC))
    if wanted.until is not None and wanted.until < date.max:
        rows = rows.filter(at__lt=datetime.combine(wanted.until + timedelta(days=1), time(), UTC))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], len(found) > PAGE
