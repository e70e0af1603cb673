"""Conversations: the first view, the list, switching, reading back, what came while one was away."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Download, Page, expect

from tests.browser.frames import (
    ASSISTANT,
    CONVERSATION,
    Frame,
    ago,
    answer,
    delta,
    error,
    finished,
    listed,
    question,
    ready,
    running,
    saved,
    started,
)
from tests.browser.stage import Line, Stage
from tests.browser.tabs import Visitors

ASKED = question("m1", "Do the Fjell boots run small?", 1)
OTHER: Frame = {"id": "c2", "status": "open", "title": "Delivery to Hong Kong"}
LISTS = [
    listed("c1", "Exchange for a Skagen shell", "Three steps", ago(minutes=1)),
    listed("c2", "Delivery to Hong Kong", "Usually four to six working days", ago(days=30)),
]


def long_conversation(first: int, last: int) -> list[Frame]:
    """Return questions and answers at these positions, too many for one screen."""
    rows = []
    for at in range(first, last + 1):
        text = f"Number {at}. " + "Words. " * 20
        rows.append(question(f"m{at}", text, at) if at % 2 else answer(f"m{at}", text, at, f"t{at}"))
    return rows


def shown(stage: Stage, *messages: Frame, more: bool = False) -> Line:
    """Answer the next socket's hello with a conversation."""
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, list(messages or [ASKED]), more=more))
    return line


