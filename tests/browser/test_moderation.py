"""Findings and rules in a real browser: what staff decide is what the visitor's tab shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

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

ROOT = "/console/moderation/"
CONFIG = """\
providers: {parrot: {kind: scripted}}
models: {parrot: {provider: parrot, model: parrot}}
routes: {default: [parrot]}
"""  # it says again what it was asked
SEED = f"""if True:
    import django
    django.setup()
    from django.contrib.auth.models import User
    from conversations import rulebook
    from conversations.models import Assistant
    from conversations.moderation.rules import Rule
    from tests.frame.rows import assistant, ended_turn
    from tests.screening.cast import rule, screened_answer, screened_question
    Assistant.objects.filter(pk=assistant().pk).update(is_default=True)
    User.objects.create_superuser("mei", "", {PASSWORD!r}, first_name="Mei", last_name="Lin")
    card = rule("Payment card", "payment_card_luhn", "mask", kind="detector", stages=frozenset(["input"]))
    gift = rule("Gift card fraud", "send gift cards", stages=frozenset(["output"]))
    flag = rule("医疗建议", "婴儿", "flag", kind="word", boundary="none")
    words = [f"word{{number:05d}}" for number in range(20_000)]
    many = [Rule(id=word, kind="word", pattern=word, action="block") for word in words]
    rulebook.put(many, by="ann", word_list="Many")
    for number in range(4):
        turn = ended_turn()
        screened_question("My new card is 4242 4242 4242 4242.", [card], turn=turn)
        screened_answer("Please send gift cards, or pay by card.", [gift], turn=turn)
        screened_answer("这种驱虫剂不适合婴儿使用。", [flag])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    (directory / "config.yaml").write_text(CONFIG)
    with open_house(directory, SEED, CHATBOT_CONFIG=str(directory / "config.yaml")) as house:
        yield house


@pytest.fixture
def visitors(browser: Browser, house: House) -> Iterator[Visitors]:
    """Opens tabs. The test fails if any of them complains or turns to a foreign host."""
    expect.set_options(timeout=20_000)
    visitors = Visitors(browser, house.origin)
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


def current(page: Page) -> int:
    """Return which line of the queue is the current one."""
    lines = page.locator(".queue-list li a")
    states = [lines.nth(at).get_attribute("aria-current") for at in range(lines.count())]
    return states.index("true")


@LOOKS
def test_the_pages_read_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, ROOT, **look)
    paths = ["", "?state=decided", "by-rule/", "rules/", "rules/new/", "rules/list/", "rules/history/"]
    chosen = page.locator(".queue-list li a").first.get_attribute("href")
    rule = page.request.get(f"{ROOT}rules/?q=Gift").text()
    found = re.search(r"/rules/(\d+)/\"", rule)
    assert chosen is not None
    assert found is not None

    for path in [*paths, chosen.removeprefix(ROOT), f"rules/{found[1]}/", "rules/history/1/"]:
        page.goto(ROOT + path)
        assert findings(page) == [], path
        assert not is_wider_than_its_window(page), path


def test_the_queue_is_worked_through_by_keyboard(visitors: Visitors) -> None:
    page = signed_in(visitors, ROOT)
    count = page.locator(".queue-list li").count()
    assert current(page) == 0

    page.keyboard.press("j")
    page.wait_for_url("**chosen=*")
    assert current(page) == 1
    page.keyboard.press("k")
    expect(page.locator(".queue-list li").first.locator("a")).to_have_attribute("aria-current", "true")

    page.keyboard.press("n")
    expect(page.locator("[name=note]")).to_be_focused()
    page.keyboard.type("just u and o")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.locator(".notice.last")).to_contain_text("Upheld")
    expect(page.locator(".queue-list li")).to_have_count(count - 1)

    page.keyboard.press("z")
    expect(page.locator(".queue-list li")).to_have_count(count)
    page.keyboard.press("o")
    expect(page.locator(".notice.last")).to_contain_text("Overturned")
    page.keyboard.press("z")
    expect(page.locator(".queue-list li")).to_have_count(count)


def test_keys_can_be_switched_off(visitors: Visitors) -> None:
    page = signed_in(visitors, ROOT)
    page.get_by_label("Keys:").uncheck()

    page.keyboard.press("j")
    page.reload()
    page.keyboard.press("j")

    assert "chosen" not in page.url
    expect(page.get_by_label("Keys:")).not_to_be_checked()


