"""The connection: what the visitor sees of it, and that what was typed while away arrives once."""

import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.frames import (
    CONVERSATION,
    Frame,
    answer,
    delta,
    error,
    finished,
    question,
    ready,
    running,
    saved,
    started,
)
from tests.browser.stage import Line, Stage
from tests.browser.tabs import LOST_CONNECTION, Visitors, Watch

ASKED = question("m1", "Do the Fjell boots run small?", 1)


@pytest.fixture
def line(tab: Page, stage: Stage) -> Line:
    """The socket of a tab that shows one question."""
    return greeted(tab, stage)


def greeted(tab: Page, stage: Stage, *shown: Frame) -> Line:
    """Answer the next socket's hello with a conversation."""
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED, *shown]))
    expect(tab.locator(".bubble").first).to_have_text(ASKED["text"])
    return line


def ask(tab: Page, text: str) -> None:
    """Write a question and send it."""
    tab.locator("textarea").fill(text)
    tab.keyboard.press("Enter")


def test_the_page_comes_back_to_the_same_conversation_and_visitor(
    tab: Page, stage: Stage, line: Line
) -> None:
    line.cut()

    again = stage.line()

    assert again.hear("hello") == {
        "type": "hello", "token": "t1", "assistant": "northwind", "conversation_id": "c1", "locale": "en",
    }  # fmt: skip


def test_a_running_answer_goes_on_after_a_cut_without_gap_or_repeat(
    tab: Page, stage: Stage, line: Line
) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "One two ", position=2))
    expect(tab.locator(".answer")).to_have_text("One two")
    line.cut()

    again = stage.line()
    again.hear("hello")
    again.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "One two three ", position=2)))
    again.say(delta("t1", 8, "three four"), delta("t1", 18, "."))

    expect(tab.locator(".answer")).to_have_text("One two three four.")


def test_an_absence_is_silent_for_a_second_and_then_put_into_words(
    tab: Page, stage: Stage, watch: Watch
) -> None:
    watch.allow(LOST_CONNECTION)
    tab.clock.install()
    tab.reload()
    stage.line()
    line = greeted(tab, stage)
    tab.clock.pause_at(tab.evaluate("Date.now()") + 1000)
    band = tab.locator(".connection")
    expect(band).to_be_hidden()
    stage.is_open = False

    line.cut()

    expect(band).to_be_hidden()
    tab.clock.run_for(900)
    expect(band).to_be_hidden()
    tab.clock.run_for(200)
    expect(band).to_have_text("Reconnecting…")
    tab.clock.run_for(5000)
    stage.is_open = True
    while stage.has_no_line():
        tab.clock.run_for(200)
    greeted(tab, stage)
    expect(band).to_have_text("Connected again")
    tab.clock.run_for(2100)
    expect(band).to_be_hidden()


def test_a_short_absence_is_never_mentioned(tab: Page, stage: Stage, line: Line) -> None:
    tab.evaluate(
        """() => {
          window.seen = [];
          const band = document.querySelector(".connection");
          const note = () => band.hidden || seen.push(band.textContent);
          new MutationObserver(note).observe(band, { attributes: true, childList: true });
        }"""
    )

    line.cut()
    greeted(tab, stage)

    expect(tab.get_by_role("button", name="Send")).to_be_visible()
    assert tab.evaluate("seen") == []


def test_what_is_typed_offline_is_kept_over_a_reload_and_sent_once(
    tab: Page, stage: Stage, line: Line
) -> None:
    tab.context.set_offline(True)
    ask(tab, "It is NW-48213")
    ask(tab, "And can it go to my office?")
    expect(tab.locator(".connection")).to_have_text("You are offline. Your messages are kept here.")
    expect(tab.locator(".message-foot")).to_have_text(["Will be sent when you are back online"] * 2)

    tab.context.set_offline(False)

    again = stage.line()
    again.hear("hello")
    again.say(ready(CONVERSATION, [ASKED]))
    first = again.hear("message.send")
    assert first["text"] == "It is NW-48213"
    assert again.hears_nothing()  # the second waits for the first
    again.say(saved(first, 2))
    second = again.hear("message.send")
    assert second["text"] == "And can it go to my office?"
    again.say(saved(second, 3), started("t1", "m4"), finished("t1", answer("m4", "Yes.", 4, "t1")))
    expect(tab.locator(".message-foot")).to_have_count(0)
    tab.reload()
    greeted(tab, stage, *(question(f"m{at}", text["text"], at) for at, text in ((2, first), (3, second))))
    expect(tab.locator(".bubble")).to_have_count(3)
    assert again.hears_nothing()