def set_hidden(tab: Page, *, hidden: bool) -> None:
    """Put the tab into the background, or back."""
    tab.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_the_first_view_greets_and_a_starter_sends_at_once(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.say(
        ready(assistant={**ASSISTANT, "greeting": "Hello. How can we help?\nAsk about orders and sizes."})
    )

    welcome = tab.locator(".welcome")
    expect(welcome.get_by_role("heading")).to_have_text("Hello. How can we help?")
    expect(welcome.locator("> p")).to_have_text("Ask about orders and sizes.")
    expect(welcome.get_by_role("button")).to_have_text(ASSISTANT["starters"])
    welcome.get_by_role("button").nth(2).click()
    line.hear("hello")
    assert line.hear("message.send")["text"] == "Help me find the right size"
    expect(welcome).to_have_count(0)
    expect(tab.locator(".bubble")).to_have_text("Help me find the right size")


def test_the_list_groups_by_day_and_marks_the_current_one(tab: Page, stage: Stage) -> None:
    stage.lists = [*LISTS, listed("c3", "Gift card", "You have €35.00 left", ago(days=1))]
    stage.lists.sort(key=lambda item: item["last_message_at"], reverse=True)
    line = shown(stage)

    names = tab.locator(".conversation-list h2")
    expect(names).to_have_text(["Today", "Yesterday", "Earlier"])
    expect(tab.locator(".conversation-list [aria-current=page] strong")).to_have_text(
        "Exchange for a Skagen shell"
    )
    line.say(started("t1", "m2"))
    expect(tab.locator(".conversation-list [aria-current=page] span")).to_have_text("Writing…")


def test_an_answer_becomes_the_last_line_of_its_conversation(tab: Page, stage: Stage) -> None:
    stage.lists = LISTS
    line = shown(stage)
    expect(tab.locator(".conversation-list li")).to_have_count(2)

    line.say(
        started("t1", "m2"), finished("t1", answer("m2", "## Yes\n\n**Half** a size.", 2, "t1", at=ago()))
    )

    expect(tab.locator(".conversation-list li").first.locator("span")).to_have_text("Yes")


def test_a_new_conversation_enters_the_list(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.hear("hello")
    line.say(ready())
    expect(tab.locator(".conversation-list")).to_have_text("Your conversations will stand here.")
    tab.get_by_role("button", name="Where is my order?").click()

    line.say(saved(line.hear("message.send"), 1))

    expect(tab.locator(".conversation-list strong")).to_have_text("Exchange for a Skagen shell")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Exchange for a Skagen shell")


def test_search_finds_and_says_when_it_does_not(tab: Page, stage: Stage) -> None:
    stage.lists = LISTS
    shown(stage)
    rows = tab.locator(".conversation-list strong")
    expect(rows).to_have_count(2)
    search = tab.get_by_role("searchbox")

    search.press_sequentially("hong")
    expect(rows).to_have_text(["Delivery to Hong Kong"])
    search.fill("parka")

    expect(tab.locator(".conversation-list")).to_have_text("Nothing found for “parka”.")
    search.fill("")
    expect(rows).to_have_count(2)


def test_older_conversations_are_shown_on_demand(tab: Page, stage: Stage) -> None:
    stage.lists = [listed(f"c{at}", f"Number {at}", "…", ago(days=at)) for at in range(45)]
    shown(stage)
    rows = tab.locator(".conversation-list li")
    expect(rows).to_have_count(20)

    tab.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(40)
    tab.get_by_role("button", name="Show more").click()

    expect(rows).to_have_count(45)
    expect(tab.get_by_role("button", name="Show more")).to_have_count(0)


def test_switching_goes_through_the_address_so_back_works(tab: Page, stage: Stage) -> None:
    stage.lists = LISTS
    line = shown(stage)
    tab.get_by_role("link", name="Delivery to Hong Kong").click()
    assert line.hear("conversation.open")["conversation_id"] == "c2"
    line.say(ready(OTHER, [question("m9", "How long?", 1)]))
    expect(tab.locator(".bubble")).to_have_text(["How long?"])
    expect(tab).to_have_url(re.compile("#/c2$"))

    tab.go_back()

    assert line.hear("conversation.open")["conversation_id"] == "c1"
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_have_text([ASKED["text"]])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Exchange for a Skagen shell")


def test_the_last_of_two_quick_switches_wins(tab: Page, stage: Stage) -> None:
    stage.lists = [*LISTS, listed("c3", "Gift card", "…", ago(days=40))]
    line = shown(stage)
    tab.get_by_role("link", name="Delivery to Hong Kong").click()
    tab.get_by_role("link", name="Gift card").click()
    assert [line.hear("conversation.open")["conversation_id"] for _ in range(2)] == ["c2", "c3"]

    line.say(ready(OTHER, [question("m9", "How long?", 1)]), error("busy"))
    expect(tab.locator(".refused")).to_be_visible()  # so the ready before it was read too
    expect(tab.locator(".bubble")).to_have_text([ASKED["text"]])
    line.say(ready({**OTHER, "id": "c3", "title": "Gift card"}, [question("m8", "How much?", 1)]))

    expect(tab.locator(".bubble")).to_have_text(["How much?"])
    expect(tab).to_have_url(re.compile("#/c3$"))


def test_a_new_conversation_stays_new_over_a_reload(tab: Page, stage: Stage) -> None:
    line = shown(stage)
    expect(tab.locator(".bubble")).to_be_visible()
    tab.get_by_role("link", name="New conversation").click()
    assert line.hear("conversation.open")["conversation_id"] is None
    line.say(ready())
    expect(tab.locator(".welcome")).to_be_visible()

    tab.reload()

    again = stage.line()
    again.hear("hello")
    assert again.hear("conversation.open")["conversation_id"] is None
    again.say(ready(CONVERSATION, [ASKED]), error("busy"))
    expect(tab.locator(".refused")).to_be_visible()
    expect(tab.locator(".bubble")).to_have_count(0)
    again.say(ready())
    expect(tab.locator(".welcome")).to_be_visible()


def test_a_conversation_that_cannot_be_opened_leaves_the_shown_one(tab: Page, stage: Stage) -> None:
    stage.lists = LISTS
    line = shown(stage)
    tab.get_by_role("link", name="Delivery to Hong Kong").click()
    sent = line.hear("conversation.open")

    line.say(error("not_found", id=sent["id"]))

    expect(tab.locator(".refused")).to_contain_text("This conversation is no longer here.")
    expect(tab).to_have_url(re.compile("#/c1$"))
    tab.locator("textarea").fill("Still here?")
    tab.keyboard.press("Enter")
    assert line.hear("message.send")["text"] == "Still here?"


def test_a_refusal_that_comes_before_the_next_painting_puts_the_address_right(
    tab: Page, stage: Stage
) -> None:
    stage.lists = LISTS
    line = shown(stage)
    tab.evaluate("""() => {
        window.__paint = window.requestAnimationFrame;
        window.__held = [];
        window.requestAnimationFrame = (paint) => window.__held.push(paint);
    }""")
    tab.get_by_role("link", name="Delivery to Hong Kong").evaluate("(link) => link.click()")
    expect(tab).to_have_url(re.compile("#/c2$"))
    line.say(error("not_found", id=line.hear("conversation.open")["id"]))

    expect(tab).to_have_url(re.compile("#/c1$"))
    tab.evaluate(
        "() => { window.requestAnimationFrame = __paint; __held.forEach((paint) => __paint(paint)); }"
    )
    expect(tab.locator(".refused")).to_contain_text("This conversation is no longer here.")
    expect(tab).to_have_url(re.compile("#/c1$"))


def test_a_closed_conversation_says_that_the_next_message_opens_a_new_one(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.hear("hello")
    line.say(ready({**CONVERSATION, "status": "closed"}, [ASKED, answer("m2", "Yes.", 2, "t1")]))
    expect(tab.locator(".event")).to_have_text(
        "This conversation is closed. Your next message opens a new one."
    )
    expect(tab.get_by_role("button", name="Answer again")).to_have_count(0)
    tab.locator("textarea").fill("Hello again")
    tab.keyboard.press("Enter")

    line.say(saved(line.hear("message.send"), 1, conversation=OTHER))

    line.hear("sync")
    expect(tab.locator(".bubble")).to_have_text(["Hello again"])
    expect(tab.locator(".event")).to_have_count(0)
    expect(tab).to_have_url(re.compile("#/c2$"))


def test_scrolling_up_brings_older_messages_and_moves_nothing(tab: Page, stage: Stage) -> None:
    line = shown(stage, *long_conversation(51, 100), more=True)
    expect(tab.locator(".message")).to_have_count(50)
    messages = tab.locator(".messages")
    messages.evaluate("(list) => { list.scrollTop = 300; }")
    assert line.hear("messages.list")["before"] == 51
    before = tab.locator(".message").filter(has_text="Number 52.").bounding_box()

    line.say({"type": "messages", "items": long_conversation(1, 50), "more": False})

    expect(tab.locator(".message")).to_have_count(100)
    after = tab.locator(".message").filter(has_text="Number 52.").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 1
    messages.evaluate("(list) => { list.scrollTop = 0; }")
    expect(tab.locator(".message").first).to_be_in_viewport()
    assert line.hears_nothing()


@pytest.mark.parametrize(("away_px", "follows"), [(40, True), (80, False)])
def test_the_list_follows_only_a_reader_who_is_at_the_end(
    tab: Page, stage: Stage, away_px: int, follows: bool
) -> None:
    line = shown(stage, *long_conversation(1, 20))
    line.say(started("t99", "m99"), delta("t99", 0, "So. ", position=99))
    caret = tab.locator(".answer .caret")
    expect(caret).to_be_in_viewport()
    messages = tab.locator(".messages")
    top = messages.evaluate("(list, away) => (list.scrollTop -= away)", away_px)

    line.say(delta("t99", 4, "More words. " * 60))

    expect(tab.locator(".answer").last).to_contain_text("More words.")
    if follows:
        expect(caret).to_be_in_viewport()
        expect(tab.locator(".jump")).to_be_hidden()
    else:
        expect(tab.locator(".jump")).to_be_visible()
        assert messages.evaluate("(list) => list.scrollTop") == top
        tab.locator(".jump").click()
        expect(caret).to_be_in_viewport()
        expect(tab.locator(".jump")).to_be_hidden()


def test_ones_own_message_always_scrolls_into_view(tab: Page, stage: Stage) -> None:
    shown(stage, *long_conversation(1, 20))
    expect(tab.locator(".message")).to_have_count(20)
    tab.locator(".messages").evaluate("(list) => { list.scrollTop = 500; }")

    tab.locator("textarea").fill("Here I am")
    tab.keyboard.press("Enter")

    expect(tab.locator(".bubble").filter(has_text="Here I am")).to_be_in_viewport()


def test_what_comes_while_one_is_away_is_counted_and_marked(tab: Page, stage: Stage) -> None:
    line = shown(stage)
    expect(tab).to_have_title("Exchange for a Skagen shell · Northwind")
    set_hidden(tab, hidden=True)

    line.say(started("t1", "m2"), delta("t1", 0, "Yes.", position=2))
    line.say(finished("t1", answer("m2", "Yes.", 2, "t1")))

    expect(tab).to_have_title("(1) Exchange for a Skagen shell · Northwind")
    set_hidden(tab, hidden=False)
    expect(tab).to_have_title("Exchange for a Skagen shell · Northwind")
    order = tab.locator(".messages > *").evaluate_all("(rows) => rows.map((row) => row.className)")
    assert order == ["day", "message visitor", "day unread", "message assistant last"]
    tab.locator("textarea").fill("Thanks")
    tab.keyboard.press("Enter")
    expect(tab.locator(".day.unread")).to_have_count(0)


def test_an_answer_one_saw_begin_is_counted_but_not_marked_as_new(tab: Page, stage: Stage) -> None:
    line = shown(stage)
    line.say(started("t1", "m2"), delta("t1", 0, "Yes", position=2))
    expect(tab.locator(".answer")).to_have_text("Yes")
    set_hidden(tab, hidden=True)

    line.say(finished("t1", answer("m2", "Yes.", 2, "t1")))

    expect(tab).to_have_title(re.compile(r"^\(1\)"))
    set_hidden(tab, hidden=False)
    expect(tab.locator(".answer")).to_have_text("Yes.")
    expect(tab.locator(".day.unread")).to_have_count(0)


def test_a_refresh_in_mid_answer_shows_the_same_text(tab: Page, stage: Stage) -> None:
    line = shown(stage)
    line.say(started("t1", "m2"), delta("t1", 0, "One **two", position=2))
    expect(tab.locator(".answer")).to_contain_text("two")

    tab.reload()

    again = stage.line()
    again.hear("hello")
    again.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "One **two", position=2)))
    again.say(delta("t1", 9, "** three."))
    expect(tab.locator(".answer")).to_have_text("One two three.")


