"""The texts of moderation.json: blocked words and personal data, some disguised, and innocent look-alikes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conversations.moderation import checking
from conversations.moderation.gate import Gate
from conversations.moderation.rules import as_json, read
from conversations.moderation.ruleset import Ruleset

SAMPLES = json.loads((Path(__file__).parents[1] / "attacks/moderation.json").read_bytes())
RULES = read(SAMPLES["rules"])
RULESET = Ruleset(RULES).prepare()
CASES = [pytest.param(case, id=f"{case['id']}-{case['class']}") for case in SAMPLES["cases"]]


def deliveries(case: dict[str, Any]) -> Iterator[list[str]]:
    """As told, in one piece, one code point at a time, and cut at each place."""
    text = case["text"]
    yield case.get("chunks", [text])
    yield [text]
    yield list(text)
    yield from ([text[:cut], text[cut:]] for cut in range(1, len(text)))


def test_all_rules_may_be_saved_and_come_back_as_they_were() -> None:
    for rule in RULES:
        checking.check(rule)

    assert read([as_json(rule) for rule in RULES]) == RULES


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_found_or_let_through_however_it_is_cut(case: dict[str, Any]) -> None:
    text = case["text"]
    seen = set()

    for parts in deliveries(case):
        gate = Gate(RULESET)
        shown = "".join([*map(gate.feed, parts), gate.finish()])
        seen.add((shown, gate.is_blocked, tuple(gate.findings)))

    assert len(seen) == 1
    ((shown, is_blocked, findings),) = seen
    assert findings == RULESET.screen(text, "input").findings
    if case["expect"] == "no_match":
        assert (shown, is_blocked, findings) == (text, False, ())
        return
    assert case["rule"] in {finding.rule.id for finding in findings}
    for finding in findings:
        assert text[finding.start : finding.end] not in shown
        # Not even its beginning: only what stands before it is out.
        assert shown == (
            text[: finding.start] if is_blocked else f"{text[: finding.start]}▮▮▮{text[finding.end :]}"
        )
