"""What the page says: a sentence for every code, in both languages, and nothing left in the other one."""

import re

import pytest
from playwright.sync_api import Page, expect

from conversations.sentences import LOCALES
from tests.browser.frames import CONVERSATION, error, finished, question, ready, saved, started
from tests.browser.frames import answer as answered
from tests.browser.stage import Line, Stage
from tests.browser.tabs import Visitors

ASKED = question("m1", "Do the Fjell boots run small?", 1)
BROWSERS = {"en": "en-GB", "zh-hans": "zh-CN"}
HAN = re.compile(r"[\u4e00-\u9fff]")

# By code, where it is said, and in each language what.
REFUSALS = {
    "bad_frame": ("That did not go through. Please reload the page.", "未能发送，请刷新页面。"),
    "conflict": ("That did not go through. Please reload the page.", "未能发送，请刷新页面。"),
    "rate_limited": ("That was quick. You can send again in 12 seconds.", "发送太快了，请 12 秒后再试。"),
    "busy": (
        "We are still answering your other questions. This one follows in a moment.",
        "正在回答您的其他问题，稍后就到这一条。",
    ),
    "not_found": ("This conversation is no longer here.", "该对话已不存在。"),
    "unauthorized": ("We started a new conversation for you.", "已为您开始新的对话。"),
    "internal": (
        "Something went wrong on our side. Please try again. Reference 7F2K.",
        "我们这边出了点问题，请再试一次。编号 7F2K。",
    ),
    "from_a_later_version": ("A calm sentence of the server’s.", "A calm sentence of the server’s."),
}
WITHOUT_A_TURN = {
    "budget_exhausted": (
        "The assistant is taking a break today. Your question is saved, and our team will see it.",
        "助手今天先休息了。您的问题已保存，我们会看到。",
    ),
    "blocked_input": (
        "We can’t help with that here. You can put your question in other words.",
        "这个问题我们无法在这里处理。您可以换种说法再问。",
    ),
}
ENDINGS = {
    "model_unavailable": (
        "We could not get an answer just now. Your question is saved.",
        "暂时无法回答。您的问题已保存。",
    ),
    "budget_exhausted": WITHOUT_A_TURN["budget_exhausted"],
    "internal": REFUSALS["internal"],
    "from_a_later_version": REFUSALS["from_a_later_version"],
}
MORE = {"ref": "7F2K"}


def arrive(visitors: Visitors, stage: Stage, locale: str) -> tuple[Page, Line]:
    """Open the page in a browser of this language and show one question."""
    tab = visitors.arrive(locale=BROWSERS[locale])
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_be_visible()
    return tab, line


@pytest.mark.parametrize("locale", LOCALES)
def test_every_refusal_is_put_into_words_above_the_composer(
    visitors: Visitors, stage: Stage, locale: str
) -> None:
    tab, line = arrive(visitors, stage, locale)

    for code in sorted(REFUSALS, key=lambda code: code == "rate_limited"):  # its countdown hides the others
        retry = {"retry_after_s": 12} if code == "rate_limited" else {}
        line.say(error(code, "A calm sentence of the server’s.", **MORE, **retry))

        expect(tab.locator(".refused span")).to_have_text(REFUSALS[code][LOCALES.index(locale)])


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("code", WITHOUT_A_TURN)
def test_a_question_without_a_turn_says_why(visitors: Visitors, stage: Stage, locale: str, code: str) -> None:
    tab, line = arrive(visitors, stage, locale)
    tab.locator("textarea").fill("Her address?")
    tab.keyboard.press("Enter")
    sent = line.hear("message.send")

    line.say(
        saved(sent, 2, status="blocked" if code == "blocked_input" else "final"), error(code, id=sent["id"])
    )

    expect(tab.locator(".withheld")).to_have_text(WITHOUT_A_TURN[code][LOCALES.index(locale)])
    feet = {
        "blocked_input": ("Not sent to the assistant", "未发送给助手"),
        "budget_exhausted": ("Saved", "已保存"),
    }
    expect(tab.locator(".message-foot")).to_have_text(feet[code][LOCALES.index(locale)])
    expect(tab.locator(".refused")).to_be_hidden()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("code", ENDINGS)