def test_a_message_without_an_answer_is_sent_again_under_the_same_id(
    tab: Page, stage: Stage, line: Line
) -> None:
    ask(tab, "Hello?")
    sent = line.hear("message.send")
    line.cut()

    again = greeted(tab, stage)

    assert again.hear("message.send") == sent
    again.say(saved(sent, 2))
    expect(tab.locator(".bubble")).to_have_text([ASKED["text"], "Hello?"])


def test_a_message_outlives_the_tab(tab: Page, stage: Stage, line: Line) -> None:
    ask(tab, "Hello?")
    sent = line.hear("message.send")

    tab.reload()

    again = greeted(tab, stage)
    assert again.hear("message.send") == sent


def test_the_message_that_opens_a_conversation_is_sent_twice_without_harm(tab: Page, stage: Stage) -> None:
    """Its answer was lost: the new conversation exists already, and the page has to find it."""
    line = stage.line()
    line.hear("hello")
    line.say(ready())
    ask(tab, "Hello?")
    sent = line.hear("message.send")
    line.cut()

    again = stage.line()
    assert "conversation_id" not in again.hear("hello")
    again.hear("conversation.open")
    again.say(ready(CONVERSATION, [ASKED]), ready())  # the newest open one, then the new one asked for

    assert again.hear("message.send") == sent
    again.say(saved(sent, 1))
    assert again.hear("conversation.open")["conversation_id"] == "c1"
    again.say(ready(CONVERSATION, [{**ASKED, "text": "Hello?"}, answer("m2", "Hi.", 2, "t1")]))
    expect(tab.locator(".bubble")).to_have_text(["Hello?"])
    expect(tab.locator(".answer")).to_have_text("Hi.")


def test_a_message_no_connection_survives_is_given_up(tab: Page, stage: Stage, line: Line) -> None:
    ask(tab, "Poison")
    ids = {line.hear("message.send")["id"]}
    line.cut()
    for _ in range(4):
        again = greeted(tab, stage)
        ids.add(again.hear("message.send")["id"])
        again.cut()

    last = greeted(tab, stage)

    foot = tab.locator(".message-foot")
    expect(foot).to_contain_text("Not sent.")
    assert last.hears_nothing()
    assert len(ids) == 1
    ask(tab, "Harmless")
    harmless = last.hear("message.send")
    last.say(saved(harmless, 2))
    foot.get_by_role("button", name="Try again").click()
    assert last.hear("message.send")["id"] in ids


def test_a_given_up_message_can_be_removed(tab: Page, stage: Stage, line: Line) -> None:
    ask(tab, "Twice")
    sent = line.hear("message.send")
    line.say(error("conflict", id=sent["id"]))
    expect(tab.locator(".refused")).to_have_text("That did not go through. Please reload the page.")

    tab.get_by_role("button", name="Remove").click()

    expect(tab.locator(".bubble")).to_have_count(1)
    tab.reload()
    again = greeted(tab, stage)
    expect(tab.locator(".bubble")).to_have_count(1)
    assert again.hears_nothing()


def test_an_id_that_stands_for_another_message_is_not_used_again(tab: Page, line: Line) -> None:
    ask(tab, "Twice")
    sent = line.hear("message.send")
    line.say(error("conflict", id=sent["id"]))

    tab.get_by_role("button", name="Try again").click()

    again = line.hear("message.send")
    assert again["text"] == "Twice"
    assert again["id"] != sent["id"]


def test_what_waits_behind_a_message_follows_it_into_the_conversation_it_opens(
    tab: Page, stage: Stage, line: Line
) -> None:
    line.say(ready({**CONVERSATION, "status": "closed"}, [ASKED]))
    expect(tab.locator(".event")).to_be_visible()
    ask(tab, "One")
    ask(tab, "Two")
    first = line.hear("message.send")

    line.say(saved(first, 11, conversation={"id": "c2", "status": "open", "title": "One"}))

    assert line.hear("message.send")["text"] == "Two"
    line.hear("sync")
    expect(tab.locator(".bubble")).to_have_text(["One", "Two"])


def test_a_socket_without_a_pulse_is_replaced(tab: Page, stage: Stage) -> None:
    tab.clock.install()
    tab.reload()
    stage.line()
    line = greeted(tab, stage)
    line.is_mute = True

    tab.clock.run_for(25_100)  # quiet for long: a ping
    tab.clock.run_for(6_100)  # and no pong
    tab.clock.run_for(500)

    again = stage.line()
    assert again.hear("hello")["conversation_id"] == "c1"


def test_draining_moves_the_page_to_another_process_in_mid_answer(
    tab: Page, stage: Stage, line: Line
) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "One ", position=2))
    line.say({"type": "draining", "reconnect_after_ms": 200})

    again = stage.line()
    again.hear("hello")
    again.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "One two", position=2)))

    expect(tab.locator(".answer")).to_have_text("One two")
    expect(tab.locator(".connection")).to_be_hidden()


