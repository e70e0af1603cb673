"""What was spent, read from the ledger: sums by day, assistant, route, model and sort of visitor.

Every sum here is a sum of ledger lines, by the day on which they were written (UTC): so a month that
is over never changes, and whatever is shown adds up to what `ledger export` prints.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Count, Exists, Func, OuterRef, Q, QuerySet, Sum
from django.db.models.sql.compiler import SQLCompiler

from conversations.models import EntryKind, LedgerEntry

COSTS = (EntryKind.SETTLE, EntryKind.CORRECTION)
DIMENSIONS = ("day", "assistant", "route", "provider", "model", "segment", "purpose")
_COLUMNS = {"assistant": "assistant__slug"}
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")


class _UtcDay(Func):
    """The day of an instant, as `2026-11-20`. Django's own function calls Python for each row on SQLite."""

    output_field = CharField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_context: Any
    ) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, 10)")

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_context: Any
    ) -> tuple[str, Any]:
        template = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        return self.as_sql(compiler, connection, template=template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which lines: of the days from `start` up to `end` (excluded; None: no bound), and of what they say.

    `where` holds values by dimension, `day` among them.
    """

    start: date | None = None
    end: date | None = None
    where: tuple[tuple[str, str], ...] = ()

    def lines(self) -> QuerySet[LedgerEntry]:
        """Return the lines, holds and releases too."""
        rows = LedgerEntry.objects.all()
        if self.start is not None:
            rows = rows.filter(at__gte=_midnight(self.start))
        if self.end is not None:
            rows = rows.filter(at__lt=_midnight(self.end))
        for name, value in self.where:
            if name == "day":
                rows = rows.alias(day=_UtcDay("at")).filter(day=value)
            elif name == "assistant" and not value:
                rows = rows.filter(assistant__isnull=True)
            else:
                rows = rows.filter(**{_COLUMNS.get(name, name): value})
        return rows


@dataclass(slots=True)
class Spent:
    """A sum of lines. `nanos` are by currency; `unknown` is how many calls' cost nobody knows.

    `key` holds the values of the dimensions it was summed by.
    """

    key: tuple[str, ...] = ()
    nanos: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    unknown: int = 0
    estimated: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0))

    def add(self, other: "Spent") -> None:
        """Add another sum to this one."""
        for currency, nanos in other.nanos.items():
            self.nanos[currency] = self.nanos.get(currency, 0) + nanos
        self.calls += other.calls
        self.unknown += other.unknown
        self.estimated += other.estimated
        for name in TOKENS:
            self.tokens[name] += other.tokens[name]

    def as_json(self, by: Sequence[str] = ()) -> dict[str, Any]:
        """Return it for other programs."""
        return {
            **dict(zip(by, self.key, strict=True)),
            "nanos": self.nanos,
            "calls": self.calls,
            "unknown": self.unknown,
            "estimated": self.estimated,
            **self.tokens,
        }


def sums(choice: Choice, by: Sequence[str] = ()) -> list[Spent]:
    """Return sums by dimensions, in their order; what has no assistant has "" for it."""
    columns = [_COLUMNS.get(name, name) for name in by]
    later = LedgerEntry.objects.filter(
        completion=OuterRef("completion"), kind=EntryKind.CORRECTION, amount_nanos__isnull=False
    )
    settled = Q(kind=EntryKind.SETTLE)
    rows = choice.lines().filter(kind__in=COSTS)
    if "day" in by:
        rows = rows.annotate(day=_UtcDay("at"))
    found = (
        rows.values(*columns, "currency")
        .annotate(
            nanos=Sum("amount_nanos"),
            calls=Count("pk", filter=settled),
            unknown=Count("pk", filter=settled & Q(~Exists(later), amount_nanos__isnull=True)),
            estimated=Count("pk", filter=settled & ~Q(counts="exact")),
            **{f"sum_{name}": Sum(name) for name in TOKENS},
        )
        .order_by(*columns, "currency")
    )
    spent: dict[tuple[str, ...], Spent] = {}
    for row in found:
        key = tuple(str(row[column] or "") for column in columns)
        spent.setdefault(key, Spent(key)).add(
            Spent(
                nanos={row["currency"]: int(row["nanos"])} if row["nanos"] is not None else {},
                calls=row["calls"],
                unknown=row["unknown"],
                estimated=row["estimated"],
                tokens={name: int(row[f"sum_{name}"] or 0) for name in TOKENS},
            )
        )
    return list(spent.values())


def total(parts: Sequence[Spent]) -> Spent:
    """Return the sum of sums."""
    whole = Spent()
    for part in parts:
        whole.add(part)
    return whole


@dataclass(frozen=True, slots=True)
class Statement:
    """A month. `parts` are by purpose, assistant, provider and model; `open_holds` are not closed yet."""

    month: date
    whole: Spent
    parts: list[Spent]
    corrections: int
    releases: int
    open_holds: int


STATEMENT_BY = ("purpose", "assistant", "provider", "model")


def statement(month: date) -> Statement:
    """Return a month's statement; `month` is its first day."""
    choice = Choice(start=month, end=next_month(month))
    parts = sums(choice, STATEMENT_BY)
    lines = choice.lines()
    closing = LedgerEntry.objects.filter(completion=OuterRef("completion"), number=1)
    return Statement(
        month=month,
        whole=total(parts),
        parts=parts,
        corrections=lines.filter(kind=EntryKind.CORRECTION).count(),
        releases=lines.filter(kind=EntryKind.RELEASE).count(),
        open_holds=lines.filter(~Exists(closing), kind=EntryKind.HOLD).count(),
    )


def next_month(month: date) -> date:
    """Return the first day of the month after that of `month`."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def read_month(text: str) -> date:
    """Read `2026-11` as its first day. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()


def calls(choice: Choice, limit: int) -> list[LedgerEntry]:
    """Return the newest lines that cost something, with their calls, at most `limit`."""
    rows = choice.lines().filter(kind__in=COSTS).select_related("completion", "price", "assistant")
    return list(rows.order_by("-at", "-pk")[:limit])


def every_line(choice: Choice) -> Iterator[LedgerEntry]:
    """Yield the chosen lines in the order of writing."""
    yield from choice.lines().select_related("assistant", "completion").order_by("pk").iterator(2000)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
