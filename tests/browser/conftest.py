"""One real browser for all browser tests, which run in a pytest process of their own."""

from collections.abc import Iterator
from pathlib import Path

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the browser out where other tests run too: its event loop stays and breaks all async ones."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    if len(ours) in (0, len(items)):
        return
    items[:] = [item for item in items if item not in ours]
    config.hook.pytest_deselected(items=ours)
    said = (
        f"{len(ours)} browser tests are left out; `pytest tests/browser` runs them in a process of their own."
    )
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.write_line(said, yellow=True)


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
