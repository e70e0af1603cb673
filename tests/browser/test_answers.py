"""Answers: how they grow, end, are stopped, tried again, copied and rated."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.frames import (
    CONVERSATION,
    ago,
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
from tests.browser.tabs import Visitors

SCRIPTS = Path(__file__).parent / "scripts"
ASKED = question("m1", "Do the Fjell boots run small?", 1)
TEXT = "A little. Most people go **half a size up**."


@pytest.fixture
def line(tab: Page, stage: Stage) -> Line:
    """The socket of a tab that shows one question."""
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_have_text(ASKED["text"])
    return line


def ask(tab: Page, text: str) -> None:
    """Write a question and send it."""
    tab.locator("textarea").fill(text)
    tab.keyboard.press("Enter")


def test_a_question_is_asked_and_its_answer_grows(tab: Page, stage: Stage) -> None:
    line = stage.line()
    assert line.hear("hello") == {"type": "hello", "assistant": "northwind", "locale": "en"}
    line.say(ready())
    tab.get_by_role("button", name="Where is my order?").click()
    sent = line.hear("message.send")
    line.say(saved(sent, 1), started("t1", "m2"))
    growing = tab.locator(".message.assistant")
    expect(growing).to_have_attribute("aria-busy", "true")
    expect(growing.locator(".caret")).to_be_visible()

    line.say(delta("t1", 0, "It left ", position=2), delta("t1", 8, "**today**."))

    expect(growing.locator(".answer")).to_have_text("It left today.")
    expect(growing.locator(".answer strong")).to_have_text("today")
    expect(growing.locator(".answer .caret")).to_be_visible()
    line.say(finished("t1", answer("m2", "It left **today**.", 2, "t1")))
    expect(growing).not_to_have_attribute("aria-busy", "true")
    expect(growing.locator(".caret")).to_have_count(0)
    assert sent["text"] == "Where is my order?"
    assert tab.url.endswith("#/c1")


def test_waiting_is_put_into_words_after_four_and_twelve_seconds(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive()
    line = stage.line()
    tab.clock.install()
    tab.reload()
    line = stage.line()
    line.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2")))
    waiting = tab.locator(".waiting")
    expect(waiting).to_have_text("")

    tab.clock.run_for(4100)
    expect(waiting).to_have_text("Still looking that up")
    tab.clock.run_for(8000)

    expect(waiting).to_have_text("This takes longer than usual")
    line.say(delta("t1", 0, "Yes.", position=2))
    tab.clock.run_for(100)
    expect(waiting).to_have_count(0)


def test_a_gap_is_asked_about_and_healed(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "One ", position=2), delta("t1", 8, "three"))
    line.hear("sync")
    expect(tab.locator(".answer")).to_have_text("One")

    line.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "One two three", position=2)))
    line.say(delta("t1", 13, " four"))

    expect(tab.locator(".answer")).to_have_text("One two three four")
    assert line.hears_nothing()


def test_what_a_dead_process_had_shown_too_much_is_taken_back(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "One two", position=2))
    expect(tab.locator(".answer")).to_have_text("One two")

    line.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "One", position=2)), delta("t1", 3, " 2"))

    expect(tab.locator(".answer")).to_have_text("One 2")


def test_the_final_text_replaces_what_was_shown(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "Yes, fuor", position=2))

    line.say(finished("t1", answer("m2", "Yes, four.", 2, "t1")))

    expect(tab.locator(".answer")).to_have_text("Yes, four.")


def test_an_answer_that_ends_as_it_was_shown_keeps_its_elements(tab: Page, line: Line) -> None:
    """Nothing flickers, and a selection in it stays."""
    line.say(started("t1", "m2"), delta("t1", 0, TEXT, position=2))
    expect(tab.locator(".answer strong")).to_be_visible()
    tab.evaluate("document.querySelector('.answer strong').dataset.mark = 'same'")

    line.say(finished("t1", answer("m2", TEXT, 2, "t1")))

    expect(tab.locator(".actions .icon-button").first).to_be_visible()
    expect(tab.locator(".answer strong")).to_have_attribute("data-mark", "same")


def test_deltas_are_painted_at_most_once_a_frame(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "x", position=2))
    expect(tab.locator(".answer")).to_have_text("x")
    tab.evaluate((SCRIPTS / "count_paints.js").read_text())

    line.say(*(delta("t1", at, "y") for at in range(1, 400)))

    expect(tab.locator(".answer")).to_have_text("x" + "y" * 399)
    counts = tab.evaluate("counts")
    assert counts["paints"] < 200
    assert counts["paintedTwice"] is False


def test_nothing_moves_while_text_streams(tab: Page, line: Line) -> None:
    """The browser's own measure of layout shifts, from the first words to the end."""
    line.say(started("t1", "m2"))
    expect(tab.locator(".waiting")).to_be_visible()
    tab.evaluate((SCRIPTS / "count_shifts.js").read_text())
    pieces = {
        "So. Most people ": "So. Most people",
        "go **half ": "go half",
        "a size up**.\n\n": "a size up.",
        "- one\n": "one",
        "- two\n\n": "two",
        "| Size | Chest |\n|---|--:|\n": "Chest",
        "| S | 9 |\n\n": "9",
        "```\ncode\n```\n": "code",
        "Done.": "Done.",
    }
    text = ""
    for piece, seen in pieces.items():
        line.say(delta("t1", len(text), piece, position=2))
        text += piece
        expect(tab.locator(".answer")).to_contain_text(seen)

    line.say(finished("t1", answer("m2", text, 2, "t1")))

    expect(tab.locator(".actions .icon-button").first).to_be_visible()
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert tab.evaluate("shifts") == []