def downloaded(tab: Page, label: str) -> Download:
    """Choose a download from the menu."""
    tab.get_by_role("button", name="More").click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=label).click()
    return waiting.value


def test_a_conversation_can_be_downloaded_whole(tab: Page, stage: Stage, tmp_path: Path) -> None:
    line = shown(stage, *long_conversation(51, 60), more=True)
    stage_answers = {"type": "messages", "items": long_conversation(1, 50), "more": False}
    expect(tab.locator(".message")).to_have_count(10)
    tab.get_by_role("button", name="More").click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download as JSON").click()
        line.hear("messages.list")
        line.say(stage_answers)

    waiting.value.save_as(tmp_path / "conversation.json")

    kept = json.loads((tmp_path / "conversation.json").read_text())
    assert [message["id"] for message in kept["messages"]] == [f"m{at}" for at in range(1, 61)]
    assert waiting.value.suggested_filename == "Exchange-for-a-Skagen-shell.json"
    download = downloaded(tab, "Download as text")
    download.save_as(tmp_path / "conversation.txt")
    text = (tmp_path / "conversation.txt").read_text()
    assert text.startswith("Conversation: Exchange for a Skagen shell\n")
    assert "You · " in text
    assert "Northwind Assistant (AI) · " in text
    assert text.count("Number ") == 60


