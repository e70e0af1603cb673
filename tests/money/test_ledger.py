"""The ledger: lines that nobody changes, a hold for each call, and one line that closes it."""

import threading
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from chatbot.providers.messages import NOTHING, Usage
from conversations import ledger
from conversations.ledger import Posting
from conversations.models import BudgetChange, Completion, ExchangeRate, LedgerEntry, Price, appendonly
from tests.money import books

SPENT = Posting(nanos=1200, currency="USD", usage=Usage(input_tokens=800, output_tokens=100, kind="exact"))


def _close_in(threads: int, row: Completion) -> list[bool]:
    """Close one hold from many threads at once."""
    start, closed = threading.Barrier(threads), []

    def close() -> None:
        start.wait(10)
        try:
            with transaction.atomic():
                closed.append(ledger.close(row.id, "settle", SPENT))
        finally:
            connection.close()

    running = [threading.Thread(target=close) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(30)
    return closed


@pytest.mark.django_db
def test_a_line_stands_for_itself() -> None:
    price = books.price()
    turn = books.turn()

    row = books.call(turn, holds=(1000, 500))

    (hold,) = books.lines(row)
    assert (hold.kind, hold.number, hold.purpose, hold.counts) == ("hold", 0, "visitor", "estimated")
    assert (hold.amount_nanos, hold.currency, hold.price_id) == (3_000_000, "USD", price.pk)
    assert (hold.input_tokens, hold.output_tokens) == (1000, 500)
    assert (hold.assistant_id, hold.segment) == (turn.conversation.assistant_id, "anonymous")
    assert (hold.route, hold.provider, hold.model) == ("default", "openai", "gpt-5-mini")


@pytest.mark.django_db
def test_what_closes_a_hold_says_what_the_hold_said() -> None:
    books.price()
    row = books.call(books.turn())

    ledger.close(row.id, "settle", SPENT)

    hold, settled = books.lines(row)
    assert (settled.kind, settled.number, settled.amount_nanos) == ("settle", 1, 1200)
    for name in ("purpose", "assistant_id", "segment", "route", "provider", "model"):
        assert getattr(settled, name) == getattr(hold, name), name


@pytest.mark.django_db
def test_a_hold_is_closed_once() -> None:
    row = books.call(books.turn())

    assert ledger.close(row.id, "settle", SPENT)
    assert not ledger.close(row.id, "settle", SPENT)
    assert not ledger.close(row.id, "release", Posting(nanos=0, usage=NOTHING))

    assert [each.kind for each in books.lines(row)] == ["hold", "settle"]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_close_a_hold_at_once_one_does() -> None:
    row = books.call(books.turn())

    closed = _close_in(8, row)

    assert sorted(closed) == [False] * 7 + [True]
    assert len(books.lines(row)) == 2


@pytest.mark.django_db
def test_nothing_is_closed_that_was_not_held() -> None:
    row = Completion.objects.create(number=1, route="default", target="q", provider="p", model="m")

    assert not ledger.close(row.id, "settle", SPENT)
    assert not ledger.correct(row.id, 2, SPENT)


@pytest.mark.django_db
def test_corrections_are_numbered_and_add_up() -> None:
    row = books.call(books.turn())
    ledger.close(row.id, "settle", SPENT)

    for number, nanos in ((2, 500), (3, -300)):
        posting = Posting(nanos=nanos, currency="USD", reason="reconciled")
        assert ledger.correct(row.id, number, posting)
        assert not ledger.correct(row.id, number, posting)

    assert [(each.kind, each.number) for each in books.lines(row)][2:] == [
        ("correction", 2),
        ("correction", 3),
    ]
    assert books.cost(row) == 1400


@pytest.mark.django_db
def test_the_database_refuses_a_second_hold_and_a_line_that_makes_no_sense() -> None:
    row = books.call(books.turn())
    (hold,) = books.lines(row)
    same = {
        name: getattr(hold, name)
        for name in ("completion_id", "purpose", "counts", "route", "provider", "model", "currency")
    }
    wrong: list[dict[str, object]] = [
        {"number": 0, "kind": "hold"},
        {"number": 2, "kind": "settle"},
        {"number": 1, "kind": "hold"},
        {"number": 1, "kind": "settle", "amount_nanos": -1, "currency": "USD"},
        {"number": 1, "kind": "release", "amount_nanos": 5, "currency": "USD"},
        {"number": 1, "kind": "settle", "amount_nanos": 5, "currency": ""},
    ]

    for said in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            LedgerEntry.objects.create(**{**same, **said})


def _change_line() -> None:
    LedgerEntry.objects.update(amount_nanos=0)


def _delete_line() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM conversations_ledgerentry")


def _change_price() -> None:
    Price.objects.update(note="cheaper")


def _change_rate() -> None:
    ExchangeRate.objects.update(note="better")


def _forget_change() -> None:
    BudgetChange.objects.all().delete()


CHANGES: tuple[Callable[[], None], ...] = (
    _change_line,
    _delete_line,
    _change_price,
    _change_rate,
    _forget_change,
)


@pytest.mark.django_db
@pytest.mark.parametrize("change", CHANGES)
def test_nobody_changes_what_was_written(change: Callable[[], None]) -> None:
    books.price()
    books.rate("CNY", "USD", 0.14)
    books.budget(5)
    books.call(books.turn())

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change()


@pytest.mark.django_db(transaction=True)
def test_nor_is_a_table_emptied_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has no TRUNCATE
    books.call(books.turn())

    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("TRUNCATE conversations_ledgerentry CASCADE")


@pytest.mark.django_db(transaction=True)
def test_a_missing_trigger_is_told_and_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert appendonly.missing() == []
    appendonly.lift(["conversations_price"])

    call_command("check", databases=["default"])
    told = capsys.readouterr().err
    call_command("migrate", verbosity=0)

    assert "W101" in told
    assert "conversations_price_stays" in told
    assert appendonly.missing() == []


@pytest.mark.django_db
def test_the_export_holds_every_line_as_it_stands() -> None:
    for _ in range(3):
        ledger.close(books.call(books.turn()).id, "settle", SPENT)

    lines = list(ledger.export())

    assert [line["id"] for line in lines] == list(
        LedgerEntry.objects.order_by("pk").values_list("pk", flat=True)
    )
    assert sum(line["amount_nanos"] or 0 for line in lines if line["kind"] == "settle") == 3600