def test_a_failed_turn_says_why(visitors: Visitors, stage: Stage, locale: str, code: str) -> None:
    tab, line = arrive(visitors, stage, locale)

    line.say(started("t1", "m2"), finished("t1", answered("m2", "", 2, "t1", status="failed"), "failed"))
    line.say(error(code, "A calm sentence of the server’s.", turn_id="t1", **MORE))

    expect(tab.locator(".ending > span")).to_have_text(ENDINGS[code][LOCALES.index(locale)])
    expect(tab.locator(".refused")).to_be_hidden()


def test_a_message_that_is_too_long_is_refused_before_it_is_sent(visitors: Visitors, stage: Stage) -> None:
    tab, line = arrive(visitors, stage, "zh-hans")
    line.say(ready(CONVERSATION, [ASKED], max_chars=10))

    tab.locator("textarea").fill("这" * 222)

    expect(tab.locator(".refused")).to_have_text("超出 212 个字，请精简后再发送。")
    assert line.hears_nothing()


def test_both_languages_have_the_same_words(visitors: Visitors) -> None:
    tab = visitors.arrive("/harness/")
    kinds = """async (url) => Object.fromEntries(Object.entries((await import(url)).default)
      .map(([key, value]) => [key, typeof value === "function" ? value.length : typeof value]))"""

    english, chinese = (tab.evaluate(kinds, f"/static/js/strings/{locale}.js") for locale in LOCALES)

    assert english == chinese


def test_a_chinese_page_has_no_english_left(visitors: Visitors, stage: Stage) -> None:
    tab, line = arrive(visitors, stage, "zh-hans")
    line.say(ready(CONVERSATION, [question("m1", "你好", 1), answered("m2", "可以。", 2, "t1")]))
    expect(tab.locator(".answer")).to_have_text("可以。")
    expect(tab.locator(".composer > p").last).to_have_text("您正在与 AI 对话，回答可能有误。隐私说明")

    named = tab.evaluate(
        """() => [...document.querySelectorAll("[aria-label], [title], [placeholder], button, label, legend")]
          .filter((each) => !each.closest("[lang=en]"))
          .flatMap((each) => [
            each.getAttribute("aria-label"), each.title, each.placeholder, each.textContent.trim(),
          ]).filter(Boolean)"""
    )

    known = re.compile(r"Northwind|^\d\d:\d\d$|^AI$")
    assert [each for each in named if not HAN.search(each) and not known.search(each)] == []


@pytest.mark.parametrize(
    ("text", "on_english", "on_chinese"),
    [
        ("A little.", None, "en"),
        ("可以。", "zh-Hans", None),
        ("Skagen 冲锋衣 S 码肩膀有点紧", "zh-Hans", None),
        ("The label says 退货, which means return", None, "en"),
        ("42", None, None),
        ("", None, None),
    ],
)
def test_texts_in_the_other_language_are_told_apart(
    visitors: Visitors, text: str, on_english: str | None, on_chinese: str | None
) -> None:
    tab = visitors.arrive("/harness/")

    found = tab.evaluate(
        """async (text) => {
          const { otherLanguage } = await import("/static/js/language.js");
          return [otherLanguage(text, "en"), otherLanguage(text, "zh-hans")];
        }""",
        text,
    )

    assert found == [on_english, on_chinese]


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["Yes. N", "o."], ["Yes.", "No."]),
        (["It costs 14.5", "0 € a year. "], ["It costs 14.50 € a year."]),
        (["## Sizes\n\n", "- **one**\n- two\n"], ["Sizes", "one", "two"]),
        (["可以。收货后", "60 天内！好吗？"], ["可以。", "收货后60 天内！", "好吗？"]),
        (["See [the ", "page](https://a.example/x). "], ["See the page."]),
        (["x" * 401, "y"], ["x" * 401, "y"]),
        (["“Yes.” he", " said"], ["“Yes.”", "he said"]),
    ],
)
def test_answers_are_spoken_in_whole_sentences(
    visitors: Visitors, pieces: list[str], sentences: list[str]
) -> None:
    tab = visitors.arrive("/harness/")

    heard = tab.evaluate(
        """async (pieces) => {
          const { Sentences } = await import("/static/js/speech.js");
          const speech = new Sentences();
          return [...pieces.flatMap((piece) => speech.add(piece)), ...speech.end()];
        }""",
        pieces,
    )

    assert heard == sentences
