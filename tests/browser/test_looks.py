"""For everyone: accessibility rules, themes, languages, narrow screens, the keyboard alone, no scripts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.frames import (
    CONVERSATION,
    ago,
    answer,
    delta,
    error,
    listed,
    question,
    ready,
    running,
    saved,
    started,
)
from tests.browser.stage import Line, Stage
from tests.browser.tabs import LOST_CONNECTION, Visitors

SCRIPTS = Path(__file__).parent / "scripts"
ASKED = question("m1", "Do the Fjell boots run small?", 1)
RICH = """## Sizes

A little. Most people go **half a size up**, as the [size page](https://northwind.example/sizes) says.

1. Measure `both` feet.
2. Add 1 cm.

> In the evening.

| Size | Length |
|---|--:|
| 42 | 26.5 cm |

```text
EU 42 = UK 8
```
"""


def empty(tab: Page, line: Line) -> None:
    """The first view."""
    line.say(ready())
    expect(tab.locator(".welcome")).to_be_visible()


def rich(tab: Page, line: Line) -> None:
    """An answer with everything in it, rated, and its comment line open."""
    line.say(ready(CONVERSATION, [ASKED, answer("m2", RICH, 2, "t1")]))
    tab.locator(".message.assistant .icon-button").nth(2).click()
    expect(tab.locator(".comment")).to_be_visible()


def growing(tab: Page, line: Line) -> None:
    """An answer that grows, with text in the composer."""
    line.say(ready(CONVERSATION, [ASKED], turn=running("t1", "m2", "So, ", position=2)))
    expect(tab.locator(".answer .caret")).to_be_visible()
    tab.locator("textarea").fill("x")


def ended(tab: Page, line: Line) -> None:
    """Answers that ended in each other way."""
    rows = [
        question("m0", "An address?", 0, status="blocked"),
        ASKED,
        answer("m2", "Gone", 2, "t1", status="hidden"),
        answer("m3", "A li", 3, "t2", status="stopped"),
        answer("m4", "A lit", 4, "t3", status="interrupted"),
        answer("m5", "", 5, "t4", status="failed"),
        answer("m6", "Retried.", 6, "t5", replaces="m5"),
        {**question("m7", "Hi, this is Mei.", 7), "role": "agent"},
    ]
    line.say(ready({**CONVERSATION, "status": "closed"}, rows))
    expect(tab.locator(".event")).to_be_visible()


def refused(tab: Page, line: Line) -> None:
    """A limit, a message given up, one that waits."""
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_be_visible()
    for text in ("One", "Two"):
        tab.locator("textarea").fill(text)
        tab.keyboard.press("Enter")
    sent = line.hear("message.send")
    line.say(error("conflict", id=sent["id"]))
    sent = line.hear("message.send")
    line.say(error("rate_limited", id=sent["id"], retry_after_s=30))
    expect(tab.locator(".message-foot")).to_have_count(2)
    expect(tab.locator(".refused")).to_be_visible()


def away(tab: Page, line: Line) -> None:
    """Cut off."""
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator(".bubble")).to_be_visible()
    tab.context.set_offline(True)
    expect(tab.locator(".connection")).to_be_visible()


SCENES: list[Callable[[Page, Line], None]] = [empty, rich, growing, ended, refused, away]


def arrive(visitors: Visitors, stage: Stage, scene: Callable[[Page, Line], None], **options: object) -> Page:
    """Open the page and bring about a scene."""
    stage.lists = [
        listed("c1", "Exchange for a Skagen shell", "Three steps", ago(minutes=1)),
        listed("c2", "配送到香港", "预计 4–6 个工作日", ago(days=30)),
    ]
    visitors.watch.allow(LOST_CONNECTION)
    tab = visitors.arrive(**options)  # type: ignore[arg-type]  # Playwright's own options
    line = stage.line()
    line.hear("hello")
    scene(tab, line)
    return tab


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize(
    ("dark", "locale", "size"),
    [
        (False, "en-GB", (1280, 860)),
        (True, "zh-CN", (1280, 860)),
        (False, "zh-CN", (320, 640)),
        (True, "en-GB", (320, 640)),
    ],
    ids=["desk-light-en", "desk-dark-zh", "phone-light-zh", "phone-dark-en"],
)
def test_axe_finds_nothing(
    visitors: Visitors,
    stage: Stage,
    scene: Callable[[Page, Line], None],
    dark: bool,
    locale: str,
    size: tuple[int, int],
) -> None:
    tab = arrive(visitors, stage, scene, dark=dark, locale=locale, size=size, touch=size[0] < 700)

    found = Axe().run(tab).response["violations"]

    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found] == []


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("width", [320, 360, 768, 2200])
def test_nothing_is_wider_than_the_screen(
    visitors: Visitors, stage: Stage, scene: Callable[[Page, Line], None], width: int
) -> None:
    tab = arrive(visitors, stage, scene, size=(width, 640))

    wide = tab.evaluate((SCRIPTS / "find_overflow.js").read_text())

    assert wide == []
    assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_element_carries_a_style(
    visitors: Visitors, stage: Stage, scene: Callable[[Page, Line], None]
) -> None:
    tab = arrive(visitors, stage, scene)

    assert tab.locator("[style]").count() == 0
    assert tab.locator("script:not([src]):not([type=importmap])").count() == 0


def test_controls_are_large_enough_to_touch(visitors: Visitors, stage: Stage) -> None:
    """44 px in the chat; 40 for the actions under an answer; padded where they look smaller."""
    tab = arrive(visitors, stage, rich, size=(360, 740), touch=True)

    sizes = tab.evaluate((SCRIPTS / "measure_controls.js").read_text())

    assert sizes
    assert [each for each in sizes if each[1] < 36] == []


def test_the_keyboard_alone_is_enough(tab: Page, stage: Stage) -> None:
    stage.lists = [listed("c2", "Delivery to Hong Kong", "Usually four to six", ago(days=3))]
    line = stage.line()
    line.hear("hello")
    line.say(ready(CONVERSATION, [ASKED, answer("m2", RICH, 2, "t1")]))
    expect(tab.locator(".answer table")).to_be_visible()
    expect(tab.locator(".conversation-list a")).to_be_visible()
    tab.get_by_role("link", name="Skip to the conversation").focus()
    reached = []
    while (name := tab.evaluate((SCRIPTS / "name_focus.js").read_text())) is not None:
        reached.append(name)
        tab.keyboard.press("Tab")

    assert reached == [
        "Skip to the conversation",
        "New conversation",
        "Search your conversations",
        "Delivery to Hong Kong",
        "English",
        "简体中文",
        "Appearance",
        "More",
        "Messages",
        "size page (northwind.example)",
        "Size, Length",
        "Copy",
        "Code: text",
        "Copy",
        "Helpful",
        "Not helpful",
        "Answer again",
        "Message",
        "Privacy",
    ]


def test_the_skip_link_leads_to_the_field_and_keeps_the_address(tab: Page, stage: Stage) -> None:
    line = stage.line()
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab).to_have_url(re.compile("#/c1$"))

    tab.get_by_role("link", name="Skip to the conversation").focus()
    tab.keyboard.press("Enter")

    expect(tab.locator("textarea")).to_be_focused()
    expect(tab).to_have_url(re.compile("#/c1$"))


def test_the_appearance_is_chosen_kept_and_there_before_the_first_paint(tab: Page, stage: Stage) -> None:
    stage.line()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"
    tab.get_by_role("button", name="Appearance").click()
    tab.get_by_role("radio", name="Dark").check()
    assert tab.evaluate(ground) == "rgb(17, 22, 23)"
    tab.add_init_script(
        """new MutationObserver((_, observer) => {
          if (!document.body) return;
          window.themeAtBody = document.documentElement.dataset.theme;
          observer.disconnect();
        }).observe(document, { childList: true, subtree: true })"""
    )

    tab.reload()

    assert tab.evaluate("themeAtBody") == "dark"
    assert tab.evaluate(ground) == "rgb(17, 22, 23)"
    tab.get_by_role("button", name="Appearance").click()
    expect(tab.get_by_role("radio", name="Dark")).to_be_checked()
    tab.get_by_role("radio", name="As the system").check()
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"


def test_the_language_is_the_browsers_can_be_switched_and_is_kept(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive(locale="zh-CN")
    line = stage.line()
    assert line.hear("hello")["locale"] == "zh-hans"
    line.say(ready(CONVERSATION, [ASKED]))
    expect(tab.locator("textarea")).to_have_attribute("placeholder", "请输入您的问题")
    expect(tab.locator(".day").first).to_have_text(re.compile(r"^今天 \d\d:\d\d$"))

    tab.get_by_role("button", name="English").click()

    line = stage.line()
    hello = line.hear("hello")
    assert (hello["locale"], hello["conversation_id"]) == ("en", "c1")
    expect(tab.locator("html")).to_have_attribute("lang", "en")
    expect(tab.locator("textarea")).to_have_attribute("placeholder", "Ask a question")
    tab.goto("/")
    assert stage.line().hear("hello")["locale"] == "en"


def test_without_scripts_the_page_says_what_it_needs(visitors: Visitors) -> None:
    tab = visitors.arrive(java_script_enabled=False)

    expect(tab.locator("noscript .notice")).to_be_visible()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Northwind Assistant")
    expect(tab.locator(".composer")).to_contain_text(
        "You are talking to an AI. It can make mistakes. Privacy"
    )


def test_one_is_told_that_this_is_an_ai_and_which(visitors: Visitors) -> None:
    tab = visitors.arrive()
    privacy = tab.get_by_role("link", name="Privacy")
    expect(privacy).to_have_attribute("href", "https://northwind.example/privacy")
    expect(tab.locator(".composer")).not_to_contain_text("demonstration")

    tab.goto("/plain/")

    expect(tab.locator(".composer > p").last).to_have_text(
        "A small demonstration model is answering, on this machine."
        " You are talking to an AI. It can make mistakes."
    )
    expect(privacy).to_have_count(0)


def test_reduced_motion_stills_the_caret(visitors: Visitors, stage: Stage) -> None:
    tab = arrive(visitors, stage, growing, reduced_motion="reduce")

    assert (
        tab.locator(".answer .caret").evaluate("(caret) => getComputedStyle(caret).animationName") == "none"
    )


def test_forced_colours_keep_every_edge(visitors: Visitors, stage: Stage) -> None:
    tab = arrive(visitors, stage, growing, forced_colors="active")

    for part in (".bubble", ".badge", ".send", ".mark"):
        width = tab.locator(part).first.evaluate("(each) => getComputedStyle(each).borderTopWidth")
        assert width == "1px", part


def test_the_page_works_where_storage_is_closed(visitors: Visitors, stage: Stage) -> None:
    tab = visitors.arrive()
    stage.line()
    tab.add_init_script(
        """Object.defineProperty(window, "localStorage", {
          get() { throw new DOMException("closed", "SecurityError"); },
        })"""
    )
    tab.reload()
    line = stage.line()
    line.hear("hello")
    line.say(ready())
    tab.locator("textarea").fill("Hello?")
    tab.keyboard.press("Enter")

    line.say(saved(line.hear("message.send"), 1), started("t1", "m2"), delta("t1", 0, "Hi.", position=2))

    expect(tab.locator(".answer")).to_have_text("Hi.")


def test_all_modules_are_fetched_at_once(visitors: Visitors, stage: Stage) -> None:
    """None is first heard of from another module: the page names them all."""
    tab = visitors.arrive()
    stage.line()

    links = tab.locator("link[rel=modulepreload]")
    preloaded = set(links.evaluate_all("(links) => links.map((link) => link.href)"))
    names = tab.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    late = {name for name in names if name.endswith(".js")} - preloaded

    assert {name.rpartition("/")[2] for name in late} == {"chat.js", "theme.js"}  # named in the page itself
    assert len(preloaded) > 20


def test_no_script_of_ours_writes_markup() -> None:
    """Text enters the page as text: none of the ways to write markup stands in any module."""
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|\.style\b"
    )
    scripts = Path(__file__).parents[2] / "static" / "js"

    assert [str(path) for path in scripts.rglob("*.js") if forbidden.search(path.read_text())] == []