def test_stop_is_asked_by_button_and_by_escape(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "Yes", position=2))
    tab.get_by_role("button", name="Stop").click()
    assert line.hear("turn.stop")["turn_id"] == "t1"
    line.say(finished("t1", answer("m2", "Yes", 2, "t1", status="stopped"), "stopped"))
    expect(tab.locator(".ending")).to_contain_text("You stopped this answer.")
    expect(tab.locator("textarea")).to_be_focused()

    line.say(started("t2", "m3"))
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    tab.keyboard.press("Escape")

    assert line.hear("turn.stop")["turn_id"] == "t2"


def test_a_stop_that_came_too_late_shows_the_final_answer(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), delta("t1", 0, "Yes", position=2))
    tab.get_by_role("button", name="Stop").click()
    sent = line.hear("turn.stop")

    line.say(error("not_running", id=sent["id"]))

    line.hear("sync")
    line.say(ready(CONVERSATION, [ASKED, answer("m2", "Yes, four.", 2, "t1")]))
    expect(tab.locator(".answer")).to_have_text("Yes, four.")
    expect(tab.locator(".refused")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "words", "button"),
    [
        ("stopped", "You stopped this answer.", "Answer again"),
        ("interrupted", "The answer was cut off.", "Try again"),
    ],
)
def test_an_answer_that_was_cut_short_can_be_asked_for_again(
    tab: Page, line: Line, status: str, words: str, button: str
) -> None:
    line.say(ready(CONVERSATION, [ASKED, answer("m2", "A little. Most", 2, "t1", status=status)]))
    expect(tab.locator(".ending")).to_contain_text(words)

    tab.get_by_role("button", name=button).click()

    assert line.hear("turn.retry")["turn_id"] == "t1"
    line.say(started("t2", "m3", replaces="m2"), delta("t2", 0, "Half a size up.", position=3))
    line.say(finished("t2", answer("m3", "Half a size up.", 3, "t2", replaces="m2")))
    expect(tab.locator(".message .answer")).to_have_text("Half a size up.")
    earlier = tab.locator("details.earlier")
    expect(earlier).to_contain_text("Earlier answer")
    expect(earlier.locator(".answer")).not_to_be_visible()
    earlier.locator("summary").click()
    expect(earlier.locator(".answer")).to_have_text("A little. Most")


