"""Hourly counters: what is counted of a turn, and how the counts are read."""

import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from chatbot.providers.breaker import RESTING
from conversations.models import Completion, HourlyCounter, Turn

# Upper bounds in milliseconds, each about a quarter above the last (Renard's series R10): a p50 or p95
# read from the buckets is off by less than that. Changing them makes old rows unreadable; add at the
# end only.
BOUNDS_MS = (
    50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150,
    4000, 5000, 6300, 8000, 10_000, 12_500, 16_000, 20_000, 25_000, 31_500, 40_000, 50_000, 63_000,
    80_000, 100_000, 125_000, 160_000,
)  # fmt: skip


class Key(NamedTuple):
    """What is counted together."""

    hour: datetime
    assistant_id: int
    route: str
    provider: str
    model: str


@dataclass(slots=True)
class Tally:
    """Counts on their way into one row, or read from several."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    first_delta_buckets: list[int] = field(default_factory=list)
    duration_buckets: list[int] = field(default_factory=list)
    attempt_first_delta_buckets: list[int] = field(default_factory=list)
    attempt_buckets: list[int] = field(default_factory=list)


COUNTS = (
    "conversations", "turns", "completed", "stopped", "interrupted", "failed", "blocked", "attempts",
    "input_tokens", "output_tokens", "unknown_usage", "resting", "attempt_first_delta_ms", "attempt_ms",
    "first_delta_ms", "duration_ms",
)  # fmt: skip
BUCKETS = ("first_delta_buckets", "duration_buckets", "attempt_first_delta_buckets", "attempt_buckets")


def record(turns: Iterable[tuple[Turn, Sequence[Completion]]]) -> None:
    """Add ended turns, each with its attempts in order, to their hours; in the caller's transaction.

    The caller sees to it that a turn is recorded once. A turn's `conversation` and `version` are read.
    """
    tallies: dict[Key, Tally] = {}
    for turn, completions in turns:
        _count(turn, completions, tallies)
    for key in sorted(tallies):  # in one order everywhere, so that two workers never wait for each other
        _add(key, tallies[key])


def total(rows: Iterable[HourlyCounter]) -> Tally:
    """Return the sum of rows."""
    tally = Tally()
    for row in rows:
        tally.counts.update({name: getattr(row, name) for name in COUNTS})
        tally.errors.update(row.errors)
        for name in BUCKETS:
            _merge(getattr(tally, name), getattr(row, name))
    return tally


def between(*spans: tuple[datetime, datetime]) -> list[HourlyCounter]:
    """Return the rows of the hours that began within any of these spans (the end excluded), oldest first."""
    wanted = Q()
    for start, end in spans:
        wanted |= Q(hour__gte=start, hour__lt=end)
    return list(HourlyCounter.objects.filter(wanted).order_by("hour"))


def quantile_ms(buckets: Sequence[int], share: float) -> float | None:
    """Read a quantile (`share` from 0 to 1) from bucket counts; None when nothing was counted.

    Within a bucket the values are taken as evenly spread. What lies above the last bound is
    reported as that bound.
    """
    rank = share * sum(buckets)
    seen = 0
    for index, count in enumerate(buckets):
        if count and seen + count >= rank:
            if index >= len(BOUNDS_MS):
                return float(BOUNDS_MS[-1])
            low = BOUNDS_MS[index - 1] if index else 0
            return low + (BOUNDS_MS[index] - low) * max(rank - seen, 0) / count
        seen += count
    return None


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of the hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def duration_ms(turn: Turn) -> int:
    """Return how long an ended turn took; raises ValueError for one that has not ended."""
    if turn.finished_at is None:
        raise ValueError(f"Turn `{turn.pk}` has not ended.")
    return max(0, (turn.finished_at - turn.created_at) // timedelta(milliseconds=1))


def _count(turn: Turn, completions: Sequence[Completion], tallies: dict[Key, Tally]) -> None:
    duration = duration_ms(turn)
    hour, assistant_id = hour_of(turn.created_at), turn.conversation.assistant_id
    last = completions[-1] if completions else None
    key = Key(hour, assistant_id, last.route if last else turn.version.route,
              last.provider if last else "", last.model if last else "")  # fmt: skip
    tally = tallies.setdefault(key, Tally())
    tally.counts.update({"turns": 1, turn.status: 1, "duration_ms": duration})
    _put(tally.duration_buckets, duration)
    if turn.after == 0 and turn.replaces_id is None:
        tally.counts["conversations"] += 1
    if turn.first_delta_ms is not None:
        tally.counts["first_delta_ms"] += turn.first_delta_ms
        _put(tally.first_delta_buckets, turn.first_delta_ms)
    for each in completions:
        asked = tallies.setdefault(Key(hour, assistant_id, each.route, each.provider, each.model), Tally())
        _count_attempt(each, asked)


def _count_attempt(each: Completion, asked: Tally) -> None:
    is_known = each.input_tokens is not None and each.output_tokens is not None
    asked.counts.update(
        {
            "attempts": 1,
            "input_tokens": each.input_tokens or 0,
            "output_tokens": each.output_tokens or 0,
            "unknown_usage": 0 if is_known else 1,
        }
    )
    if each.error:
        asked.errors[each.error] += 1
    is_resting = each.error_code == RESTING
    asked.counts["resting"] += is_resting
    if is_resting or each.error == "limited":
        return
    if each.first_delta_ms is not None:
        asked.counts["attempt_first_delta_ms"] += each.first_delta_ms
        _put(asked.attempt_first_delta_buckets, each.first_delta_ms)
    if each.total_ms is not None:
        asked.counts["attempt_ms"] += each.total_ms
        _put(asked.attempt_buckets, each.total_ms)


def _add(key: Key, tally: Tally) -> None:
    with transaction.atomic():
        row, _is_new = HourlyCounter.objects.select_for_update().get_or_create(**key._asdict())
        for name, count in tally.counts.items():
            setattr(row, name, getattr(row, name) + count)
        row.errors = dict(Counter(row.errors) + tally.errors)
        for name in BUCKETS:
            _merge(getattr(row, name), getattr(tally, name))
        row.save()


def _put(buckets: list[int], value_ms: int) -> None:
    _merge(buckets, [0] * bisect.bisect_left(BOUNDS_MS, value_ms) + [1])


def _merge(buckets: list[int], more: Sequence[int]) -> None:
    """Add `more` to `buckets`, in place; missing ones at the end count as 0."""
    buckets.extend([0] * (len(more) - len(buckets)))
    for index, count in enumerate(more):
        buckets[index] += count
