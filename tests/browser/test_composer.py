"""The composer: keys, growth, drafts, limits."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.frames import CONVERSATION, delta, error, listed, question, ready, running, saved, started
from tests.browser.stage import Line, Stage
from tests.browser.tabs import Visitors

ASKED = question("m1", "Do the Fjell boots run small?", 1)


@pytest.fixture
def line(tab: Page, stage: Stage) -> Line:
    """The socket of a tab that shows one question; messages may have 20 characters."""
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED], max_chars=20))
    expect(tab.locator(".bubble")).to_have_text(ASKED["text"])
    return line


def test_enter_sends_and_shift_enter_breaks(tab: Page, line: Line) -> None:
    field = tab.locator("textarea")
    field.fill("One")
    field.press("Shift+Enter")
    field.press_sequentially("two")
    assert line.hears_nothing()

    field.press("Enter")

    assert line.hear("message.send")["text"] == "One\ntwo"
    expect(field).to_have_value("")


def test_enter_that_ends_a_composition_does_not_send(tab: Page, line: Line) -> None:
    """An input method for Chinese takes Enter for itself; one browser says so by a key code only."""
    field = tab.locator("textarea")
    field.fill("nihao")

    for marks in ({"isComposing": True}, {"keyCode": 229}):
        field.dispatch_event("keydown", {"key": "Enter", "bubbles": True, "cancelable": True, **marks})

    expect(field).to_have_value("nihao")
    field.press("Enter")
    assert line.hear("message.send")["text"] == "nihao"
    assert line.hears_nothing()


def test_nothing_blank_is_sent(tab: Page, line: Line) -> None:
    field = tab.locator("textarea")
    send = tab.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    field.fill(" \n ")
    expect(send).to_be_disabled()
    field.press("Enter")

    field.fill("  Hi  ")
    send.click()

    assert line.hear("message.send")["text"] == "Hi"


def test_the_field_grows_and_then_scrolls(tab: Page, line: Line) -> None:
    field = tab.locator("textarea")
    heights = []
    for lines in (1, 4, 40):
        field.fill("\n".join("x" * lines))
        box = field.bounding_box()
        assert box is not None
        heights.append(box["height"])

    assert heights == [40, 112, 192]


def test_the_field_grows_in_browsers_that_do_not_size_by_content(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive()
    tab.add_init_script("CSS.supports = () => false")
    tab.reload()
    stage.line()
    stage.line().say(ready())
    field = tab.locator("textarea")
    expect(tab.locator(".welcome")).to_be_visible()

    field.fill("one\ntwo\nthree")

    expect(field).to_have_attribute("rows", "3")
    field.fill("")
    expect(field).to_have_attribute("rows", "1")


def test_the_count_shows_at_ninety_percent_and_what_is_too_much_is_said(tab: Page, line: Line) -> None:
    """Counted as the server does: an emoji is one character."""
    field, count = tab.locator("textarea"), tab.locator(".left")
    field.fill("x" * 17)
    expect(count).to_be_hidden()
    field.fill("😀" * 18)
    expect(count).to_have_text("2")
    field.fill("😀" * 20)
    expect(tab.get_by_role("button", name="Send")).to_be_enabled()

    field.fill("😀" * 21)

    expect(count).to_have_text("−1")
    expect(tab.locator(".refused")).to_have_text("1 character too many. Please shorten your message.")
    expect(tab.get_by_role("button", name="Send")).to_be_disabled()
    field.press("Enter")
    expect(field).to_have_value("😀" * 21)
    field.fill("Short")
    expect(tab.locator(".refused")).to_be_hidden()


def test_send_and_stop_stand_side_by_side_while_an_answer_runs(tab: Page, line: Line) -> None:
    send, stop = tab.get_by_role("button", name="Send"), tab.get_by_role("button", name="Stop")
    line.say(started("t1", "m2"))
    expect(stop).to_be_visible()
    expect(send).to_be_hidden()

    tab.locator("textarea").fill("And the L?")

    expect(stop).to_be_visible()
    expect(send).to_be_visible()
    send.click()
    assert line.hear("message.send")["text"] == "And the L?"


def test_a_draft_outlives_a_reload_and_belongs_to_its_conversation(
    tab: Page, stage: Stage, line: Line
) -> None:
    field = tab.locator("textarea")
    stage.lists = [listed("c1", "One", "…", "2026-11-20T10:00:00.000Z")]
    field.fill("Half a thou")
    tab.reload()
    again = stage.line()
    assert again.hear("hello")["conversation_id"] == "c1"
    again.say(ready(CONVERSATION, [ASKED]))
    expect(field).to_have_value("Half a thou")

    tab.get_by_role("link", name="New conversation").click()
    again.hear("conversation.open")
    again.say(ready())

    expect(tab.locator(".welcome")).to_be_visible()
    expect(field).to_have_value("")
    field.fill("Another one")
    tab.get_by_role("link", name="One").click()
    again.hear("conversation.open")
    again.say(ready(CONVERSATION, [ASKED]))
    expect(field).to_have_value("Half a thou")


def test_what_is_written_while_a_conversation_opens_stays_in_the_field(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.hear("hello")
    line.say(ready())
    field = tab.locator("textarea")
    field.fill("One")
    field.press("Enter")
    sent = line.hear("message.send")
    field.fill("And tw")

    line.say(saved(sent, 1), started("t1", "m2"))

    expect(tab.locator(".waiting")).to_be_visible()
    expect(field).to_have_value("And tw")
    tab.reload()
    again = stage.line()
    again.hear("hello")
    again.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2")))
    expect(field).to_have_value("And tw")


def test_what_is_typed_before_the_server_answers_stays(tab: Page, stage: Stage) -> None:
    line = stage.line()
    tab.locator("textarea").fill("Early")

    line.say(ready(CONVERSATION, [ASKED]))

    expect(tab.locator(".bubble")).to_be_visible()
    expect(tab.locator("textarea")).to_have_value("Early")


def test_characters_no_server_takes_are_left_out(tab: Page, line: Line) -> None:
    """U+0000 and half a surrogate pair."""
    tab.evaluate(
        """() => {
          const field = document.querySelector("textarea");
          field.value = "a\\0b\\ud83dc";
          field.dispatchEvent(new Event("input"));
        }"""
    )

    tab.get_by_role("button", name="Send").click()

    assert line.hear("message.send")["text"] == "ab\ufffdc"


def test_escape_closes_a_menu_before_it_stops_an_answer(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "Yes", position=2))
    tab.get_by_role("button", name="More").click()
    expect(tab.locator("#conversation-menu")).to_be_visible()

    tab.keyboard.press("Escape")

    expect(tab.locator("#conversation-menu")).to_be_hidden()
    assert line.hears_nothing()
    tab.keyboard.press("Escape")
    line.hear("turn.stop")


def test_a_limit_counts_down_and_then_sends_by_itself(tab: Page, stage: Stage) -> None:
    tab.clock.install()
    tab.reload()
    stage.line()
    line = stage.line()
    line.say(ready(CONVERSATION, [ASKED]))
    field, refused = tab.locator("textarea"), tab.locator(".refused")
    field.fill("anyone there")
    field.press("Enter")
    line.hear("hello")
    sent = line.hear("message.send")

    line.say(error("rate_limited", id=sent["id"], retry_after_s=12))

    tab.clock.run_for(100)
    expect(refused).to_have_text("That was quick. You can send again in 12 seconds.")
    expect(tab.locator(".message-foot")).to_have_text("Waiting 12 s")
    field.fill("Please hurry")
    expect(tab.get_by_role("button", name="Send")).to_be_disabled()
    tab.clock.run_for(10_950)
    expect(refused).to_have_text("That was quick. You can send again in 1 second.")
    assert line.hears_nothing()
    tab.clock.run_for(2_000)
    again = line.hear("message.send")
    assert again == sent
    expect(refused).to_be_hidden()
    expect(tab.get_by_role("button", name="Send")).to_be_enabled()
