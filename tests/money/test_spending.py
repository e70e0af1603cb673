"""One truth: what the ledger holds is what the pages, the statement and the export add up to."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import orjson
import pytest

from conversations import ledger, spending
from conversations.models import NANOS, Assistant, Completion, LedgerEntry
from conversations.spending import DIMENSIONS, TOKENS, Choice, Spent
from tests import scale
from tests.commands.conftest import Terminal
from tests.money import books

FIRST = datetime(2026, 10, 25, tzinfo=UTC)
MONTHS = [date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)]


def _write(chance: random.Random, assistants: list[Assistant]) -> None:
    """Write a call's lines as they may be: held, then settled, given back or not, then corrected."""
    row = Completion.objects.create(number=1, route="default", target="q", provider="p", model="m")
    at = FIRST + timedelta(seconds=chance.randrange(40 * 86400))
    said: dict[str, Any] = {
        "completion": row, "purpose": chance.choice(["visitor", "visitor", "test", "batch"]),
        "assistant": chance.choice([*assistants, None]),
        "segment": chance.choice(["", "anonymous", "customer"]),
        "route": chance.choice(["default", "concise"]), "provider": chance.choice(["openai", "qwen"]),
        "model": chance.choice(["m-1", "m-2"]), "currency": chance.choice(["USD", "CNY"]),
    }  # fmt: skip

    def line(number: int, kind: str, nanos: int | None) -> None:
        nonlocal at
        at += timedelta(seconds=chance.randrange(120))
        sign = -1 if kind == "correction" and chance.random() < 0.5 else 1
        tokens = {name: chance.choice([None, sign * chance.randrange(10**6)]) for name in TOKENS}
        counts = chance.choice(["exact", "exact", "estimated", "unknown"])
        LedgerEntry.objects.create(
            **said, number=number, kind=kind, at=at, amount_nanos=nanos, counts=counts, **tokens
        )

    line(0, "hold", chance.choice([None, chance.randrange(10 * NANOS)]))
    what = chance.random()
    if what < 0.1:
        return
    if what < 0.2:
        line(1, "release", 0)
        return
    line(1, "settle", None if what < 0.3 else chance.randrange(10 ** chance.randrange(1, 16)))
    for number in range(2, chance.choice([2, 2, 3, 4])):
        line(number, "correction", chance.randrange(-(10**9), 10**9))


def _by_hand(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up exported lines with nothing but addition."""
    costs = [line for line in lines if line["kind"] in ("settle", "correction")]
    nanos: Counter[str] = Counter()
    for line in costs:
        if line["amount_nanos"] is not None:
            nanos[line["currency"]] += line["amount_nanos"]
    corrected = {line["completion_id"] for line in costs if line["kind"] == "correction"}
    settled = [line for line in costs if line["kind"] == "settle"]
    return {
        "nanos": dict(nanos),
        "calls": len(settled),
        "unknown": sum(
            line["amount_nanos"] is None and line["completion_id"] not in corrected for line in settled
        ),
        "estimated": sum(line["counts"] != "exact" for line in settled),
        **{name: sum(line[name] or 0 for line in costs) for name in TOKENS},
    }


def _lines_of(choice: Choice, lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        day = line["at"].date()
        if (choice.start is None or choice.start <= day) and (choice.end is None or day < choice.end):
            yield line


@pytest.mark.django_db
def test_every_sum_is_the_sum_of_the_ledger(terminal: Terminal) -> None:
    chance = random.Random(20261120)
    assistants = [books.assistant("shop"), books.assistant("bank")]
    slugs = {row.pk: row.slug for row in assistants} | {None: ""}
    for _ in range(scale.count(20, 50)):
        for _ in range(10):
            _write(chance, assistants)
        lines = list(ledger.export())
        start = FIRST.date() + timedelta(days=chance.randrange(45))
        choices = [Choice(), Choice(start=start, end=start + timedelta(days=chance.randrange(1, 20)))]

        for choice in choices:
            expected = _by_hand(list(_lines_of(choice, lines)))
            for by in [(), *((name,) for name in DIMENSIONS), *combinations(DIMENSIONS, 2), DIMENSIONS]:
                parts = spending.sums(choice, by)
                assert spending.total(parts).as_json() == expected, by
            exported = [line.pk for line in spending.every_line(choice)]
            assert exported == [line["id"] for line in _lines_of(choice, lines)]

        for part in spending.sums(Choice(), DIMENSIONS):  # one cell of the finest table is its lines
            where = dict(zip(DIMENSIONS, part.key, strict=True))
            mine = [
                line
                for line in lines
                if all(
                    value == (slugs[line["assistant_id"]] if name == "assistant"
                              else line["at"].date().isoformat() if name == "day" else line[name])
                    for name, value in where.items()
                )
            ]  # fmt: skip
            said = Spent(part.key, part.nanos, part.calls, part.unknown, part.estimated, part.tokens)
            assert said.as_json(DIMENSIONS) == where | _by_hand(mine)
            choice = Choice(where=tuple(where.items()))
            assert spending.total(spending.sums(choice)).as_json() == _by_hand(mine)

    statements = [spending.statement(month) for month in MONTHS]
    assert spending.total([each.whole for each in statements]).as_json() == _by_hand(lines)
    printed = [
        terminal("ledger", "statement", "--month", f"{month:%Y-%m}", "--json").json for month in MONTHS
    ]
    assert [each["total"] for each in printed] == [each.whole.as_json() for each in statements]
    text = terminal("ledger", "export", "--json").out
    again = [orjson.loads(line) for line in text.splitlines()]
    assert _by_hand(again) == _by_hand(lines)


@pytest.mark.django_db
def test_a_day_and_a_month_begin_at_midnight_utc() -> None:
    assistant = books.assistant()
    for at in ("2026-10-31T23:59:59.999999+00:00", "2026-11-01T00:00:00+00:00"):
        row = Completion.objects.create(number=1, route="r", target="q", provider="p", model="m")
        LedgerEntry.objects.create(
            completion=row, number=1, kind="settle", purpose="visitor", at=datetime.fromisoformat(at),
            amount_nanos=1, currency="USD", counts="exact", assistant=assistant, route="r",
            provider="p", model="m",
        )  # fmt: skip

    assert [part.key for part in spending.sums(Choice(), ["day"])] == [("2026-10-31",), ("2026-11-01",)]
    assert [spending.statement(month).whole.calls for month in MONTHS] == [1, 1, 0]


def test_months_are_read_and_counted() -> None:
    assert spending.read_month("2026-11") == date(2026, 11, 1)
    assert spending.next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert spending.next_month(date(2026, 1, 1)) == date(2026, 2, 1)
    with pytest.raises(ValueError):
        spending.read_month("November")
