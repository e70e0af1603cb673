"""Hourly counters: what is counted of turns, and what is read from the counts."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations import counters
from conversations.models import Completion, HourlyCounter, Turn, TurnStatus
from tests.frame.rows import START, assistant, ended_turn

FAILED = {"provider": "deepseek", "model": "deepseek-chat", "status": "failed", "error": "rate_limit",
          "input_tokens": None, "output_tokens": None, "usage_kind": "unknown"}  # fmt: skip


def record(*turns: Turn) -> None:
    counters.record((turn, list(Completion.objects.filter(turn=turn).order_by("number"))) for turn in turns)


@pytest.mark.django_db
def test_turns_add_up_in_their_hour() -> None:
    first = ended_turn(first_delta_ms=400, took_ms=2000)
    second = ended_turn(
        conversation=first.conversation, status=TurnStatus.STOPPED, first_delta_ms=None, took_ms=900
    )
    record(first)
    record(second)

    row = HourlyCounter.objects.get()

    assert (row.hour, row.route, row.provider, row.model) == (
        START.replace(minute=0), "default", "openai", "gpt-5-mini",
    )  # fmt: skip
    assert (row.conversations, row.turns, row.completed, row.stopped, row.failed) == (1, 2, 1, 1, 0)
    assert (row.attempts, row.input_tokens, row.output_tokens, row.unknown_usage) == (2, 200, 40, 0)
    assert (row.first_delta_ms, sum(row.first_delta_buckets)) == (400, 1)
    assert (row.duration_ms, sum(row.duration_buckets)) == (2900, 2)


@pytest.mark.django_db
def test_an_error_is_counted_at_the_model_that_made_it() -> None:
    record(ended_turn(attempts=(FAILED, {})))

    failed = HourlyCounter.objects.get(model="deepseek-chat")
    answered = HourlyCounter.objects.get(model="gpt-5-mini")

    assert (failed.turns, failed.attempts, failed.errors, failed.unknown_usage) == (
        0,
        1,
        {"rate_limit": 1},
        1,
    )
    assert (answered.turns, answered.attempts, answered.errors) == (1, 1, {})


@pytest.mark.django_db
def test_times_of_attempts_are_kept_at_their_model_those_that_never_left_apart() -> None:
    refused = {"status": "failed", "error": "unavailable", "error_code": "resting", "total_ms": 0}
    limited = {"status": "failed", "error": "limited", "total_ms": 5000}
    record(
        ended_turn(
            attempts=(
                {"model": "a", "total_ms": 30_000, "error": "timeout"},
                {"model": "b", **refused},
                {"model": "b", **limited},
                {"model": "c", "first_delta_ms": 350, "total_ms": 1800},
                {"model": "c", "total_ms": 70, "error": "server"},
            )
        )
    )

    slow, resting, well = (HourlyCounter.objects.get(model=model) for model in "abc")

    assert (slow.attempt_ms, sum(slow.attempt_buckets), slow.attempt_first_delta_buckets) == (30_000, 1, [])
    assert (resting.attempts, resting.resting, resting.attempt_ms, resting.attempt_buckets) == (2, 1, 0, [])
    assert resting.errors == {"unavailable": 1, "limited": 1}
    assert (well.attempt_first_delta_ms, sum(well.attempt_first_delta_buckets)) == (350, 1)
    assert (well.attempt_ms, sum(well.attempt_buckets), well.resting) == (1870, 2, 0)
    assert counters.quantile_ms(counters.total([slow, well]).attempt_buckets, 0.99) == pytest.approx(
        31_500, rel=0.05
    )


@pytest.mark.django_db
def test_a_turn_that_asked_nobody_is_counted_too() -> None:
    record(ended_turn(status=TurnStatus.FAILED, attempts=(), first_delta_ms=None))

    row = HourlyCounter.objects.get()

    assert (row.route, row.provider, row.model, row.turns, row.failed, row.attempts) == (
        "default", "", "", 1, 1, 0,
    )  # fmt: skip


@pytest.mark.django_db
def test_assistants_and_hours_are_kept_apart() -> None:
    record(
        ended_turn(),
        ended_turn(of=assistant("returns")),
        ended_turn(at=START + timedelta(hours=1)),
        ended_turn(at=START + timedelta(minutes=40)),
    )

    assert sorted(HourlyCounter.objects.values_list("turns", flat=True)) == [1, 1, 2]
    hour, end = START.replace(minute=0), START + timedelta(days=1)
    assert counters.total(counters.between((hour, end))).counts["turns"] == 4
    assert counters.total(counters.between((START, end))).counts["turns"] == 1
    assert counters.total(counters.between((hour, START), (end, end))).counts["turns"] == 3


@pytest.mark.django_db
def test_an_answer_again_opens_no_conversation() -> None:
    first = ended_turn()
    again = ended_turn()
    Turn.objects.filter(pk=again.pk).update(replaces=first.message_id)
    again.refresh_from_db()
    record(first, again)

    assert HourlyCounter.objects.get().conversations == 1


@pytest.mark.django_db
def test_a_turn_that_has_not_ended_is_refused() -> None:
    turn = ended_turn()
    turn.finished_at = None

    with pytest.raises(ValueError, match="has not ended"):
        record(turn)


def buckets_of(values: list[int]) -> list[int]:
    buckets: list[int] = []
    for value in values:
        counters._put(buckets, value)
    return buckets


@given(st.lists(st.integers(0, counters.BOUNDS_MS[-1]), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[int], share: float) -> None:
    rank = max(1, -(-share * len(values) // 1))
    true = sorted(values)[int(rank) - 1]

    found = counters.quantile_ms(buckets_of(values), share)

    assert found is not None
    low, high = next((low, high) for low, high in pairwise((-1, *counters.BOUNDS_MS)) if low < true <= high)
    assert max(low, 0) <= found <= high


def test_nothing_counted_has_no_quantile_and_slow_ones_end_at_the_last_bound() -> None:
    assert counters.quantile_ms([], 0.5) is None
    assert counters.quantile_ms([0, 0], 0.5) is None
    assert counters.quantile_ms(buckets_of([10**9]), 0.5) == counters.BOUNDS_MS[-1]


def test_the_bounds_grow() -> None:
    assert all(low < high <= low * 1.3 for low, high in pairwise(counters.BOUNDS_MS))
