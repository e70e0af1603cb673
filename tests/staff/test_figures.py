"""Figures, sparklines and the states of models: pure functions of counts and attempts."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from pytest_django import Settings

from chatbot.config import Config, load
from chatbot.providers.errors import ErrorKind
from chatbot.providers.health import Health
from conversations.counters import Tally
from conversations.models import Assistant, HourlyCounter
from conversations.pages import attention, figures, model_states, numbers
from conversations.pages.model_states import Attempt, ModelState

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def row(hours_ago: int, **counts: object) -> HourlyCounter:
    hour = NOW.replace(minute=0) - timedelta(hours=hours_ago)
    return HourlyCounter(hour=hour, assistant=Assistant(), **counts)


def figure(label: str, *rows: HourlyCounter) -> figures.Figure:
    return next(each for each in figures.figures(rows, NOW) if each.label == label)


def test_today_begins_at_midnight() -> None:
    assert figure("Turns", row(9, turns=3), row(10, turns=5)).value == "3"


def test_whole_hours_are_compared_with_the_same_ones_last_week() -> None:
    week = 7 * 24
    change = figure(
        "Conversations",
        row(1, conversations=3),
        row(0, conversations=100),  # this hour is not over
        row(week + 1, conversations=4),
        row(week, conversations=100),
        row(week + 10, conversations=100),  # the day before
    ).change

    assert (change.lead, change.is_worse, change.text) == ("−25.0 %", True, "against last Friday")


def test_without_a_last_week_there_is_nothing_to_compare() -> None:
    assert figure("Conversations", row(1, conversations=3)).change.lead == ""


def test_nothing_is_told_from_nothing() -> None:
    assert figure("Answered").value is None
    assert figure("First word, p50").value is None
    assert figure("Turns").value == "0"
    assert figure("Turns").spark is None


def test_unknown_tokens_are_said_to_be_unknown() -> None:
    found = figure("Tokens", row(0, input_tokens=1000, output_tokens=284, attempts=3, unknown_usage=1))

    assert (found.value, found.change.text) == ("1,284", "unknown for 1 attempt")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0.0, 1.0], "M0.0 25.0 L72.0 3.0"),
        ([1.0, None, 3.0, 2.0], "M0.0 25.0 L48.0 3.0 L72.0 14.0"),
        ([5.0, 5.0], "M0.0 25.0 L72.0 25.0"),
    ],
)
def test_a_sparkline_spans_its_box(values: list[float | None], line: str) -> None:
    spark = figures.sparkline(values)

    assert spark is not None
    assert spark.line == line
    assert spark.area.endswith(" 28 Z")


@pytest.mark.parametrize("values", [[], [1.0], [None, 2.0], [0.0, 0.0]])
def test_too_little_is_no_line(values: list[float | None]) -> None:
    assert figures.sparkline(values) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (9_999, "9,999"), (12_840, "12.8k"), (3_400_000, "3.4M")]
)
def test_large_counts_are_short(value: int, text: str) -> None:
    assert numbers.short_count(value) == text


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=59), "59 minutes"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=-5), "0 seconds"),
    ],
)
def test_ages_are_in_their_largest_unit(delta: timedelta, text: str) -> None:
    assert numbers.age(delta) == text


# Models


@pytest.fixture
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    file.write_text("""
providers:
  openai: {kind: openai, api_key: "k", base_url: "http://127.0.0.1:1/v1"}
  house: {kind: openai, api_key: "${HOUSE_KEY}", base_url: "http://127.0.0.1:2/v1"}
models:
  quick: {provider: openai, model: gpt-5-mini}
  other: {provider: openai, model: gpt-5-nano}
  big: {provider: house, model: qwen3}
  unused: {provider: openai, model: never}
routes:
  default: [quick, other, local]
  creative: [big]
