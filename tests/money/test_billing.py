"""What closes a hold, whatever became of the call: known, estimated, or given back; and only once."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from chatbot.celery import app
from conversations import billing, tasks, tokens
from conversations.models import (
    Completion,
    CompletionStatus,
    LedgerEntry,
    OutboxEntry,
    Price,
    Turn,
    TurnStatus,
    Visitor,
)
from tests.money import books
from tests.money.books import UNKNOWN, end, lines

SWEEP = "conversations.sweep_ledger"
FAILED, CANCELLED = CompletionStatus.FAILED, CompletionStatus.CANCELLED

# How a call ended; what closes its hold of 1000 + 500 tokens; and what that says: counts, reason, tokens.
ENDS: list[tuple[dict[str, Any], tuple[str, str, str, int | None, int | None]]] = [
    ({}, ("settle", "exact", "", 800, 100)),
    ({"usage_kind": "estimated"}, ("settle", "estimated", "no_usage", 800, 100)),
    ({"usage_kind": "estimated", "status": CANCELLED}, ("settle", "estimated", "stopped", 800, 100)),
    ({"status": FAILED, "error": "incomplete_stream"}, ("settle", "exact", "", 800, 100)),
    ({**UNKNOWN}, ("settle", "estimated", "no_usage", 1000, 0)),
    ({**UNKNOWN, "input_tokens": 900}, ("settle", "estimated", "no_usage", 900, 0)),
    (
        {**UNKNOWN, "status": CANCELLED, "error": "incomplete_stream"},
        ("settle", "estimated", "incomplete_stream", 1000, 0),
    ),
    *(
        ({**UNKNOWN, "status": FAILED, "error": error}, ("settle", "estimated", error, 1000, 0))
        for error in ("timeout", "bad_response", "content_filter", "incomplete_stream")
    ),
    (
        {**UNKNOWN, "status": FAILED, "error": "unavailable", "error_code": "hung_up"},
        ("settle", "estimated", "unavailable", 1000, 0),
    ),
    ({**UNKNOWN, "status": FAILED, "error": "unavailable"}, ("release", "exact", "unavailable", 0, 0)),
    ({**UNKNOWN, "status": FAILED, "error": "rate_limit"}, ("release", "exact", "rate_limit", 0, 0)),
    ({**UNKNOWN, "status": FAILED, "error": "auth"}, ("release", "exact", "auth", 0, 0)),
    ({**UNKNOWN, "status": FAILED, "error": "server"}, ("release", "estimated", "server", 0, 0)),
    ({"status": FAILED, "error": "rate_limit"}, ("settle", "exact", "", 800, 100)),
    (
        {"status": CANCELLED, "input_tokens": 0, "output_tokens": 0},
        ("release", "exact", "not_asked", 0, 0),
    ),
]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("said", "closes"), ENDS)
def test_every_end_of_a_call_closes_its_hold(
    said: dict[str, Any], closes: tuple[str, str, str, int | None, int | None]
) -> None:
    price = books.price()
    turn = books.turn()
    row = end(books.call(turn), **said)

    billing.bill([turn.pk])

    _hold, line = lines(row)
    assert (line.kind, line.counts, line.reason, line.input_tokens, line.output_tokens) == closes
    if line.kind == "settle":
        assert (line.price_id, line.currency) == (price.pk, "USD")
        assert line.amount_nanos == 1000 * (line.input_tokens or 0) + 4000 * (line.output_tokens or 0) > 0
    else:
        assert line.amount_nanos == 0


@pytest.mark.django_db
def test_what_was_said_before_a_process_died_is_counted() -> None:
    books.price()
    turn = books.turn()
    first = end(books.call(turn, number=1), **UNKNOWN, status=FAILED, error="timeout")
    second = end(books.call(turn, number=2), **UNKNOWN, status=CANCELLED, error="incomplete_stream")
    text = "The parcel is on its way. " * 10
    books.answer(turn, text, status=TurnStatus.INTERRUPTED)

    billing.bill([turn.pk])

    said = tokens.counter_for(books.MODEL)[0](text)
    assert [line.output_tokens for line in (lines(first)[1], lines(second)[1])] == [0, said]


@pytest.mark.django_db
def test_a_model_without_a_price_costs_an_unknown_sum_never_nothing() -> None:
    turn = books.turn()
    row = end(books.call(turn))

    billing.bill([turn.pk])

    hold, line = lines(row)
    assert (hold.amount_nanos, hold.price_id, hold.currency) == (None, None, "")
    assert (line.kind, line.amount_nanos, line.price_id, line.counts) == ("settle", None, None, "exact")
    assert (line.input_tokens, line.output_tokens) == (800, 100)


@pytest.mark.django_db
def test_a_call_costs_what_held_when_it_began_though_the_price_has_changed_since() -> None:
    books.price()
    turn = books.turn()
    row = end(books.call(turn))
    books.price(input_nanos=99, output_nanos=99, from_at=timezone.now() + timedelta(seconds=1))
    later = end(books.call(turn, number=2, started_at=timezone.now() + timedelta(seconds=2)))

    billing.bill([turn.pk])

    assert books.cost(row) == 1_200_000
    assert books.cost(later) == 0  # 900 tokens at 99 nanos a million
    assert lines(later)[1].price == Price.objects.get(input_nanos=99)


@pytest.mark.django_db
def test_billed_counts_are_what_is_paid() -> None:
    books.price()
    turn = books.turn()
    row = end(books.call(turn), billed_input_tokens=10, billed_output_tokens=5)

    billing.bill([turn.pk])

    assert books.cost(row) == 30_000
    assert (lines(row)[1].input_tokens, lines(row)[1].output_tokens) == (10, 5)


@pytest.mark.django_db
def test_a_running_call_stays_held_until_it_ends() -> None:
    turn = books.turn()
    row = books.call(turn)

    billing.bill([turn.pk])
    assert len(lines(row)) == 1
    end(row)
    billing.bill([turn.pk])

    assert [line.kind for line in lines(row)] == ["hold", "settle"]


def _everything() -> list[tuple[Any, ...]]:
    """Return the rows that tasks write, without their times and numbers."""
    rows = LedgerEntry.objects.order_by("completion", "number").values_list(
        "completion", "number", "kind", "amount_nanos", "counts", "reason", "input_tokens", "output_tokens"
    )
    entries = OutboxEntry.objects.order_by("task", "key")
    return [*rows, *((each.task, each.key, each.done_at is None) for each in entries)]


@pytest.mark.django_db
@pytest.mark.parametrize("order", list(itertools.permutations((SWEEP, *tasks.AFTER_TURN))))
def test_each_task_may_run_three_times_in_any_order(order: tuple[str, ...]) -> None:
    books.price()
    turn = books.turn()
    ended = end(books.call(turn, started_at=timezone.now() - timedelta(minutes=5)))
    end(books.call(turn, number=2), **UNKNOWN, status=FAILED, error="auth")
    books.answer(turn, "It is on its way.")
    tasks.after_turn(turn.pk)
    runs: dict[str, Callable[[], object]] = {
        SWEEP: tasks.sweep_ledger,
        **{name: partial(app.tasks[name], [turn.pk]) for name in tasks.AFTER_TURN},
    }

    for name in order:
        runs[name]()
    once = _everything()
    for name in order * 2:
        runs[name]()

    assert _everything() == once
    assert [line.kind for line in lines(ended)] == ["hold", "settle"]
    assert LedgerEntry.objects.count() == 4
    assert not OutboxEntry.objects.filter(done_at__isnull=True).exists()


# The sweep


def _old_call(turn: Turn | None, *, minutes: float = 5, **said: Any) -> Completion:
    return books.call(turn, started_at=timezone.now() - timedelta(minutes=minutes), **said)


@pytest.mark.django_db
def test_the_sweep_closes_what_a_lost_task_left_open() -> None:
    books.price()
    row = end(_old_call(books.turn()))

    assert billing.sweep() == 1
    assert billing.sweep() == 0

    assert [line.kind for line in lines(row)] == ["hold", "settle"]


@pytest.mark.django_db
def test_the_sweep_leaves_a_call_that_still_runs() -> None:
    turn = books.turn()  # its process has only just been heard of
    row = _old_call(turn)
    young = end(books.call(turn, number=2))

    assert billing.sweep() == 0
    assert len(lines(row)) == len(lines(young)) == 1
    Turn.objects.filter(pk=turn.pk).update(beat_at=timezone.now() - 2 * billing.TURN_DIES_AFTER)

    assert billing.sweep() == 1  # it looks at older ones again
    row.refresh_from_db()
    assert (row.status, row.error) == (CANCELLED, "incomplete_stream")
    assert (lines(row)[1].counts, lines(row)[1].input_tokens) == ("estimated", 1000)
    assert len(lines(young)) == 1


@pytest.mark.django_db
def test_the_sweep_closes_a_dead_trial_and_leaves_a_patient_one() -> None:
    patient, dead = _old_call(None, minutes=14), _old_call(None, minutes=16)

    assert billing.sweep() == 1

    assert len(lines(patient)) == 1
    assert lines(dead)[1].reason == "incomplete_stream"


@pytest.mark.django_db
def test_many_open_holds_are_closed_in_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(billing, "SWEEP_BATCH", 10)
    turn = books.turn()
    for number in range(1, 36):
        end(_old_call(turn, number=number, minutes=100 - number))

    assert billing.sweep() == 35
    assert LedgerEntry.objects.filter(number=1).count() == 35


@pytest.mark.django_db
def test_a_line_says_what_sort_of_visitor_it_was_at_the_time() -> None:
    turn = books.turn()
    row = books.call(turn)
    Visitor.objects.filter(pk=turn.visitor_id).update(segment="customer")
    later = books.call(turn, number=2)
    for each in (row, later):
        end(each)

    billing.bill([turn.pk])

    assert [line.segment for line in (*lines(row), *lines(later))] == ["anonymous"] * 2 + ["customer"] * 2