def test_what_cannot_be_read_whole_is_not_passed_off_as_whole(tab: Page, stage: Stage) -> None:
    line = shown(stage, *long_conversation(51, 60), more=True)
    tab.evaluate("void (window.print = () => (window.printed = true))")
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("button", name="Print").click()
    line.hear("messages.list")

    line.cut()

    expect(tab.locator(".refused")).to_contain_text("Not all of this conversation could be read")
    assert tab.evaluate("window.printed") is None


def test_print_takes_the_whole_conversation_and_nothing_else(tab: Page, stage: Stage) -> None:
    line = shown(stage, *long_conversation(51, 60), more=True)
    tab.evaluate(
        "void (window.print = () => (window.printed = document.querySelectorAll('.message').length))"
    )
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("button", name="Print").click()
    line.hear("messages.list")

    line.say({"type": "messages", "items": long_conversation(1, 50), "more": False})

    tab.wait_for_function("window.printed")
    assert tab.evaluate("printed") == 60
    tab.emulate_media(media="print")
    for part in (".conversations", ".composer", ".actions", ".conversation-head .icon-button"):
        expect(tab.locator(part).first).to_be_hidden()
    assert tab.evaluate("document.querySelector('.messages').scrollHeight <= document.body.scrollHeight")


def test_on_a_phone_the_list_is_a_sheet(visitors: Visitors, stage: Stage) -> None:
    stage.lists = LISTS
    tab = visitors.arrive(size=(360, 740), touch=True)
    line = shown(stage)
    expect(tab.locator(".conversation-list")).to_be_hidden()
    tab.get_by_role("button", name="Your conversations").tap()
    sheet = tab.get_by_role("dialog", name="Your conversations")
    expect(sheet).to_be_visible()

    sheet.get_by_role("link", name="Delivery to Hong Kong").tap()

    expect(sheet).to_be_hidden()
    assert line.hear("conversation.open")["conversation_id"] == "c2"
    line.say(ready(OTHER, [question("m9", "How long?", 1)]))
    tab.get_by_role("button", name="Your conversations").tap()
    tab.get_by_role("button", name="Close").tap()
    expect(sheet).to_be_hidden()
    expect(tab.get_by_role("button", name="Your conversations")).to_be_focused()