@pytest.mark.parametrize("code", [4408, 4012, 1001, 1011])
def test_closed_sockets_are_replaced(tab: Page, stage: Stage, line: Line, code: int) -> None:
    line.close(code)

    assert stage.line().hear("hello")["token"] == "t1"


def test_an_unknown_token_begins_a_new_visitor_and_keeps_what_was_typed(
    tab: Page, stage: Stage, line: Line
) -> None:
    ask(tab, "Are you there?")
    sent = line.hear("message.send")
    line.say(error("unauthorized"))

    line.close(4401)

    again = stage.line()
    assert "token" not in again.hear("hello")
    again.hear("conversation.open")
    expect(tab.locator(".refused")).to_have_text("We started a new conversation for you.")
    again.say(ready(token="t2"), ready(token="t2"))
    assert again.hear("message.send") == sent
    again.cut()
    assert stage.line().hear("hello")["token"] == "t2"


def test_a_flood_is_waited_out(tab: Page, stage: Stage) -> None:
    tab.clock.install()
    tab.reload()
    stage.line()
    line = greeted(tab, stage)

    line.close(4429)

    expect(tab.locator(".connection")).to_be_visible()
    tab.clock.run_for(8_000)
    assert stage.has_no_line()
    tab.clock.run_for(4_000)
    stage.line().hear("hello")


def test_a_page_whose_frames_are_bad_does_not_come_back_for_ever(tab: Page, stage: Stage, line: Line) -> None:
    line.close(4400)
    greeted(tab, stage).close(4400)

    expect(tab.locator(".connection")).to_have_text("That did not go through. Please reload the page.")


def test_a_server_that_is_away_is_asked_less_and_less_often(tab: Page, stage: Stage, watch: Watch) -> None:
    watch.allow(LOST_CONNECTION)
    tab.clock.install()
    tab.reload()
    stage.line()
    line = greeted(tab, stage)
    tab.evaluate(
        """() => {
          window.tries = [];
          const Real = WebSocket;
          window.WebSocket = class extends Real {
            constructor(url) { super(url); tries.push(performance.now()); }
          };
        }"""
    )
    stage.is_open = False
    line.cut()

    for _ in range(120):
        tab.clock.run_for(500)

    tries = tab.evaluate("tries")
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert 4 <= len(tries) <= 16
    assert max(gaps) <= 21_000
    assert gaps[-1] > gaps[0] * 4


def test_a_conversation_that_is_gone_gives_way_to_the_newest(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive("/#/gone")
    line = stage.line()
    assert line.hear("hello")["conversation_id"] == "gone"

    line.say(error("not_found"))

    assert "conversation_id" not in line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_be_visible()
    expect(tab.locator(".refused")).to_contain_text("This conversation is no longer here.")
    expect(tab).to_have_url(re.compile("#/c1$"))


def test_stop_retry_and_thumbs_pressed_while_away_are_asked_when_back(
    tab: Page, stage: Stage, line: Line
) -> None:
    old = answer("m2", "A little.", 2, "t1", status="stopped")
    line.say(ready(CONVERSATION, [ASKED, old]))
    expect(tab.locator(".ending")).to_be_visible()
    line.cut()
    again = stage.line()
    again.hear("hello")
    tab.get_by_role("button", name="Helpful", exact=True).click()
    tab.get_by_role("button", name="Answer again").click()

    again.say(ready(CONVERSATION, [ASKED, old]))

    assert again.hear("turn.retry")["turn_id"] == "t1"
    assert again.hear("feedback.send")["rating"] == 1
    again.say({"type": "message.changed", "message": {**old, "rating": 1}})
    again.say(started("t2", "m3", replaces="m2"))
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    again.cut()
    last = stage.line()
    last.hear("hello")
    tab.keyboard.press("Escape")
    last.say(ready(CONVERSATION, [ASKED, old], turn=running("t2", "m3", replaces="m2")))
    assert last.hear("turn.stop")["turn_id"] == "t2"


def test_two_tabs_show_the_same(visitors: Visitors, stage: Stage) -> None:
    one = visitors.arrive()
    first = greeted(one, stage)
    other = one.context.new_page()
    other.goto(one.url)
    second = greeted(other, stage)
    ask(one, "And the L?")
    sent = first.hear("message.send")
    stored = saved(sent, 2)

    first.say(stored)
    second.say({"type": "message.added", "message": stored["message"]})
    for line in (first, second):
        line.say(started("t1", "m3"), delta("t1", 0, "Yes, ", position=3), delta("t1", 5, "it is."))

    for tab in (one, other):
        expect(tab.locator(".bubble")).to_have_text([ASKED["text"], "And the L?"])
        expect(tab.locator(".answer")).to_have_text("Yes, it is.")
    assert second.hears_nothing()
