"""Rules put together, by stage and upon each other."""

from typing import Any

from conversations.moderation.gate import Gate
from conversations.moderation.rules import STAGES, Rule, Stage
from conversations.moderation.ruleset import Ruleset


def word(pattern: str, **values: Any) -> Rule:
    return Rule(**{"id": pattern, "kind": "word", "pattern": pattern, "action": "block", **values})


def found(ruleset: Ruleset, text: str, stage: Stage = "output") -> list[str]:
    return [finding.rule.id for finding in ruleset.screen(text, stage).findings]


def test_a_rule_holds_at_its_stages_only() -> None:
    ruleset = Ruleset(
        [word("one", stages=frozenset({"input"})), word("two", stages=frozenset({"output", "review"}))]
    )

    assert {stage: found(ruleset, "one two", stage) for stage in STAGES} == {
        "input": ["one"],
        "output": ["two"],
        "review": ["two"],
    }


def test_what_is_only_noted_is_shown_at_once_and_found_all_the_same() -> None:
    gate = Gate(Ruleset([word("jackpot", action="flag")]))

    assert [gate.feed(piece) for piece in ("jack", "pot", "!")] == ["jack", "pot", "!"]
    assert [(each.start, each.end) for each in gate.findings] == [(0, 7)]
    assert not gate.is_blocked


def test_the_mask_does_not_tell_how_long_the_word_is() -> None:
    ruleset = Ruleset([word("ab", action="mask"), word("abcdefgh", action="mask")])

    assert ruleset.screen("ab abcdefgh", "output").masked == "▮▮▮ ▮▮▮"


def test_rules_upon_others_hold_with_them_and_without_making_those_anew() -> None:
    base = Ruleset([word("one"), word("two", exceptions=("two three",))]).prepare()
    more = Ruleset([word("four", stages=frozenset({"output"}))], base)

    assert found(more, "one two four two three") == ["one", "two", "four"]
    assert found(more, "one four", "input") == ["one"]
    assert found(base, "one four") == ["one"]
    assert Ruleset([], Ruleset([word("x", action="mask")])).masks("output")
    assert not more.masks("output")
    assert more.stage("output").holding.searches[0] is base.stage("output").holding.searches[0]


def test_nothing_to_look_for_changes_nothing_and_holds_nothing() -> None:
    gate = Gate(Ruleset([]))

    assert [gate.feed("&#9"), gate.feed("7;\ud800"), gate.finish()] == ["&#9", "7;\ud800", ""]


def test_a_word_shown_before_it_was_forbidden_withdraws_the_answer() -> None:
    gate = Gate(Ruleset([]))
    assert gate.feed("the jackpot is") == "the jackpot is"

    assert gate.swap(Ruleset([word("jackpot")])) == ""

    assert gate.is_blocked
    assert gate.feed(" yours") == gate.finish() == ""


def test_half_a_word_shown_before_it_was_forbidden_counts_when_it_is_whole() -> None:
    gate = Gate(Ruleset([]))
    gate.feed("the jack")
    gate.swap(Ruleset([word("jackpot")]))

    assert gate.feed("pot!") == ""
    assert gate.is_blocked


def test_what_is_masked_late_is_masked_in_the_whole_text() -> None:
    gate = Gate(Ruleset([word("other")]))
    shown = gate.feed("the jackpot is jack")

    shown += (
        gate.swap(Ruleset([word("jackpot", action="mask")]))
        + gate.feed("pot, ")
        + gate.feed("so")
        + gate.finish()
    )

    assert shown == "the jackpot is jack▮▮▮, so"
    assert gate.text == "the ▮▮▮ is ▮▮▮, so"


def test_words_no_longer_forbidden_are_let_out() -> None:
    gate = Gate(Ruleset([word("jackpot")]))
    assert gate.feed("the jack") == "the "
    assert gate.held == 4

    assert gate.swap(Ruleset([])) == "jack"
    assert gate.feed("pot") == "pot"


def test_a_gate_that_closed_stays_closed() -> None:
    gate = Gate(Ruleset([word("jackpot")]))
    gate.feed("jackpot ")

    assert gate.swap(Ruleset([])) == gate.feed("x") == gate.finish() == ""
    assert gate.blocked_by == word("jackpot")
