"""The page of who did what, in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.house import (
    LOOKS,
    PASSWORD,
    House,
    findings,
    is_wider_than_its_window,
    open_house,
    signed_in,
)
from tests.browser.tabs import Visitors

SEED = f"""if True:
    import django
    django.setup()
    from conversations import audit, decisions, rulebook, staff
    from conversations.models import Decision
    from conversations.rights import Role
    from tests.money import books
    from tests.screening.cast import rule, screened_answer, verdict_of
    staff.add("mei", roles=[Role.ADMINISTRATOR], password={PASSWORD!r})
    staff.add("jonas", roles=[Role.AUTHOR], password={PASSWORD!r}, email="jonas@northwind.example")
    staff.change_roles("jonas", [Role.AUTHOR, Role.PUBLISHER, Role.REVIEWER], by="mei")
    staff.switch("jonas", is_active=False)
    screened = screened_answer("Send gift cards.", [rule("a-rule-with-a-rather-long-name", "gift cards")])
    decisions.decide(verdict_of(screened).pk, Decision.OVERTURNED, by="jonas")
    books.budget(10)
    books.price(model="a-model-with-a-long-name-2026-11-20-preview", by="mei")
    books.rate("CNY", "USD", 0.14)
    for number in range(audit.PAGE):
        rulebook.switch(["a-rule-with-a-rather-long-name"], is_active=bool(number % 2), by="mei")
    books.price(by="mei")
    staff.change_roles("jonas", [Role.AGENT], by="mei")
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), SEED) as house:
        yield house


@pytest.fixture
def visitors(browser: Browser, house: House) -> Iterator[Visitors]:
    """Opens tabs. The test fails if any of them complains or turns to a foreign host."""
    visitors = Visitors(browser, house.origin)
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


@LOOKS
def test_the_page_reads_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, "/console/audit/", **look)

    for query in ("", "?by=jonas", "?by=nobody"):
        page.goto(page.url.partition("?")[0] + query)
        expect(page.locator("h1")).to_be_visible()
        assert findings(page) == [], query
        assert not is_wider_than_its_window(page), query


def test_what_somebody_did_is_found(visitors: Visitors) -> None:
    page = signed_in(visitors, "/console/audit/")

    page.get_by_label("Who", exact=True).fill("jonas")
    page.get_by_role("button", name="Show", exact=True).click()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("Decided")
    expect(page.locator("tbody")).to_contain_text("overturned")
    page.locator("tbody a").click()
    expect(page.get_by_role("heading", name="Findings").first).to_be_attached()


def test_older_entries_are_a_click_away(visitors: Visitors) -> None:
    page = signed_in(visitors, "/console/audit/")

    page.get_by_role("link", name="Older").click()

    expect(page.locator("tbody")).to_contain_text("jonas@northwind.example")
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tbody")).to_contain_text("Signed in")
