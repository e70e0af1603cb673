"""Hostile Markdown in a real browser: nothing runs, nothing is fetched, nothing around a message changes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from .markup_page import MarkupPage, open_markup_page

SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "attacks" / "markdown_xss.json").read_text(encoding="utf-8")
)
CASES: list[dict[str, Any]] = SAMPLES["cases"]


@pytest.fixture
def markup(browser: Browser) -> Iterator[MarkupPage]:
    with open_markup_page(browser) as page:
        yield page


def ways(case: dict[str, Any], way: str) -> list[list[str]]:
    """The lists of deltas that a way of delivery makes of a sample; none for `chunks` if it gives none."""
    payload = case["payload"]
    match way:
        case "whole":
            return [[payload]]
        case "chars:1":
            return [list(payload)]
        case "every_cut":
            return [[payload[:at], payload[at:]] for at in range(1, len(payload))]
        case "chunks":
            return [case["chunks"]] if "chunks" in case else []
        case _:
            raise AssertionError(f"The samples ask for `{way}`, which this test does not know.")


def test_the_samples_ask_for_no_other_way_and_expect_nothing_else() -> None:
    assert len(CASES) == 46
    assert {way for case in CASES for way in case["deliver"]} == {"whole", "chars:1", "every_cut", "chunks"}
    assert {kind for case in CASES for kind in case.get("expect", {})} == set(SAMPLES["expect_kinds"])


# every sample in every way, not only in those it names
@pytest.mark.parametrize("way", ["whole", "chars:1", "every_cut", "chunks"])
def test_a_hostile_text_does_nothing_however_it_is_cut(markup: MarkupPage, way: str) -> None:
    runs = [
        {
            "id": case["id"],
            "deltas": deltas,
            "whole": case["payload"],
            "expect": case.get("expect", {}),
        }
        for case in CASES
        for deltas in ways(case, way)
    ]

    wrong = markup.call("attack", runs)
    markup.idle(1)

    assert wrong == []
    assert markup.page.evaluate("window.__ran ?? []") == []
    assert (markup.foreign, markup.surprises) == ([], [])
    assert markup.call("render", "still **here**") == 'p("still " strong("here"))'
