"""The staff's pages in a real browser, from a real web process."""

import time
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
    sign_in,
    signed_in,
)
from tests.browser.tabs import Visitors

REFRESH_MS = 20_000

SEED = f"""if True:
    import django
    django.setup()
    from datetime import timedelta
    from django.contrib.auth.models import User
    from django.utils import timezone
    from conversations import billing, tasks
    from conversations.models import Assistant, OutboxEntry
    from tests.money import books
    from tests.frame.rows import assistant, ended_turn
    Assistant.objects.filter(pk=assistant().pk).update(is_default=True)
    now = timezone.now()
    failed = dict(provider="openai", model="gpt-5-mini", status="failed", error="overloaded")
    turns = [ended_turn(at=now - timedelta(hours=hour), first_delta_ms=300 + 90 * hour) for hour in range(12)]
    turns += [ended_turn(at=now, status="failed", attempts=(failed,), first_delta_ms=None) for _ in range(3)]
    tasks.log_turn([turn.pk for turn in turns])
    OutboxEntry.objects.update(done_at=now)
    books.price()
    books.rate("CNY", "USD", 0.14)
    books.budget(10, cheaper_route="concise")
    for model, provider in (("gpt-5-mini", "openai"), ("qwen-plus", "qwen")):
        books.price(model=model, provider=provider, currency="CNY" if provider == "qwen" else "USD")
        billing.settle([books.end(books.call(books.turn(), model=model, provider=provider))])
    User.objects.create_superuser("mei", "", {PASSWORD!r}, first_name="Mei", last_name="Lin")
"""

FORGET_A_TASK = """if True:
    import django
    django.setup()
    from datetime import timedelta
    from django.utils import timezone
    from conversations.models import OutboxEntry
    long_ago = timezone.now() - timedelta(hours=1)
    OutboxEntry.objects.create(task="log_turn", key="late", created_at=long_ago)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), SEED, OPENAI_API_KEY="a-key") as house:
        yield house


@pytest.fixture
def visitors(browser: Browser, house: House) -> Iterator[Visitors]:
    """Opens tabs. The test fails if any of them complains or turns to a foreign host."""
    visitors = Visitors(browser, house.origin)
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


@LOOKS
def test_the_sign_in_page_reads_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = visitors.arrive("/console/", **look)
    expect(page.locator("#id_username")).to_be_focused()
    assert findings(page) == []

    sign_in(page, "wrong")

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#id_password")).to_be_focused()
    assert findings(page) == []
    assert not is_wider_than_its_window(page)


@LOOKS
def test_the_front_page_reads_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, **look)

    expect(page.locator(".attention li").first).to_be_visible()
    assert findings(page) == []
    assert not is_wider_than_its_window(page)


@LOOKS
def test_the_pages_about_money_read_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, "/console/money/", **look)

    for path in ("", "calls/", "budgets/", "prices/?provider=openai&model=gpt-5-mini", "rates/",
                 f"statement/{time.strftime('%Y-%m', time.gmtime())}/"):  # fmt: skip
        page.goto(page.url.partition("/console/")[0] + f"/console/money/{path}")
        expect(page.locator("h1")).to_be_visible()
        assert findings(page) == [], path
        assert not is_wider_than_its_window(page), path


def test_a_budget_is_set_in_the_browser(visitors: Visitors) -> None:
    page = signed_in(visitors, "/console/money/budgets/")

    page.get_by_label("For", exact=True).select_option("month")
    page.get_by_label("Limit").fill("500")
    page.get_by_role("button", name="Save").click()

    expect(page.locator(".budgets")).to_contain_text("500.00 USD")
    expect(page.locator("table")).to_contain_text("mei")


@LOOKS
def test_records_are_shown_under_the_strict_policy(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, "/admin/conversations/message/", **look)
    expect(page.locator("#result_list")).to_be_visible()

    page.locator("#result_list .field-id a").first.click()

    expect(page.locator(".readonly").first).to_be_visible()


def test_the_front_page_refreshes_itself(visitors: Visitors, house: House) -> None:
    page = visitors.arrive("/accounts/login/?next=/console/")
    page.clock.install()
    sign_in(page).wait_for_url("**/console/")
    expect(page.locator("#overview")).not_to_contain_text("1 task has not run")
    house.run("-c", FORGET_A_TASK)

    page.clock.run_for(REFRESH_MS)

    expect(page.locator("#overview")).to_contain_text("1 task has not run")
    assert findings(page) == []


def test_a_lost_server_is_told_and_so_is_its_return(visitors: Visitors) -> None:
    visitors.watch.allow("net::ERR_FAILED|htmx:(sendError|afterRequest)")
    page = visitors.arrive("/accounts/login/?next=/console/")
    page.clock.install()
    sign_in(page).wait_for_url("**/console/")
    page.route("**/console/", lambda route: route.abort())

    page.clock.run_for(REFRESH_MS)
    expect(page.locator("[data-lost]")).to_be_visible()
    expect(page.locator("#overview h1")).to_be_visible()

    page.unroute("**/console/")
    page.clock.run_for(REFRESH_MS)
    expect(page.locator("[data-lost]")).to_be_hidden()


def test_an_ended_session_leads_to_the_sign_in_page(visitors: Visitors) -> None:
    page = visitors.arrive("/accounts/login/?next=/console/")
    page.clock.install()
    sign_in(page).wait_for_url("**/console/")
    page.context.clear_cookies()

    page.clock.run_for(REFRESH_MS)

    page.wait_for_url("**/accounts/login/?next=%2Fconsole%2F")


def test_the_appearance_is_kept(visitors: Visitors) -> None:
    page = signed_in(visitors)
    page.get_by_role("button", name="Appearance").click()
    page.get_by_label("Dark").check()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"

    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert (
        page.locator("body").evaluate("(body) => getComputedStyle(document.documentElement).colorScheme")
        == "dark"
    )


def test_the_menu_opens_on_a_phone_by_keyboard_and_closes_again(visitors: Visitors) -> None:
    page = signed_in(visitors, size=(360, 740))
    nav = page.locator("#console-nav")
    expect(nav).to_be_hidden()

    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    expect(nav.get_by_role("link", name="Overview")).to_be_visible()
    assert findings(page) == []

    page.keyboard.press("Escape")
    expect(nav).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()


def test_the_language_is_switched_and_kept(visitors: Visitors) -> None:
    page = signed_in(visitors)

    page.get_by_role("button", name="简体中文").click()

    expect(page.get_by_role("heading", name="需要处理")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="需要处理")).to_be_visible()
