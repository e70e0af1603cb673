"""For any text and any cuts, the gate does what a slow search of the whole text says it should."""

from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

import conversations.moderation.gate
from conversations.moderation.detectors import DETECTORS
from conversations.moderation.gate import KEPT_SYMBOLS, Gate
from conversations.moderation.masking import MASK
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset
from tests.moderation.oracle import expected, places
from tests.moderation.samples import CUTS, RULES, TEXTS, pieces
from tests.scale import count

RULESET = Ruleset(RULES).prepare()
HOLDING = Ruleset(rule for rule in RULES if rule.action != "flag" and rule.id != "card")
WHOLE = [
    *[
        "jackpot",
        "j a c k p o t",
        "ass",
        "a s s",
        "send gift cards",
        "s e n d g i f t c a r d s",
        "jac!",
        "j a c !",
    ],
    *[
        "博彩",
        "博 彩",
        "刷信誉",
        "刷 信 誉",
        "着迷药",
        "迷 药",
        "か博",
        "か 博",
        "abbbc",
        "abc",
        "x12 ",
        "15912345678",
        "bb@a.org",
    ],
]
EVERYTHING = Ruleset(
    [*RULES, *(Rule(id=f"all {name}", kind="detector", pattern=name, action="mask") for name in DETECTORS)]
)
# Whatever a text ends with, one of these makes a match of it if anything does.
ENDS = sorted(
    {"", *(whole[at:] for whole in WHOLE for at in range(len(whole))), "xx", " x", "xx.org", "+8615912345678"}
)
MANY = settings(max_examples=count(400, 10_000), deadline=None)


def run(parts: list[str], ruleset: Ruleset = RULESET) -> tuple[str, Gate]:
    gate = Gate(ruleset)
    shown = "".join([*map(gate.feed, parts), gate.finish()])
    return shown, gate


@MANY
@given(TEXTS, CUTS)
def test_what_comes_out_is_what_may_and_the_cuts_make_no_difference(text: str, cuts: list[int]) -> None:
    wanted = expected(RULES, text)

    for parts in (pieces(text, cuts), list(text), [text]):
        for kept in (0, KEPT_SYMBOLS):
            with patch.object(conversations.moderation.gate, "KEPT_SYMBOLS", kept):
                shown, gate = run(parts)

            assert (shown, gate.is_blocked) == wanted


@MANY
@given(TEXTS)
def test_a_whole_text_is_searched_as_a_stream_is(text: str) -> None:
    screening = RULESET.screen(text, "output")

    assert [(each.rule.id, each.start, each.end) for each in screening.findings] == places(RULES, text)
    if not screening.is_blocked:
        assert screening.masked == expected(RULES, text)[0]


@MANY
@given(TEXTS)
def test_no_more_is_held_back_than_could_still_become_a_match(text: str) -> None:
    text = text.replace("&", "")  # character references are waited for whatever they become
    gate = Gate(HOLDING)
    for char in text:
        gate.feed(char)

    begin = len(text) - gate.held

    assert gate.is_blocked or not gate.held or any(begins_at(begin, text + end) for end in ENDS)


def begins_at(place: int, text: str) -> bool:
    return any(finding.start == place for finding in HOLDING.screen(text, "output").findings)


@MANY
@given(TEXTS, st.integers(0, 60), st.sets(st.sampled_from(RULES)), st.sets(st.sampled_from(RULES)))
def test_rules_that_change_in_mid_answer_hold_for_all_of_it(
    text: str, place: int, before: set[Rule], after: set[Rule]
) -> None:
    old, new = list(before), [rule for rule in RULES if rule in after]
    gate = Gate(Ruleset(old))
    first = gate.feed(text[:place])
    was_blocked = gate.is_blocked

    rest = gate.swap(Ruleset(new)) + gate.feed(text[place:]) + gate.finish()

    masked, is_blocked = expected(new, text)
    if was_blocked:
        assert (first, rest) == (expected(old, text[:place])[0], "")
    elif is_blocked:
        assert gate.is_blocked
        assert masked.endswith(rest.removeprefix(MASK)) or not rest
    else:
        assert not gate.is_blocked
        assert gate.text == masked
        assert masked.endswith(rest.removeprefix(MASK))


@MANY
@given(st.text(max_size=60), CUTS)
@example("0: \U0003134b", [])  # unassigned, in a block of Han
@example("a ・", [])
def test_any_text_of_any_script_goes_through_as_it_is_unless_something_is_found(
    text: str, cuts: list[int]
) -> None:
    shown, gate = run(pieces(text, cuts), EVERYTHING)

    screening = EVERYTHING.screen(text, "output")

    assert tuple(gate.findings) == screening.findings or gate.is_blocked
    assert gate.is_blocked == screening.is_blocked
    if not screening.is_blocked:
        assert shown == screening.masked
    if not screening.findings:
        assert shown == text
