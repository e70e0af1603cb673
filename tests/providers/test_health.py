"""When a target is sent to rest, when it is asked again, and when it is well."""

import pytest

from chatbot.providers import health
from chatbot.providers.health import HANGING_REST_S, LONGEST_REST_S, REST_S, UNKNOWN, Failure, Health

BAD = Failure(kind="server")
HUNG = Failure(kind="timeout", hung=True)
PROBE = Failure(kind="server", is_probe=True)


def after(*story: tuple[float, str]) -> Health:
    """What is known after calls that were answered (`+`), failed (`-`) or hung (`h`) at these times."""
    known = UNKNOWN
    for at, what in story:
        if what == "+":
            known = known.answered(at, began_at=at)
        else:
            known = known.failed(at, HUNG if what == "h" else BAD)
    return known


@pytest.mark.parametrize(
    ("story", "rests"),
    [
        ([(0, "-"), (0.3, "-")], False),  # one visitor's call and its retry
        ([(0, "-"), (0.3, "-"), (5, "-")], True),
        ([(0, "-"), (0.3, "-"), (0.6, "-"), (0.9, "-")], False),  # a bad second is no illness
        ([(0, "-"), (0.3, "-"), (0.6, "-"), (2.1, "-")], True),
        ([(0, "-"), (0.3, "-"), (4, "+"), (5, "-")], False),
        ([(0, "-"), (20, "-"), (40, "-")], True),  # few visitors, all in vain
        ([(0, "-"), (40, "-"), (80, "-")], False),  # so long ago that it counts no more
        ([(0, "h")], True),
        ([(second / 10, "+-"[second % 2]) for second in range(24)], True),  # half of many fail
        ([(second / 10, "++-"[second % 3]) for second in range(300)], False),
        ([*((second / 50, "+") for second in range(3000)), *((60 + n / 50, "-") for n in range(150))], True),
    ],
)
def test_a_target_rests_once_it_is_sick(story: list[tuple[float, str]], rests: bool) -> None:
    assert (after(*story).resting_since is not None) is rests


def test_under_any_traffic_a_dead_target_rests_within_ten_seconds() -> None:
    for gap_s in (0.01, 0.1, 1.0, 4.0):
        known, now = after(*((at * gap_s, "+") for at in range(int(30 / gap_s)))), 30.0
        while known.resting_since is None:
            now += gap_s
            known = known.failed(now, BAD).failed(now + 0.3, BAD)
        assert now - 30.0 <= 10.0, gap_s


def test_each_failed_probe_doubles_the_rest_up_to_a_bound() -> None:
    known = after((0, "-"), (1, "-"), (3, "-"))
    rests = [known.probe_at - 3]
    for _ in range(3):
        now = known.probe_at
        known = known.probed(now).failed(now + 0.1, PROBE)
        rests.append(known.probe_at - now - 0.1)

    assert rests == pytest.approx([REST_S, 2 * REST_S, LONGEST_REST_S, LONGEST_REST_S])
    assert after((0, "h")).probe_at == HANGING_REST_S


def test_calls_that_knew_nothing_of_the_rest_do_not_prolong_it() -> None:
    known = after((0, "-"), (1, "-"), (3, "-"))

    assert known.failed(3.2, BAD) == known


def test_while_a_probe_is_out_the_next_one_waits_its_turn() -> None:
    known = after((0, "-"), (1, "-"), (3, "-"))

    assert known.probed(8).probe_at == 8 + REST_S
    assert known.probed(8).unprobed(9).probe_at == 9


def test_the_first_word_of_a_probe_ends_the_rest_and_an_older_calls_does_not() -> None:
    known = after((0, "-"), (1, "-"), (3, "-"))

    assert known.answered(9, began_at=2.5) == known
    assert known.answered(9, began_at=8).resting_since is None


def test_a_service_asks_for_a_longer_rest_and_gets_it_within_the_bound() -> None:
    def rest_s(asked_s: float) -> float:
        known = after((0, "-"), (1, "-"))
        return known.failed(3, Failure(kind="rate_limit", rest_s=asked_s)).rest_s

    assert [rest_s(1), rest_s(12), rest_s(3600)] == [REST_S, 12, LONGEST_REST_S]


def test_answers_that_break_off_leave_the_run_as_it_was() -> None:
    known = UNKNOWN
    for at in (0.0, 5.0, 10.0):
        before = known
        known = known.answered(at, began_at=at).counted(at, -1)
        known = known.failed(
            at + 1, Failure(kind="incomplete_stream", run=before.run, run_since=before.run_since)
        )

    assert known.resting_since == 11.0


def test_what_is_written_is_read_again_and_nonsense_is_unknown() -> None:
    known = after((0, "-"), (1, "-"), (3, "-"))

    assert health.load(known.dump()) == known
    assert [health.load(stored) for stored in (None, b"", b"{}", b"[1,2", b"[1,2,3,4,5,6,7,8,9,10]")] == (
        [UNKNOWN] * 5
    )