""")
    return load(file, {})


def attempts(*errors: str, first_delta_ms: int | None = 600, model: str = "gpt-5-mini") -> list[Attempt]:
    """Return attempts, newest first, each with its error or none."""
    return [
        Attempt("openai", model, "failed" if error else "completed", error,
                None if error else first_delta_ms, NOW - timedelta(minutes=index))
        for index, error in enumerate(errors)
    ]  # fmt: skip


def state(
    config: Config, name: str, found: list[Attempt], healths: Mapping[str, Health] | None = None
) -> ModelState:
    states = model_states.model_states(config, found, healths or {})
    return next(each for each in states if each.name == name)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], "Not asked lately"),
        (attempts(""), "Healthy"),
        (attempts("", "", "", "", "", "rate_limit"), "Healthy"),
        (attempts("", "", "rate_limit"), "Errors"),
        (attempts("server", "server", ""), "Errors"),
        (attempts("server", "server", "server", ""), "Not answering"),
        (attempts("", first_delta_ms=4000), "Slow"),
        ([Attempt("openai", "gpt-5-mini", "running", "", None, NOW)], "Not asked lately"),
    ],
)
def test_a_model_is_as_its_last_attempts_were(config: Config, found: list[Attempt], expected: str) -> None:
    assert state(config, "gpt-5-mini", found).state == expected


def test_a_failing_model_says_why_since_when_and_who_answers(config: Config) -> None:
    found = state(config, "gpt-5-mini", attempts("timeout", "server", "server", ""))
    (item,) = attention.of_models(config, [found])

    assert (found.reason, found.failing_since, found.errors) == (
        "no answer in time",
        NOW - timedelta(minutes=2),
        3,
    )
    assert item.consequence == (
        "Since 09:28 UTC: no answer in time. Its visitors are served by gpt-5-nano; nothing is lost."
    )


def test_a_model_whose_breaker_is_open_does_not_answer(config: Config) -> None:
    resting = Health(resting_since=(NOW - timedelta(minutes=1)).timestamp(), kind="unavailable")

    found = state(config, "gpt-5-mini", attempts("", ""), {"quick": resting})

    assert (found.state, found.reason, found.kind) == ("Not answering", "no connection", "bad")
    assert found.failing_since == NOW - timedelta(minutes=1)


def test_times_are_medians_and_tokens_a_sum(config: Config) -> None:
    found = [
        Attempt("openai", "gpt-5-mini", "completed", "", 300, NOW, total_ms, 100, 20)
        for total_ms in (900, 1500, 8000)
    ]
    failed = Attempt("openai", "gpt-5-mini", "failed", "timeout", None, NOW, 30_000)

    row = state(config, "gpt-5-mini", [*found, failed])

    assert (row.wait, row.total, row.spent, row.cost) == ("0.3 s", "1.5 s", "360", "")


def test_costs_are_added_up_by_currency_and_what_is_unknown_adds_nothing(config: Config) -> None:
    booked = [(1_200_000, "USD"), (None, None), (300_000, "USD"), (12_500_000_000, "CNY"), (0, "")]
    found = [
        Attempt("openai", "gpt-5-mini", "completed", "", 300, NOW, cost_nanos=nanos, currency=currency)
        for nanos, currency in booked
    ]

    assert state(config, "gpt-5-mini", found).cost == "0.0015 USD + 12.50 CNY"


def test_models_without_a_key_or_a_route_are_told_apart(config: Config) -> None:
    states = model_states.model_states(config, [], {})

    assert [each.name for each in states] == [
        "gpt-5-mini",
        "gpt-5-nano",
        "qwen3",
        "small demonstration model",
    ]
    assert [each.state for each in states] == [
        "Not asked lately",
        "Not asked lately",
        "Not set up",
        "Standing by",
    ]
    assert "api_key" in states[2].reason


def test_every_error_kind_has_its_words() -> None:
    assert set(model_states.ERRORS) == set(get_args(ErrorKind))


# What needs attention


def test_a_route_without_a_model_needs_attention(config: Config) -> None:
    (item,) = attention.of_config(config, ())

    assert item.kind == "bad"
    assert "creative" in item.fact


@pytest.mark.parametrize(
    ("turns", "failed", "is_told"), [(1000, 2, False), (100, 5, True), (1000, 5, False), (3, 3, True)]
)
def test_a_few_failures_are_chance(turns: int, failed: int, is_told: bool) -> None:
    today = Tally(counts=Counter(turns=turns, failed=failed - 1, interrupted=1))

    assert bool(list(attention.of_today(today))) is is_told


@pytest.mark.parametrize(("age", "is_told"), [(timedelta(minutes=4), False), (timedelta(minutes=6), True)])
def test_tasks_that_wait_long_need_attention(age: timedelta, is_told: bool) -> None:
    assert bool(list(attention.of_waiting(3, NOW - age, NOW))) is is_told


def test_processes_that_are_missing_are_named() -> None:
    assert [item.fact for item in attention.of_processes(None)] == ["Redis is away"]
    assert list(attention.of_processes({"web": 1, "after": 1, "long": 1})) == []
    assert len(list(attention.of_processes({"web": 1, "after": 0, "long": 0}))) == 2


@pytest.mark.parametrize(
    ("is_open", "consequence"), [(False, "no message is taken"), (True, "without being screened")]
)
def test_rules_that_cannot_be_read_are_told(settings: Settings, is_open: bool, consequence: str) -> None:
    settings.SCREENING_FAIL_OPEN = is_open

    assert not list(attention.of_screening(is_usable=True))
    (item,) = attention.of_screening(is_usable=False)
    assert (item.kind, item.fact) == ("bad", "The rules of screening cannot be read")
    assert consequence in item.consequence
