"""The benchmarks' own counting: a harness that cannot see a lost token proves nothing."""

import pytest

from tests.bench.accounting import Account, Answer, percentile
from tests.bench.script import Script, read_token, write_token
from tests.bench.table import Figure, Table

WHOLE = [write_token(number, 1000 * number) for number in range(4)]


def account(*pieces: tuple[int, str], final: str | None = None) -> Account:
    answer = Answer(asked_us=0)
    for at, text in pieces:
        answer.add(at, text, received_us=5000)
    answer.final = answer.text if final is None else final
    found = Account()
    found.take(answer, expected=4, think_us=0)
    return found


def test_a_token_tells_its_number_and_time_without_a_digit() -> None:
    text = write_token(27, 1_234_567_890)

    assert read_token(text.strip(". ")) == (27, 1_234_567_890)
    assert not any(letter.isdigit() for letter in text)


def test_a_question_is_its_own_script() -> None:
    script = Script(tokens=300, rate=50, think_ms=200)

    assert Script.read(script.question("7")) == script
    assert script.length_s == pytest.approx(0.2 + 299 / 50)


def test_a_whole_answer_has_no_faults_however_it_is_cut() -> None:
    text = "".join(WHOLE)

    for cut in range(len(text) + 1):
        found = account((0, text[:cut]), (cut, text[cut:]))

        assert (found.faults, found.tokens) == (0, 4)


def test_lateness_is_counted_per_token_from_its_own_stamp() -> None:
    found = account((0, "".join(WHOLE)))

    assert found.late_us == [5000, 4000, 3000, 2000]
    assert found.first_late_us == [5000]


@pytest.mark.parametrize(
    ("order", "fault", "count"),
    [
        ([0, 1, 3], "lost", 1),
        ([0, 1, 1, 2, 3], "doubled", 1),
        ([0, 2, 1, 3], "disordered", 1),
        ([], "lost", 4),
    ],
)
def test_what_is_lost_doubled_or_out_of_order_is_counted(order: list[int], fault: str, count: int) -> None:
    found = account((0, "".join(WHOLE[number] for number in order)))

    assert getattr(found, fault) == count
    assert found.faults == count


def test_a_delta_beyond_what_is_shown_is_a_gap() -> None:
    first, *_, last = WHOLE

    found = account((0, first), (len(first) + 5, last))

    assert (found.gaps, found.lost) == (1, 2)


def test_an_overlapping_delta_adds_only_what_is_new() -> None:
    text = "".join(WHOLE)

    found = account((0, text[:30]), (12, text[12:]))

    assert found.faults == 0


def test_a_snapshot_replaces_what_is_shown() -> None:
    answer = Answer()
    answer.add(0, WHOLE[0], received_us=1000)

    answer.replace(WHOLE[0] + WHOLE[1], received_us=2000)

    assert answer.pieces == [(1000, WHOLE[0]), (2000, WHOLE[1])]


def test_a_torn_token_is_garbled_not_counted() -> None:
    torn = WHOLE[0][1:] + "".join(WHOLE[1:])

    found = account((0, torn))

    assert (found.garbled, found.lost) == (1, 1)


def test_a_stored_text_unlike_the_shown_one_is_a_fault() -> None:
    found = account((0, "".join(WHOLE)), final="something else")

    assert (found.unlike_stored, found.faults) == (1, 1)


def test_an_answer_without_an_end_is_a_fault() -> None:
    found = Account()

    found.take(Answer(), expected=0, think_us=0)

    assert found.unfinished == 1


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_percentiles_are_nearest_rank(percent: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_a_target_may_stand_alone_or_against_the_bare_relay() -> None:
    def verdict(**limits: object) -> str:
        return Figure(name="x", product=30.0, bare=12.0, **limits).verdict  # type: ignore[arg-type]

    assert verdict() == ""
    assert verdict(at_most=30.0) == "ok"
    assert verdict(at_most=29.0) == "over"
    assert verdict(at_most=2.5, against="ratio") == "ok"
    assert verdict(at_most=2.4, against="ratio") == "over"
    assert verdict(at_most=18.0, against="added") == "ok"
    assert verdict(at_most=17.0, against="added") == "over"


def test_an_invalid_run_is_never_met_and_says_why() -> None:
    table = Table("relay", figures=[Figure(name="x", product=1.0, at_most=2.0)])
    assert table.is_met

    table.invalid.append("load generator used 95% of a core")

    assert not table.is_met
    assert "INVALID: load generator used 95% of a core" in str(table)
    assert " ok" not in str(table)
