"""One real browser for all browser tests, which run in a pytest process of their own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.stage import Stage
from tests.browser.tabs import Visitors, Watch

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The server of the page, whose socket the test speaks by hand."""
    expect.set_options(timeout=10_000)
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def visitors(browser: Browser, stage: Stage) -> Iterator[Visitors]:
    """Opens tabs. The test fails if any of them complains or turns to a foreign host."""
    visitors = Visitors(browser, stage.origin)
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


@pytest.fixture
def watch(visitors: Visitors) -> Watch:
    """What the tabs of this test did wrong."""
    return visitors.watch


@pytest.fixture
def tab(visitors: Visitors) -> Page:
    """The page, open in an English browser on a desktop."""
    return visitors.arrive()
