"""Texts made to wear the gate out: it stays quick, small and right."""

import time
from collections.abc import Iterable
from operator import itemgetter

import pytest

from conversations.moderation.gate import Gate
from conversations.moderation.rules import Rule, read
from conversations.moderation.ruleset import Ruleset
from tests.moderation.samples import RULES
from tests.scale import count

RULESET = Ruleset(RULES).prepare()
LONG = count(3_000, 20_000)
HARD = {
    "one letter": "a" * LONG,
    "beginnings of a word": "jackpo" * (LONG // 6),
    "beginnings of a phrase": "send gift card " * (LONG // 15),
    "spelled-out beginnings": "j a c k p o " * (LONG // 12),
    "digits": "4" * LONG,
    "digits with gaps": "4 " * (LONG // 2),
    "local parts": "a.b-" * (LONG // 4),
    "at signs": "a@" * (LONG // 2),
    "domains": "a@" + "b.c-" * (LONG // 4),
    "pluses": "+" * LONG,
    "ampersands": "&#" * (LONG // 2),
    "names of references": "&CounterClockwise" * (LONG // 17),
    "stars": "*" * LONG,
    "blanks": " " * LONG,
    "Han": "博刷迷" * (LONG // 3),
    "Han with gaps": "博 刷 迷 " * (LONG // 6),
    "accents": "x" + "\u0301" * LONG,
    "voicing marks": "か" + "\u3099" * LONG,
    "nothing that is seen": "\u200b" * LONG,
    "lone surrogates": "\ud83d\udc00" * (LONG // 2),
    "ligatures of eighteen letters": "\ufdfa" * (LONG // 10),
}


def seconds(parts: Iterable[str], ruleset: Ruleset = RULESET) -> tuple[float, Gate, str]:
    gate = Gate(ruleset)
    began = time.process_time()
    shown = "".join(map(gate.feed, parts)) + gate.finish()
    return time.process_time() - began, gate, shown


@pytest.mark.parametrize("name", HARD)
def test_a_hard_text_takes_a_time_in_proportion_to_its_length(name: str) -> None:
    text = HARD[name]
    half = min(seconds(text[: len(text) // 2])[0] for _ in range(2))

    whole, gate, shown = min((seconds(text) for _ in range(2)), key=itemgetter(0))

    assert whole < 3.5 * half + 0.05
    assert whole / len(text) < 0.001
    assert gate.is_blocked or gate.findings or shown == text


@pytest.mark.parametrize("name", HARD)
def test_a_hard_text_in_one_piece_takes_no_longer(name: str) -> None:
    whole, gate, shown = seconds([HARD[name]])

    assert whole < 2
    assert gate.is_blocked or gate.findings or shown == HARD[name]


@pytest.mark.parametrize("stuffing", ["\u200b", "\u0301", " ", "\u00ad\u2060"])
def test_a_word_stuffed_without_end_closes_the_gate(stuffing: str) -> None:
    _, gate, shown = seconds(["Please send", *[stuffing] * 5_000, "gift cards"])

    assert gate.blocked_by == "overflow"
    assert shown == "Please "


def test_a_long_answer_is_forgotten_as_it_goes() -> None:
    gate = Gate(RULESET)

    for _ in range(5_000):
        gate.feed("The jacket costs a pot of soup. 博物馆，着迷药妆。 ")

    assert len(gate._folded.symbols) < 1_000
    assert len(gate._folded.starts) == len(gate._folded.symbols)
    assert gate.feed("jackpot ") == ""
    assert gate.is_blocked


def test_thousands_of_patterns_are_run_as_a_few() -> None:
    rows = [
        {"id": str(at), "kind": "pattern", "pattern": rf"NW-{at}-\d{{4}}", "action": "mask"}
        for at in range(200)
    ]
    text = "Your order NW-17-1234 and NW-199-4321, not NW-200-1234. " * 5

    _, gate, shown = seconds(text, Ruleset(read(rows)))

    assert shown == "Your order ▮▮▮ and ▮▮▮, not NW-200-1234. " * 5
    assert {finding.rule.id for finding in gate.findings} == {"17", "199"}


def test_twenty_thousand_words_are_ready_in_seconds_and_found() -> None:
    rules = [
        Rule(id=str(at), kind="word", pattern=f"w{at:x}rt{at}", action="block", spaced=True)
        for at in range(20_000)
    ]
    began = time.process_time()
    ruleset = Ruleset(rules).prepare()

    assert time.process_time() - began < 10
    assert ruleset.screen(f"the {rules[12_345].pattern}!", "output").findings[0].rule is rules[12_345]