def test_an_overturned_answer_comes_back_in_every_tab(visitors: Visitors) -> None:
    tab = visitors.arrive("/")
    tab.get_by_role("textbox", name="Message").fill("May I send gift cards to my aunt?")
    tab.keyboard.press("Enter")
    withdrawn = tab.locator(".message.assistant").last
    expect(withdrawn).to_contain_text("withdrawn")
    page = signed_in(visitors, ROOT)
    expect(page.locator(".is-meant .hit")).to_have_text("send gift cards")

    page.keyboard.press("o")

    expect(tab.locator(".message.assistant .answer").last).to_contain_text("gift cards", timeout=5000)
    expect(page.locator(".notice.last")).to_be_visible()
    page.keyboard.press("z")
    expect(withdrawn).to_contain_text("withdrawn", timeout=5000)
    assert "gift cards" not in (withdrawn.text_content() or "")


def test_without_scripts_all_of_it_works(visitors: Visitors) -> None:
    page = signed_in(visitors, ROOT, java_script_enabled=False)
    count = page.locator(".queue-list li").count()
    page.get_by_role("button", name="Uphold").click()
    expect(page.locator(".queue-list li")).to_have_count(count - 1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".queue-list li")).to_have_count(count)

    page.goto(f"{ROOT}rules/new/")
    page.get_by_label("Name").fill("No scripts")
    page.get_by_label("Term or pattern").fill("parcel")
    page.get_by_label("A text").fill("My parcel is late.")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#tried .hit")).to_have_text("parcel")
    page.get_by_role("button", name="Start the dry run").click()
    expect(page.locator("#dry-run .result")).to_contain_text("would be hit")
    page.get_by_role("button", name="Keep at rest").click()
    expect(page.get_by_role("status").first).to_contain_text("It rests")


def test_a_rule_is_tried_as_one_writes_and_put_live(visitors: Visitors) -> None:
    page = signed_in(visitors, f"{ROOT}rules/new/")
    page.get_by_label("A text").fill("We repair the jackpot jacket. word00007")
    expect(page.locator("#tried")).to_contain_text("The term is empty")

    page.get_by_label("Term or pattern").fill("jackpot")
    expect(page.locator("#tried .hit")).to_have_text("jackpot")
    expect(page.locator("#tried .other")).to_have_text("word00007")
    expect(page.locator("#tried .outcome")).to_have_text("Blocked")
    page.get_by_label("Exceptions").fill("jackpot jacket")
    expect(page.locator("#tried .hit")).to_have_count(0)
    assert findings(page) == []

    page.get_by_role("button", name="Put live").click()
    expect(page.locator("#name-wrong")).to_be_visible()
    expect(page.get_by_label("Term or pattern")).to_have_value("jackpot")
    page.get_by_label("Name").fill("Jackpot")
    page.get_by_role("button", name="Put live").click()
    expect(page.locator("h1")).to_have_text("Jackpot")
    expect(page.get_by_text("Saved. It is in force everywhere")).to_be_visible()


def test_a_dry_run_tells_what_it_would_have_found(visitors: Visitors) -> None:
    page = signed_in(visitors, f"{ROOT}rules/new/")
    page.get_by_label("Term or pattern").fill("parcel")

    page.get_by_role("button", name="Start the dry run").click()

    expect(page.locator("#dry-run .result")).to_contain_text("would be hit")
    expect(page.locator("#dry-run .hit").first).to_have_text("parcel")
    assert findings(page) == []


def test_among_twenty_thousand_rules_one_is_found_and_rests(visitors: Visitors) -> None:
    page = signed_in(visitors, f"{ROOT}rules/")
    page.get_by_label("Search").fill("word19999")
    page.keyboard.press("Enter")
    expect(page.locator("table.rules tbody tr")).to_have_count(1)

    page.get_by_role("switch").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    page.reload()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")


def test_a_list_is_uploaded_looked_at_and_put_live(visitors: Visitors, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("term,exceptions\n废物,废物利用\nnitwit\n" + "x" * 300 + "\n", "gb18030")
    page = signed_in(visitors, f"{ROOT}rules/list/")
    page.get_by_label("Name of the list").fill("Rude")
    page.get_by_label("Or a file").set_input_files(file)

    page.get_by_role("button", name="Show what it would do").click()
    expect(page.locator(".preview")).to_contain_text("Made 2")
    expect(page.locator(".mistakes")).to_contain_text("Line 4:")
    assert findings(page) == []
    page.get_by_role("button", name="Put live").click()

    expect(page.locator("table.rules tbody tr")).to_have_count(2)
    expect(page.locator("table.rules")).to_contain_text("废物")
