"""The rules as staff keep them."""

import json
from pathlib import Path

import pytest

from conversations import rulebook
from conversations.models import RuleChange, ScreeningRule
from conversations.moderation import rules
from conversations.moderation.rules import Rule, RuleError

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).parents[1] / "attacks" / "moderation.json"


@pytest.fixture(autouse=True)
def _anew() -> None:
    rulebook.forget()


def rule(name: str = "gift", pattern: str = "gift cards", **fields: object) -> Rule:
    return Rule(id=name, kind="phrase", pattern=pattern, action="block", **fields)  # type: ignore[arg-type]


def test_without_rules_everything_passes() -> None:
    assert not rulebook.current().screen("send gift cards", "output").findings


def test_a_change_is_in_force_and_in_the_history(django_capture_on_commit_callbacks: object) -> None:
    rulebook.current()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        rulebook.save(rule(), by="ann")
    assert rulebook.current().screen("send GIFT cards", "output").is_blocked

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        rulebook.switch(["gift"], is_active=False, by="ben")
    assert not rulebook.current().screen("send gift cards", "output").is_blocked

    rulebook.remove(["gift"], by="ben")
    changes = [(each.by, each.summary) for each in RuleChange.objects.order_by("pk")]
    assert changes == [("ann", "`gift` made"), ("ben", "`gift` changed"), ("ben", "`gift` taken out")]
    assert RuleChange.objects.latest("pk").before["gift"]["pattern"] == "gift cards"


def test_a_rule_that_was_taken_out_stays_for_those_who_ask_later() -> None:
    rulebook.save(rule(), by="ann")
    rulebook.remove(["gift"], by="ann")
    rulebook.save(rule(pattern="other"), by="ann")

    assert [each.pattern for each in ScreeningRule.objects.order_by("pk")] == ["gift cards", "other"]
    assert [each.pattern for each in rulebook.kept()] == ["other"]


def test_what_was_exported_is_read_again() -> None:
    rows = json.loads(SAMPLE.read_text())["rules"]
    rulebook.put(rules.read(rows), by="ann")
    first = rulebook.export()
    assert len(first) == len(rows)

    rulebook.remove([row["id"] for row in rows], by="ann")
    rulebook.put(rules.read(first), by="ann")
    assert rulebook.export() == first


def test_one_bad_rule_keeps_all_out_and_is_named() -> None:
    with pytest.raises(RuleError, match=r"`endless`.*any length"):
        rulebook.put([rule(), Rule(id="endless", kind="pattern", pattern="a+", action="block")], by="ann")

    assert not rulebook.kept()
    assert not RuleChange.objects.exists()


def test_a_list_is_replaced_as_a_whole() -> None:
    rulebook.save(rule("other"), by="ann")
    rulebook.put([rule("a", "aaa"), rule("b", "bbb")], by="ann", word_list="rude")
    rulebook.put([rule("b", "bbb"), rule("c", "ccc")], by="ann", word_list="rude", replaces_list=True)

    assert [each.name for each in rulebook.kept(word_list="rude")] == ["b", "c"]
    assert [each.name for each in rulebook.kept()] == ["b", "c", "other"]
    assert RuleChange.objects.latest("pk").summary == "`c` made, `a` taken out"
