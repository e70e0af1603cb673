"""Prices and rates: dated, guarded, never changed; and what they make of a call's tokens."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from chatbot.providers.messages import Usage
from conversations import prices
from conversations.models import NANOS, Price
from conversations.models.prices import MOST_NANOS
from conversations.prices import PriceError
from tests.money import books
from tests.money.books import MODEL, PROVIDER

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.get_default_timezone())


def used(read: int | None = 800, written: int | None = 100, **said: Any) -> Usage:
    return Usage(input_tokens=read, output_tokens=written, **said)


# Prices of input, cached input, output and reasoning for a million tokens; counts; and the cost in nanos.
COSTS: list[tuple[tuple[int | None, int | None, int | None, int | None], Usage, int | None]] = [
    ((NANOS, None, 4 * NANOS, None), used(), 1_200_000),
    ((NANOS, None, 4 * NANOS, None), used(cached_input_tokens=600), 1_200_000),
    ((NANOS, NANOS // 10, 4 * NANOS, None), used(cached_input_tokens=600), 660_000),
    ((NANOS, None, 4 * NANOS, 2 * NANOS), used(reasoning_tokens=60), 1_080_000),
    ((NANOS, None, 4 * NANOS, None), used(800, None), None),
    ((NANOS, None, 4 * NANOS, None), used(None, None), None),
    ((0, None, 0, None), used(), 0),
    ((1, None, 1, None), used(499_999, 0), 0),
    ((1, None, 1, None), used(500_000, 0), 1),
    ((NANOS, None, NANOS, None), used(billed_input_tokens=50, billed_output_tokens=5), 55_000),
    ((NANOS, 0, NANOS, 0), used(10, 10, cached_input_tokens=99, reasoning_tokens=99), 0),
    ((None, None, None, None), used(), None),
]


@pytest.mark.parametrize(("per_million", "usage", "nanos"), COSTS)
def test_each_sort_of_token_costs_its_own_price(
    per_million: tuple[int | None, ...], usage: Usage, nanos: int | None
) -> None:
    names = ("input_nanos", "cached_input_nanos", "output_nanos", "reasoning_nanos")
    row = Price(currency="USD", **dict(zip(names, per_million, strict=True)))

    assert prices.cost_nanos(row, prices.billed(usage)) == nanos


def test_without_a_price_the_cost_is_unknown() -> None:
    assert prices.cost_nanos(None, Usage(input_tokens=1, output_tokens=1)) is None


@pytest.mark.django_db
def test_a_call_costs_what_held_when_it_began() -> None:
    first = books.price(from_at=NOON)
    second = books.price(from_at=NOON + timedelta(hours=1), input_nanos=2 * NANOS)

    found = [prices.at(PROVIDER, MODEL, NOON + timedelta(minutes=each)) for each in (-1, 0, 59, 60, 9999)]

    assert found == [None, first, first, second, second]
    assert prices.at(PROVIDER, "another", NOON) is None
    assert prices.at("another", MODEL, NOON) is None


@pytest.mark.django_db
def test_of_two_from_the_same_instant_the_later_written_counts() -> None:
    books.price(from_at=NOON, input_nanos=7)
    right = books.price(from_at=NOON, input_nanos=8)

    assert prices.at(PROVIDER, MODEL, NOON) == right
    assert len(prices.history(PROVIDER, MODEL)) == 2


@pytest.mark.django_db
def test_a_price_can_end() -> None:
    books.price(from_at=NOON)
    books.price(from_at=NOON + timedelta(days=1), input_nanos=None, output_nanos=None)

    assert prices.at(PROVIDER, MODEL, NOON + timedelta(days=2)) is None


@pytest.mark.django_db
def test_another_process_hears_of_a_price_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prices.at(PROVIDER, MODEL, NOON) is None
    Price.objects.create(
        provider=PROVIDER,
        model=MODEL,
        from_at=NOON,
        currency="USD",
        input_nanos=1,
        output_nanos=1,
        source="staff",
    )

    assert prices.at(PROVIDER, MODEL, NOON) is None  # it has only just looked
    monkeypatch.setattr("conversations.models.remembered.LOOK_S", 0.0)
    assert prices.at(PROVIDER, MODEL, NOON) is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "said",
    [
        {"input_nanos": -1},
        {"output_nanos": MOST_NANOS + 1},
        {"cached_input_nanos": -5},
        {"output_nanos": None},
        {"currency": "usd"},
        {"currency": "DOLLAR"},
    ],
)
def test_a_price_that_cannot_be_right_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(PriceError):
        books.price(**said)

    assert not Price.objects.exists()


@pytest.mark.django_db
def test_the_database_refuses_it_too() -> None:
    for said in ({"input_nanos": -1}, {"output_nanos": MOST_NANOS + 1}, {"output_nanos": None}):
        row = {"input_nanos": 1, "output_nanos": 1, **said}
        with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
            Price.objects.create(provider=PROVIDER, model=MODEL, currency="USD", source="staff", **row)


@pytest.mark.django_db
def test_amounts_are_converted_at_the_rate_of_their_day() -> None:
    books.rate("CNY", "USD", 0.14, from_at=NOON)
    books.rate("CNY", "USD", 0.15, from_at=NOON + timedelta(days=1))

    assert prices.converted(NANOS, "CNY", "USD", NOON) == 140_000_000
    assert prices.converted(NANOS, "CNY", "USD", NOON + timedelta(days=1)) == 150_000_000
    assert prices.converted(NANOS, "USD", "USD", NOON) == NANOS
    assert prices.converted(NANOS, "CNY", "USD", NOON - timedelta(days=1)) is None
    assert prices.converted(NANOS, "EUR", "USD", NOON) is None


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0.25", 250_000_000), ("1", NANOS), (" 0 ", 0), ("0.000000001", 1), ("12.5", 12_500_000_000)],
)
def test_an_amount_is_read_and_written_exactly(text: str, nanos: int) -> None:
    assert prices.nanos(text) == nanos
    assert prices.nanos(prices.words(nanos)) == nanos


@pytest.mark.parametrize("text", ["", "a", "NaN", "inf", "1e400000000", "0.0000000001", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(PriceError):
        prices.nanos(text)
