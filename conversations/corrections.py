"""Corrections of closed calls: a price written late, a bill that knows better. What is booked stays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from chatbot.providers.messages import NOTHING, Usage, UsageKind
from conversations import billing, ledger, prices
from conversations.ledger import Posting
from conversations.models import Completion, EntryKind, LedgerEntry, Price
from conversations.models.remembered import LOOK_S

REPRICE = "conversations.reprice"

COSTS = (EntryKind.SETTLE, EntryKind.CORRECTION)
COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
KNOWN_AFTER = timedelta(seconds=3 * LOOK_S)  # every process has read a new price by then
CHUNK = 500
TRIES = 5


def correct(completion: Completion, usage: Usage | None = None, *, reason: str) -> bool:
    """Add what is missing so that a closed call costs what these counts do; False where nothing is.

    Without `usage` the counts stay as they are booked. The price is the one that is now known to have
    held when the call began. Needs no transaction, and nobody else corrects it by the same lines.
    """
    for _ in range(TRIES):
        lines = list(LedgerEntry.objects.filter(completion=completion, kind__in=COSTS).order_by("number"))
        if not lines:
            return False
        postings = _missing(completion, lines, usage or _booked(lines), reason=reason)
        numbers = range(lines[-1].number + 1, lines[-1].number + 1 + len(postings))
        with transaction.atomic():
            if all(map(ledger.correct, [completion.id] * len(postings), numbers, postings)):
                return bool(postings)
            transaction.set_rollback(True)  # somebody else was at it: look again
    raise TimeoutError(f"Completion {completion.id} could not be corrected.")


def _missing(
    completion: Completion, lines: Sequence[LedgerEntry], usage: Usage, *, reason: str
) -> list[Posting]:
    """Return the differences between what is booked and what these counts cost, one for each currency."""
    should = billing.priced(completion, usage, reason=reason)
    booked, counted = Counter[str](), Counter[str]()
    for line in lines:
        booked[line.currency] += line.amount_nanos or 0
        counted.update({name: getattr(line, name) or 0 for name in COUNTS})
    more = {name: (getattr(should.usage, name) or 0) - counted[name] for name in COUNTS}
    nanos = None if should.nanos is None else should.nanos - booked.pop(should.currency, 0)
    was_unknown = all(line.amount_nanos is None for line in lines)
    if not any(more.values()) and not nanos and (nanos is None or not was_unknown):
        return []
    found = [replace(should, nanos=nanos, usage=Usage(**more, kind=usage.kind))]
    if nanos is not None:  # what was booked in other currencies goes
        found += [
            Posting(nanos=-left, currency=currency, reason=reason, usage=NOTHING)
            for currency, left in booked.items()
            if left
        ]
    return found


def _booked(lines: Sequence[LedgerEntry]) -> Usage:
    """Return the counts that stand in the books for a call."""
    found: dict[str, int | None] = dict.fromkeys(COUNTS)
    for line in lines:
        for name in COUNTS:
            value = getattr(line, name)
            if value is not None:
                found[name] = (found[name] or 0) + value
    kinds: dict[str, UsageKind] = {"exact": "exact", "estimated": "estimated"}
    return Usage(**found, kind=kinds.get(lines[-1].counts, "unknown"))


def reprice(price_id: int) -> int | None:
    """Correct the calls that began since a price holds and were settled by another, or by none.

    Return how many were; None while it is too early, as some process may not know of the price yet.
    """
    row = Price.objects.get(pk=price_id)
    if row.created_at > timezone.now() - KNOWN_AFTER:
        return None
    prices.forget()
    settled = LedgerEntry.objects.filter(
        kind=EntryKind.SETTLE,
        provider=row.provider,
        model=row.model,
        at__gte=row.from_at,
        completion__started_at__gte=row.from_at,
    )
    lines = settled.select_related("completion").order_by("pk").iterator(CHUNK)
    return sum(correct(line.completion, reason="repriced") for line in lines)
