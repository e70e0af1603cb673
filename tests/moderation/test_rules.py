"""Rules as JSON, and what is refused before it is saved."""

import re
from typing import Any

import pytest

from conversations.moderation.checking import check
from conversations.moderation.rules import Rule, RuleError, as_json, read

ROW = {"id": "a", "kind": "word", "pattern": "jackpot", "action": "block"}


def test_what_is_not_said_has_its_usual_value() -> None:
    (rule,) = read([ROW])

    assert rule.stages == {"input", "output", "review"}
    assert (rule.boundary, rule.spaced, rule.exceptions) == ("word", True, ())


def test_phrases_are_not_looked_for_letter_by_letter_unless_asked() -> None:
    assert not read([{**ROW, "kind": "phrase"}])[0].spaced


def test_rules_come_back_from_json_as_they_were() -> None:
    rules = read(
        [
            ROW,
            {
                **ROW,
                "id": "b",
                "stages": ["input"],
                "boundary": "none",
                "spaced": False,
                "exceptions": ["jackpots"],
            },
            {"id": "c", "kind": "pii", "pattern": "email", "action": "mask"},
        ]
    )

    assert read(map(as_json, rules)) == rules
    assert [row["kind"] for row in map(as_json, rules)] == ["word", "word", "pii"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": ""}, "Rule 1 has no `id`."),
        ({"pattern": 5}, "Rule `a` has no `pattern`."),
        ({"kind": "wrod"}, "`kind` of rule `a` is not one of word, phrase, pattern, detector."),
        ({"action": None}, "`action` of rule `a` is not one of block, mask, flag."),
        ({"boundary": "words"}, "`boundary` of rule `a` is not one of word, none."),
        ({"spaced": "yes"}, "`spaced` of rule `a` is neither true nor false."),
        ({"stages": []}, "`stages` of rule `a` names other stages than input, output, review."),
        ({"stages": ["inputs"]}, "`stages` of rule `a` names other stages than input, output, review."),
        ({"stages": "input"}, "`stages` of rule `a` is not a list of texts."),
        ({"exceptions": ["x", 1]}, "`exceptions` of rule `a` is not a list of texts."),
        ({"colour": "red"}, "Rule `a` has a field `colour` that no rule has."),
        ({"kind": ["word"]}, "`kind` of rule `a` is not one of word, phrase, pattern, detector."),
    ],
)
def test_a_mistake_is_one_clear_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RuleError, match=f"^{re.escape(sentence)}$"):
        read([{**ROW, **change}])


def test_an_id_stands_for_one_rule() -> None:
    with pytest.raises(RuleError, match="Two rules are called `a`"):
        read([ROW, ROW])


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "empty"),
        ("a*", "any length"),
        ("a+b", "any length"),
        ("a{2,}", "any length"),
        ("(a{1,50}){1,5}", "250 characters"),
        ("a{201}", "201 characters"),
        ("a?b{0,3}", "matches the empty text"),
        (r"\b", "matches the empty text"),
        ("(?=a)b", "`(?=` in the pattern is not supported"),
        (r"(a)\1", r"`\1` in the pattern is not supported"),
        ("(?i)a", "`(?i` in the pattern is not supported"),
        ("^a", "`^` is not supported"),
        ("a|b$", "`$` is not supported"),
        ("(a", "never closes"),
        ("a)", "never opened"),
        ("[a", "without its `]`"),
        ("*a", "nothing that `*`"),
        ("a??", "`??` in the pattern is not supported"),
        ("a{3,2}", "not a range"),
        ("[z-a]", "cannot be used"),
        (r"\p{Klingon}x", "cannot be used"),
        ("[а-я]{2}", "The range `а-я` ends with letters"),
        ("x[0-9à-ÿ]", "The range `à-ÿ` ends with letters"),
        (r"5\*5", "`*`, which is left out"),
        ("(" * 30 + "a" + ")" * 30, "groups more than 20 deep"),
        ("a\\", "is not supported"),
    ],
)
def test_a_pattern_that_cannot_be_run_on_a_stream_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(RuleError, match=re.escape(reason)):
        check(Rule(id="p", kind="pattern", pattern=pattern, action="block"))


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{3}-\d{4}",
        "colou?r",
        "(?:a|bc){2,4}d",
        r"\bNW-[0-9A-F]{8}\b",
        r"\p{Han}{2}号",
        "[^a-z]x",
        "[]x]y",
        "刷{1,3}信",
        "[一-龥]x",
        "[а]б",
        "[-а]",
        "é-mail",
    ],
)
def test_a_pattern_of_finite_length_is_taken(pattern: str) -> None:
    check(Rule(id="p", kind="pattern", pattern=pattern, action="block"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pattern": " \u200b "}, "empty, or consists of nothing"),
        ({"pattern": "\u00ad*"}, "empty, or consists of nothing"),
        ({"pattern": "x" * 201}, "201 characters long"),
        ({"pattern": "ﬃ" * 100}, "300 characters long"),
        ({"exceptions": ("classy",)}, "does not contain the term"),
        ({"exceptions": ("",)}, "An exception is empty"),
        ({"kind": "detector", "pattern": "passport"}, "no detector `passport`"),
        ({"stages": frozenset()}, "for no stage"),
    ],
)
def test_a_term_that_cannot_be_found_is_refused(change: dict[str, Any], reason: str) -> None:
    values: dict[str, Any] = {"id": "a", "kind": "word", "pattern": "jackpot", "action": "block", **change}

    with pytest.raises(RuleError, match=re.escape(reason)):
        check(Rule(**values))
