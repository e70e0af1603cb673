"""The ledger: a line when money is held for a call, one when that is closed, corrections later.

Nothing is ever changed. The functions write in their caller's transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import Exists, OuterRef
from django.utils import timezone

from chatbot.providers.messages import UNKNOWN_USAGE, Usage
from conversations.models import Completion, LedgerEntry, statements

COLUMNS = (
    "id", "completion_id", "number", "kind", "purpose", "at", "amount_nanos", "currency", "price_id",
    "counts", "reason", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "assistant_id", "segment", "route", "provider", "model",
)  # fmt: skip
EXPORT_CHUNK = 2000

_TABLE = "conversations_ledgerentry"
_SAID = (
    "at", "amount_nanos", "currency", "price_id", "counts", "reason", "input_tokens", "cached_input_tokens",
    "output_tokens", "reasoning_tokens",
)  # fmt: skip
_WHOSE = ("completion_id", "purpose", "assistant_id", "segment", "route", "provider", "model")
_INTO = f"INSERT INTO {_TABLE} (number, kind, {', '.join((*_SAID, *_WHOSE))})"
_HOLDERS = ", ".join(["%s"] * len(_SAID))
_HOLD = (
    f"{_INTO} VALUES (0, 'hold', {_HOLDERS}, %s, %s, %s,"  # noqa: S608
    " COALESCE((SELECT segment FROM conversations_visitor WHERE id = %s), ''), %s, %s, %s)"
)
_FOLLOW = (
    f"{_INTO} SELECT %s, %s, {_HOLDERS}, {', '.join(_WHOSE)} FROM {_TABLE}"  # noqa: S608
    " WHERE completion_id = %s AND number = 0 ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What a line says besides whose it is: `usage` holds billed counts, in a correction differences.

    `nanos` is None where the amount is unknown, `reason` says why counts are not exact, or why the line
    is there.
    """

    nanos: int | None = None
    currency: str = ""
    price_id: int | None = None
    reason: str = ""
    usage: Usage = UNKNOWN_USAGE


def hold(
    completion: Completion, posting: Posting, *, purpose: str, assistant_id: int | None, visitor_id: str
) -> None:
    """Hold money for a call that is about to be made."""
    statements.execute(
        _HOLD,
        [
            *_values(posting, completion.started_at),
            completion.id,
            purpose,
            assistant_id,
            visitor_id,
            completion.route,
            completion.provider,
            completion.model,
        ],
    )


def close(completion_id: str, kind: Literal["settle", "release"], posting: Posting) -> bool:
    """Close a hold; False where there is none, or where it was closed before."""
    values = _values(posting, timezone.now())
    return statements.execute(_FOLLOW, [1, kind, *values, completion_id]) == 1


def correct(completion_id: str, number: int, posting: Posting) -> bool:
    """Add a difference to a closed hold as its line `number`, from 2 on.

    False where there is no such call, or where somebody has written that line: read it and think again.
    """
    values = _values(posting, timezone.now())
    return statements.execute(_FOLLOW, [number, "correction", *values, completion_id]) == 1


def _values(posting: Posting, at: datetime) -> list[Any]:
    usage = posting.usage
    return [
        statements.moment(at),
        posting.nanos,
        posting.currency,
        posting.price_id,
        usage.kind,
        posting.reason,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ]


def open_holds(*, since: datetime, before: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Return the completions whose holds, written in this span, nothing has closed; the oldest first."""
    closing = LedgerEntry.objects.filter(completion=OuterRef("completion"), number=1)
    holds = LedgerEntry.objects.filter(~Exists(closing), number=0, at__gte=since, at__lt=before)
    return list(holds.order_by("at").values_list("completion_id", "at")[:limit])


def oldest_at() -> datetime | None:
    """Return when the first line was written; None while there is none."""
    return LedgerEntry.objects.order_by("at").values_list("at", flat=True).first()


def of(completion_ids: Sequence[str]) -> list[LedgerEntry]:
    """Return the lines of these completions, in the order of completions and numbers."""
    return list(
        LedgerEntry.objects.filter(completion__in=completion_ids)
        .select_related("price")
        .order_by("completion_id", "number")
    )


def export() -> Iterator[dict[str, Any]]:
    """Yield every line as it stands, in the order of writing."""
    rows = LedgerEntry.objects.order_by("pk").values(*COLUMNS)
    yield from rows.iterator(chunk_size=EXPORT_CHUNK)
