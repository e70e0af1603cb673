"""Budgets: reserved before a call, so that nobody overspends; alerts; and who may have how much."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from conversations import billing, budgets, tasks
from conversations.budgets import BudgetError, OverspentError
from conversations.models import (
    NANOS,
    Budget,
    BudgetAlert,
    BudgetChange,
    BudgetSpend,
    Completion,
    LedgerEntry,
    OutboxEntry,
    Reservation,
    Turn,
    Visitor,
)
from tests import scale
from tests.money import books
from tests.money.books import UNKNOWN, end

ONE_MILLION = (1_000_000, 0)  # tokens held: what costs one unit


@pytest.fixture(autouse=True)
def _one_a_million(db: None) -> None:
    """Reading a million tokens costs one USD."""
    books.price()


def spent(budget: Budget) -> int:
    return sum(BudgetSpend.objects.filter(budget=budget).values_list("spent_nanos", flat=True))


@pytest.mark.django_db
def test_what_a_call_may_cost_is_reserved_and_then_what_it_did_cost() -> None:
    budget = books.budget(10)
    turn = books.turn()

    row = books.call(turn, holds=ONE_MILLION)
    assert spent(budget) == NANOS
    end(row, input_tokens=200_000, output_tokens=0)
    billing.bill([turn.pk])
    billing.bill([turn.pk])

    assert spent(budget) == NANOS // 5
    assert not Reservation.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({**UNKNOWN, "status": "failed", "error": "auth"}, 0),
        ({**UNKNOWN, "status": "cancelled", "error": "incomplete_stream"}, NANOS),
        ({"input_tokens": 3_000_000, "output_tokens": 0}, 3 * NANOS),
    ],
)
def test_a_budget_is_left_with_what_the_ledger_says(said: dict[str, Any], left: int) -> None:
    budget = books.budget(10)
    turn = books.turn()
    end(books.call(turn, holds=ONE_MILLION), **said)

    billing.bill([turn.pk])

    assert spent(budget) == left


@pytest.mark.django_db
def test_a_call_that_would_cost_more_than_is_left_is_refused_and_leaves_nothing() -> None:
    budget = books.budget(2.5)
    turn = books.turn()
    for number in (1, 2):
        books.call(turn, number=number, holds=ONE_MILLION)

    with pytest.raises(OverspentError):
        books.call(turn, number=3, holds=ONE_MILLION)

    assert spent(budget) == 2 * NANOS
    assert Completion.objects.count() == LedgerEntry.objects.count() == Reservation.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_calls_at_once_on_money_for_ten_ten_are_made() -> None:
    books.budget(10)
    books.budget(1000, scope="visitor")
    turns = [books.turn() for _ in range(100)]
    start, made, refused = threading.Barrier(scale.count(20, 100)), [], []

    def ask(some: list[Turn]) -> None:
        start.wait(30)
        try:
            for turn in some:
                try:
                    made.append(books.call(turn, holds=ONE_MILLION))
                except OverspentError as error:
                    refused.append(error)
        finally:
            connection.close()

    running = [
        threading.Thread(target=ask, args=(turns[number :: start.parties],))
        for number in range(start.parties)
    ]
    for each in running:
        each.start()
    for each in running:
        each.join(120)

    assert (len(made), len(refused)) == (10, 90)
    assert spent(Budget.objects.get(scope="site")) == 10 * NANOS
    assert spent(Budget.objects.get(scope="visitor")) == 10 * NANOS
    assert Completion.objects.count() == 10


@pytest.mark.django_db
def test_a_budget_holds_for_whom_it_is() -> None:
    shop, other = books.assistant("shop"), books.assistant("other")
    anna, known = Visitor.objects.create(), Visitor.objects.create(segment="customer")
    books.budget(1, scope="assistant", assistant=shop)
    books.budget(1, scope="visitor", segment="anonymous")
    books.budget(3, scope="visitor", segment="customer")

    def calls(visitor: Visitor, assistant: Any) -> int:
        turn = books.turn(of=assistant, visitor=visitor)
        for number in range(1, 10):
            try:
                books.call(turn, number=number, holds=ONE_MILLION)
            except OverspentError:
                return number - 1
        return 9

    assert calls(anna, shop) == 1
    assert calls(known, shop) == 0  # the assistant's is gone
    assert calls(anna, other) == 0  # hers too
    assert calls(known, other) == 3


@pytest.mark.django_db
def test_tests_take_nothing_from_visitors() -> None:
    budget = books.budget(1)

    for _ in range(5):
        books.call(None, holds=ONE_MILLION)

    assert spent(budget) == 0


@pytest.mark.django_db
def test_other_currencies_count_at_their_rate_and_without_one_not_at_all(settings: Settings) -> None:
    budget = books.budget(1)
    books.price(model="qwen-plus", currency="CNY")
    turn = books.turn()
    books.call(turn, number=1, model="qwen-plus", holds=ONE_MILLION)
    assert spent(budget) == 0
    books.rate("CNY", "USD", 0.14)

    row = books.call(turn, number=2, model="qwen-plus", holds=ONE_MILLION)
    assert spent(budget) == 140_000_000
    end(row, input_tokens=500_000, output_tokens=0)
    billing.bill([turn.pk])

    assert spent(budget) == 70_000_000


@pytest.mark.django_db
def test_a_call_without_a_price_is_made_and_not_counted() -> None:
    budget = books.budget(0.001)
    turn = books.turn()

    end(books.call(turn, model="house", holds=ONE_MILLION))
    billing.bill([turn.pk])

    assert spent(budget) == 0


@pytest.mark.django_db
def test_what_costs_nothing_is_never_refused() -> None:
    books.budget(0)
    books.price(model="local", input_nanos=0, output_nanos=0)

    books.call(books.turn(), model="local", holds=ONE_MILLION)


def test_periods_are_days_and_months_of_utc() -> None:
    late = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)

    assert budgets.period_start("day", late) == date(2026, 12, 31)
    assert budgets.period_start("month", late) == date(2026, 12, 1)


@pytest.mark.django_db
def test_a_new_day_has_new_money() -> None:
    budget = books.budget(1)
    turn = books.turn()
    now = timezone.now()
    books.call(turn, number=1, holds=ONE_MILLION, started_at=now - timedelta(days=1))

    books.call(turn, number=2, holds=ONE_MILLION)

    assert BudgetSpend.objects.filter(budget=budget).count() == 2


# The ladder


def _spend(turn: Turn, number: int, units: float) -> None:
    tokens = round(units * 1_000_000)
    end(books.call(turn, number=number, holds=(tokens, 0)), input_tokens=tokens, output_tokens=0)
    billing.bill([turn.pk])


@pytest.mark.django_db
def test_the_ladder_alerts_then_goes_a_cheaper_way_then_refuses() -> None:
    books.budget(10, cheaper_route="concise")
    turn = books.turn()
    steps: list[tuple[budgets.Standing, list[int]]] = []

    for number, units in enumerate((7.9, 0.2, 1.3, 0.2, 0.4), 1):
        _spend(turn, number, units)
        said = budgets.standing(turn.conversation.assistant_id, turn.visitor_id)
        steps.append((said, sorted(BudgetAlert.objects.values_list("step", flat=True))))

    free, cheaper = budgets.FREE, budgets.Standing(cheaper_route="concise")
    assert steps == [
        (free, []),
        (free, [80]),
        (free, [80]),
        (cheaper, [80, 95]),
        (budgets.Standing(is_exhausted=True), [80, 95, 100]),
    ]


@pytest.mark.django_db
def test_a_refusal_is_told_though_the_call_left_nothing() -> None:
    books.budget(1.5)
    turn = books.turn()
    books.call(turn, holds=ONE_MILLION)
    with pytest.raises(OverspentError) as caught:
        books.call(turn, number=2, holds=ONE_MILLION)

    for _ in range(3):
        billing.refused(caught.value)

    assert BudgetAlert.objects.get().step == 100
    assert OutboxEntry.objects.filter(task=billing.SEND_ALERT).count() == 1


@pytest.mark.django_db
def test_an_alert_is_sent_once_for_a_step_and_a_period(settings: Settings) -> None:
    settings.ALERT_EMAILS = ["ada@example.org", "bob@example.org"]
    books.budget(10)
    turn = books.turn()
    for number, units in enumerate((8.1, 0.2, 0.2), 1):
        _spend(turn, number, units)
    (alert,) = BudgetAlert.objects.all()

    for _ in range(3):
        tasks.send_budget_alert([str(alert.pk)])

    (letter,) = mail.outbox
    assert letter.to == ["ada@example.org", "bob@example.org"]
    assert letter.subject == "Budget at 80 %: day budget for the site"
    assert "8.10 of 10.00 USD" in letter.body


@pytest.mark.django_db
def test_without_budgets_nothing_is_asked_of_the_database(django_assert_num_queries: Any) -> None:
    turn = books.turn()
    assistant_id = turn.conversation.assistant_id
    budgets.standing(assistant_id, turn.visitor_id)

    with django_assert_num_queries(0):
        assert budgets.standing(assistant_id, turn.visitor_id) == budgets.FREE


# Changing them


@pytest.mark.django_db
def test_a_change_says_who_made_it_and_how_it_was_before() -> None:
    budget = books.budget(10)
    budget.limit_nanos = 20 * NANOS
    budgets.save(budget, by="bob")

    first, second = BudgetChange.objects.order_by("pk")
    assert (first.by, first.before, first.after["limit_nanos"]) == ("ada", None, 10 * NANOS)
    assert second.before is not None
    assert (second.by, second.before["limit_nanos"], second.after["limit_nanos"]) == (
        "bob", 10 * NANOS, 20 * NANOS,
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    "said",
    [
        {"limit_nanos": -1},
        {"scope": "assistant"},
        {"segment": "anonymous"},
        {"period": "day"},  # there is one already
    ],
)
def test_a_budget_that_cannot_be_is_refused(said: dict[str, Any]) -> None:
    books.budget(1)

    with pytest.raises(BudgetError):
        books.budget(1, **{"period": "month", **said})

    assert Budget.objects.count() == 1


@pytest.mark.django_db
def test_a_budget_switched_off_holds_nobody_up() -> None:
    budget = books.budget(0)
    budget.is_active = False
    budgets.save(budget, by="ada")
    budgets.forget()

    books.call(books.turn(), holds=ONE_MILLION)
