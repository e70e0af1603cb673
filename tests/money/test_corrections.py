"""Corrections: a price written late, and a bill that knows better; what was booked stays as it is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from chatbot.providers.messages import Usage
from conversations import billing, corrections, spending, tasks
from conversations.models import NANOS, Completion, LedgerEntry, OutboxEntry, Price
from conversations.spending import Choice
from tests.commands.conftest import Terminal
from tests.money import books
from tests.money.books import UNKNOWN, end, lines

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process knows of a price at once."""
    monkeypatch.setattr(corrections, "KNOWN_AFTER", timedelta())


def settled(**said: Any) -> Completion:
    row = end(books.call(books.turn(), started_at=timezone.now() - timedelta(hours=1)), **said)
    billing.settle([row])
    return row


def unknown() -> int:
    return spending.total(spending.sums(Choice())).unknown


def test_a_price_written_late_makes_an_unknown_cost_known() -> None:
    row = settled()
    assert unknown() == 1
    price = books.price(from_at=timezone.now() - timedelta(days=1))

    assert corrections.reprice(price.pk) == 1
    assert corrections.reprice(price.pk) == 0

    hold, settle, correction = lines(row)
    assert (hold.amount_nanos, settle.amount_nanos) == (None, None)
    assert (correction.kind, correction.number, correction.reason) == ("correction", 2, "repriced")
    assert (correction.amount_nanos, correction.currency, correction.price_id) == (1_200_000, "USD", price.pk)
    assert (correction.input_tokens, correction.output_tokens) == (0, 0)
    assert unknown() == 0


def test_another_price_corrects_by_the_difference_and_only_since_it_holds() -> None:
    books.price()
    before = settled()
    row = end(books.call(books.turn()))
    billing.settle([row])
    price = books.price(from_at=timezone.now() - timedelta(minutes=30), input_nanos=NANOS // 2)

    assert corrections.reprice(price.pk) == 1

    assert books.cost(row) == 800_000
    assert lines(row)[2].amount_nanos == -400_000
    assert len(lines(before)) == 2


def test_a_price_in_another_currency_moves_the_cost_there() -> None:
    books.price()
    row = settled()
    price = books.price(from_at=timezone.now() - timedelta(days=1), currency="CNY", input_nanos=7 * NANOS)

    assert corrections.reprice(price.pk) == 1
    assert corrections.reprice(price.pk) == 0

    costs = spending.total(spending.sums(Choice())).nanos
    assert costs == {"USD": 0, "CNY": 6_000_000}
    assert len(lines(row)) == 4


def test_a_free_model_costs_nothing_once_that_is_known() -> None:
    settled()
    price = books.price(from_at=timezone.now() - timedelta(days=1), input_nanos=0, output_nanos=0)

    assert (corrections.reprice(price.pk), corrections.reprice(price.pk)) == (1, 0)
    assert unknown() == 0


def test_a_price_of_the_past_is_followed_by_its_task(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = settled()
    day = (timezone.now() - timedelta(days=1)).date().isoformat()
    staff.post(
        "/console/money/prices/?provider=openai&model=gpt-5-mini",
        {"input_nanos": "1", "output_nanos": "4", "currency": "USD", "from_date": day},
    )
    key = str(Price.objects.get().pk)
    with monkeypatch.context() as patch:
        patch.setattr(corrections, "KNOWN_AFTER", timedelta(hours=1))
        tasks.reprice([key])  # somebody may still count by the old one
        assert OutboxEntry.objects.get(task=corrections.REPRICE).done_at is None

    for _ in range(3):
        tasks.reprice([key])

    assert books.cost(row) is None  # what was settled stays unknown; the correction holds the cost
    assert [each.amount_nanos for each in lines(row)] == [None, None, 1_200_000]
    assert OutboxEntry.objects.get(task=corrections.REPRICE).done_at is not None


def test_a_bill_corrects_what_was_estimated(terminal: Terminal, tmp_path: Path) -> None:
    books.price()
    stopped = settled(**UNKNOWN, status="cancelled", request_id="req_1")
    exact = settled(request_id="req_2", cached_input_tokens=300)
    bill = tmp_path / "bill.json"
    bill.write_bytes(orjson.dumps([
        {"id": "req_1", "input_tokens": 790, "output_tokens": 40},
        {"id": "req_2", "input_tokens": 800, "output_tokens": 100},
    ]))  # fmt: skip

    first = terminal("ledger", "reconcile", bill, "--correct", "--json").json
    second = terminal("ledger", "reconcile", bill, "--correct", "--json").json

    assert (first["corrected"], first["counts"]) == (1, {"estimate": 1})
    assert (second["corrected"], second["agree"], second["counts"]) == (0, 2, {})
    assert books.cost(stopped) == 790_000 + 160_000
    correction = lines(stopped)[2]
    assert (correction.input_tokens, correction.output_tokens) == (-210, 40)
    assert (correction.counts, correction.reason) == ("exact", "reconciled")
    assert len(lines(exact)) == 2


def test_what_is_open_or_given_back_is_not_corrected() -> None:
    books.price()
    held = books.call(books.turn())
    usage = Usage(input_tokens=1, output_tokens=1, kind="exact")

    assert not corrections.correct(held, usage, reason="reconciled")
    assert LedgerEntry.objects.count() == 1