def test_answer_again_stands_under_the_last_answer_only(tab: Page, line: Line) -> None:
    first = answer("m2", "A little.", 2, "t1")
    second = [question("m3", "And the L?", 3), answer("m4", "Yes.", 4, "t2")]

    line.say(ready(CONVERSATION, [ASKED, first, *second]))

    expect(tab.locator(".message.assistant")).to_have_count(2)
    expect(tab.get_by_role("button", name="Answer again")).to_have_count(1)
    expect(tab.locator(".message.last").get_by_role("button", name="Answer again")).to_be_visible()


def test_a_turn_without_a_model_says_so_and_keeps_the_question(tab: Page, line: Line) -> None:
    line.say(started("t1", "m2"), finished("t1", answer("m2", "", 2, "t1", status="failed"), "failed"))
    line.say(error("model_unavailable", turn_id="t1"))

    expect(tab.locator(".ending")).to_contain_text(
        "We could not get an answer just now. Your question is saved."
    )
    tab.get_by_role("button", name="Try again").click()
    line.hear("turn.retry")


@pytest.mark.parametrize("status", ["hidden", "blocked"])
def test_a_withdrawn_answer_is_a_sentence_without_actions(tab: Page, line: Line, status: str) -> None:
    shown = answer("m2", "Something forbidden", 2, "t1")
    line.say(ready(CONVERSATION, [ASKED, shown]))
    expect(tab.locator(".answer")).to_have_text("Something forbidden")
    tab.locator(".message.assistant").get_by_label("Not helpful").click()
    line.hear("feedback.send")

    line.say(
        {
            "type": "message.changed",
            "message": {**shown, "status": status, "text": "This answer was withdrawn."},
        }
    )

    expect(tab.locator(".withheld")).to_have_text("This answer was withdrawn.")
    expect(tab.locator("body")).not_to_contain_text("Something forbidden")
    expect(tab.locator(".message.assistant .icon-button, .comment")).to_have_count(0)


