"""The reducer of the page against the sequences of frames that every client has to get right."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.stage import Stage
from tests.browser.tabs import Visitors

FIXTURES = sorted((Path(__file__).parents[1] / "wire" / "frames").glob("*.json"))

TIMELINE = "/static/js/timeline.js"
SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="module")
def harness(browser: Browser) -> Iterator[Page]:
    """An empty page that may import our modules."""
    stage = Stage()
    visitors = Visitors(browser, stage.origin)
    yield visitors.arrive("/harness/")
    visitors.close()
    stage.close()
    assert visitors.watch.unexpected() == []


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_frames_lead_to_what_is_shown(harness: Page, path: Path) -> None:
    fixture: dict[str, Any] = json.loads(path.read_text())

    shown = harness.evaluate((SCRIPTS / "shown.js").read_text(), [TIMELINE, fixture["frames"]])

    assert shown == fixture["shown"], fixture["name"]


def test_a_delta_costs_the_same_however_long_the_answer_is(harness: Page) -> None:
    ratio = harness.evaluate((SCRIPTS / "delta_cost.js").read_text(), TIMELINE)

    assert ratio < 3


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("abc", 3), ("好的", 2), ("😀", 1), ("👩‍👧", 3), ("e\u0301", 2), ("🇨🇳", 2)]
)
def test_texts_are_measured_as_the_server_does(harness: Page, text: str, count: int) -> None:
    measured = harness.evaluate(
        "async ([url, text]) => (await import(url)).codePoints(text)", [TIMELINE, text]
    )

    assert measured == count == len(text)