def test_two_quick_questions_get_one_answer_that_stands_behind_both(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.hear("hello")
    line.say(ready())
    ask(tab, "Is the M in stock?")
    ask(tab, "And the L?")
    first = line.hear("message.send")
    line.say(saved(first, 1), started("t1", "m9"))
    second = line.hear("message.send")
    line.say(saved(second, 2), delta("t1", 0, "Both are.", position=3))

    expect(tab.locator(".message")).to_have_text(
        [
            "Is the M in stock?",
            "And the L?",
            "Northwind AssistantAI" + tab.locator(".who time").inner_text() + "Both are.",
        ]
    )


def test_thumbs_are_sent_shown_pressed_and_taken_back(tab: Page, line: Line) -> None:
    line.say(ready(CONVERSATION, [ASKED, answer("m2", TEXT, 2, "t1")]))
    helpful = tab.get_by_role("button", name="Helpful", exact=True)

    helpful.click()
    assert line.hear("feedback.send") == {
        "type": "feedback.send", "id": "feedback.send", "message_id": "m2", "rating": 1,
    }  # fmt: skip
    expect(helpful).to_have_attribute("aria-pressed", "true")
    helpful.click()

    assert line.hear("feedback.send")["rating"] is None
    expect(helpful).to_have_attribute("aria-pressed", "false")


def test_not_helpful_asks_what_was_wrong(tab: Page, line: Line) -> None:
    line.say(ready(CONVERSATION, [ASKED, answer("m2", TEXT, 2, "t1")]))

    tab.get_by_role("button", name="Not helpful").click()
    assert line.hear("feedback.send")["rating"] == -1
    field = tab.get_by_label("What was wrong? (optional)")
    expect(field).to_be_focused()
    field.fill("They run large.")
    field.press("Enter")

    sent = line.hear("feedback.send")
    assert (sent["rating"], sent["comment"]) == (-1, "They run large.")
    expect(tab.locator(".thanks")).to_be_visible()
    expect(tab.get_by_role("button", name="Not helpful")).to_be_focused()


def test_a_rating_by_another_tab_is_shown(tab: Page, line: Line) -> None:
    shown = answer("m2", TEXT, 2, "t1")
    line.say(ready(CONVERSATION, [ASKED, shown]))
    expect(tab.locator(".answer")).to_be_visible()

    line.say({"type": "message.changed", "message": {**shown, "rating": 1}})

    expect(tab.get_by_role("button", name="Helpful", exact=True)).to_have_attribute("aria-pressed", "true")


def test_an_answer_is_copied_as_it_was_written(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive(permissions=["clipboard-read", "clipboard-write"])
    line = stage.line()
    line.say(ready(CONVERSATION, [ASKED, answer("m2", TEXT, 2, "t1")]))

    tab.get_by_role("button", name="Copy").click()

    expect(tab.locator(".actions .done")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == TEXT


def test_screen_readers_hear_whole_sentences(tab: Page, line: Line) -> None:
    region = tab.locator("[data-speech]")
    expect(tab.locator(".messages")).to_have_attribute("aria-live", "off")
    expect(region).to_have_attribute("aria-live", "polite")
    line.say(started("t1", "m2"), delta("t1", 0, "A **little**. Most peo", position=2))
    expect(region.locator("span")).to_have_text(["A little. "])

    line.say(delta("t1", 22, "ple go up. And 14.5 cm"))
    expect(region.locator("span")).to_have_text(["A little. ", "Most people go up. "])
    line.say(finished("t1", answer("m2", "A **little**. Most people go up. And 14.5 cm", 2, "t1")))

    expect(region.locator("span")).to_have_text(["A little. ", "Most people go up. ", "And 14.5 cm "])


def test_screen_readers_hear_how_an_answer_ended(tab: Page, line: Line) -> None:
    said = tab.locator("[data-speech] span")
    line.say(started("t1", "m2"), delta("t1", 0, "A little", position=2))
    expect(tab.locator(".answer")).to_have_text("A little")
    line.say(finished("t1", answer("m2", "A little", 2, "t1", status="interrupted"), "interrupted"))
    expect(said).to_have_text(["A little ", "The answer was cut off. "])
    line.say(started("t2", "m3", replaces="m2"), delta("t2", 0, "Forbidden", position=3))
    expect(tab.locator(".message .answer")).to_have_text("Forbidden")

    line.say(finished("t2", answer("m3", "It was withdrawn.", 3, "t2", status="blocked"), "blocked"))

    expect(said).to_have_text(["A little ", "The answer was cut off. ", "It was withdrawn. "])


def test_a_withdrawn_answer_that_comes_back_has_its_actions_again(tab: Page, line: Line) -> None:
    shown = answer("m2", TEXT, 2, "t1")
    line.say(ready(CONVERSATION, [ASKED, {**shown, "status": "hidden", "text": "It was withdrawn."}]))
    expect(tab.locator(".withheld")).to_be_visible()

    line.say({"type": "message.changed", "message": shown})

    expect(tab.locator(".answer strong")).to_have_text("half a size up")
    expect(tab.get_by_role("button", name="Copy")).to_be_visible()


def test_an_answer_in_the_other_language_says_so(tab: Page, line: Line) -> None:
    line.say(ready(CONVERSATION, [question("m1", "你好", 1), answer("m2", "可以。", 2, "t1")]))

    expect(tab.locator(".bubble")).to_have_attribute("lang", "zh-Hans")
    expect(tab.locator(".answer")).to_have_attribute("lang", "zh-Hans")


def test_the_name_row_stands_where_the_speaker_changes(tab: Page, line: Line) -> None:
    rows = [
        ASKED,
        answer("m2", "One.", 2, "t1"),
        answer("m3", "Two.", 3, "t2"),
        question("m4", "Hm?", 4),
        answer("m5", "Three.", 5, "t3"),
    ]

    line.say(ready(CONVERSATION, rows))

    expect(tab.locator(".message.assistant")).to_have_count(3)
    expect(tab.locator(".who:visible")).to_have_count(2)


def test_days_and_long_pauses_are_marked(tab: Page, line: Line) -> None:
    rows = [
        question("m1", "Hello", 1, at=ago(days=400)),
        question("m2", "Anyone?", 2, at=ago(minutes=90)),
        question("m3", "Hello?", 3, at=ago(minutes=20)),
        question("m4", "Hello??", 4, at=ago(minutes=19)),
    ]

    line.say(ready(CONVERSATION, rows))

    expect(tab.locator(".bubble")).to_have_count(4)
    expect(tab.locator(".day")).to_have_count(3)
