"""An answer that grows: in the end the same however it was cut, calm on the way, at a cost that stays."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.scale import count

from .markup_page import MarkupPage, open_markup_page

ANSWER = """\
## Exchange **now**

Yes, `NW-48213` is *fine*: see [our **returns** page](https://shop.example/r_a?x=(1)) or https://shop.example/a_b.
**Note:** a < b &amp; ***both*** ~~old~~ ![pic](https://x.example/p.png) <https://a.example> end!

1. Open **it**
   - [x] nested `code`
2. [link](https://shop.example)

| Size | **Chest** |
|------|----------:|
| S | `92` |

> quoted **text**

```py
x = 1
```
- - -
最后**“重要”**。见https://shop.example/b。好
"""
STORMS = [
    "word ", "重要，", "(", "[", "]", "[]", "![", "[a](", '[a](b "', "*", "**", "a*", "a**b", "*a **b ",
    "*a b_ ", "****a", "`", "`a``", "``` `", "~~a", "<", "<http://", "&", "&amp;", "\\", ">", "> ", "- ",
    "- a\n", "1. ", "#", "- - ", "|", "| a ", "|-", "a|b\n-|-\n", "a\n", "\n", " ", "\t", "```\n",
    "    a\n", "=", "aaaa", "https://", "http://a.example ", "http://a.example/&amp;", "www.", "a@",
    "a@b.example ",
]  # fmt: skip
ENDLESS_WORDS = ["aaaa", "www.", "a@"]
"""They have no place to go on from, and are read again with each delta: 0.1 ms for 20 000 characters."""


ONCE_WRONG = [
    "# &#x41;_@p.example\nh",
    "[*-*![]()](https://d.example)3",
    "***&****]\n",
    "***a**。**b**c",
    "**a****!",
    "- [x] do",
    "(see https://d.example/x). |",
    f"[``a [x](/y) {'b' * 100}``]()",
    f"_x {'w' * 1965} https://b.example/c____&_>",
]


@pytest.fixture(scope="module")
def markup(browser: Browser) -> Iterator[MarkupPage]:
    with open_markup_page(browser) as page:
        yield page


@pytest.mark.parametrize(
    ("most_pieces", "rounds"),
    [(10, count(3000, 60_000)), (40, count(600, 15_000)), (300, count(60, 1500)), (3000, count(5, 100))],
)
def test_random_cuts_end_in_the_same_nodes_and_touch_nothing_that_is_closed(
    markup: MarkupPage, most_pieces: int, rounds: int
) -> None:
    assert markup.call("streamAtRandom", most_pieces, most_pieces + rounds, most_pieces) == []
    assert (markup.foreign, markup.surprises, markup.page.evaluate("window.__ran ?? []")) == ([], [], [])


@pytest.mark.parametrize("text", ONCE_WRONG, ids=lambda text: text[:20])
def test_what_random_texts_have_found_stays_right(markup: MarkupPage, text: str) -> None:
    assert markup.call("streamAndCompare", list(text)) == []


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_no_mark_flashes_while_a_well_formed_answer_grows(markup: MarkupPage, size: int) -> None:
    deltas = [ANSWER[at : at + size] for at in range(0, len(ANSWER), size)]

    states = markup.call("stream", deltas)

    for state in states:
        shown = re.findall(r'"((?:[^"\\]|\\.)*)"', state)
        assert not [text for text in shown if re.search(r"\*|`|~~|\]|\[|\||#|!\[|<http|&amp|---", text)], (
            state
        )


def test_a_link_is_shown_as_one_only_when_it_is_whole(markup: MarkupPage) -> None:
    text = (
        "[our page](https://shop.example/a) <https://a.example/b> https://c.example/d_e (mail a@b.example) ."
    )
    whole = re.findall(r"a\[(.*?)\]", markup.call("render", text))

    states = markup.call("stream", list(text))

    assert len(whole) == 4
    for state in states:
        assert set(re.findall(r"a\[(.*?)\]", state)) <= set(whole), state
    assert states[text.index("]")] == states[text.index(")") - 1] == 'p("our page")'


@pytest.mark.parametrize("start", ["`", "[see ", "![see ", "``[see "])
def test_what_may_still_turn_into_code_or_words_is_no_link_yet(markup: MarkupPage, start: str) -> None:
    states = markup.call("stream", [start, "a [b](https://b.example) https://c.example and " + "more " * 30])

    is_decided = start == "[see "  # a link inside decides that the bracket before it opens none

    assert ("a[" in states[1]) is is_decided
    assert "a[" in states[2]


def test_the_text_is_kept_as_it_was_written(markup: MarkupPage) -> None:
    assert markup.call("textOf", ["**a\r", "\n", "\0b", "", "  "]) == "**a\r\n\0b  "


def test_a_finished_stream_takes_nothing_more(markup: MarkupPage) -> None:
    with pytest.raises(Exception, match="The text is finished"):
        markup.call("appendAfterFinish")


def test_a_delta_costs_the_same_after_a_short_and_a_long_answer(markup: MarkupPage) -> None:
    sizes = (1_000, 100_000)
    for size in sizes:
        markup.call("startAnswer", size)

    rounds = [[markup.cpu_ms("growAnswer", size, {"withLayout": False}) for size in sizes] for _ in range(8)]
    short, long = (min(costs) for costs in zip(*rounds, strict=True))

    assert long < 2 * short, (short, long)


@pytest.mark.parametrize("piece", STORMS)
def test_a_storm_of_marks_costs_in_proportion_to_its_length(markup: MarkupPage, piece: str) -> None:
    assert is_linear(markup, piece, sizes=(25_000, 100_000), delta=100_000)


@pytest.mark.parametrize("piece", [piece for piece in STORMS if piece not in ENDLESS_WORDS])
def test_so_does_a_storm_that_comes_in_small_deltas(markup: MarkupPage, piece: str) -> None:
    assert is_linear(markup, piece, sizes=(5_000, 20_000), delta=20)


@pytest.mark.parametrize("start", ["*", "**", "`", "[", "![", "*a `b [c "])
def test_a_mark_without_a_partner_is_given_up_after_a_while(markup: MarkupPage, start: str) -> None:
    assert is_linear(markup, "word ", sizes=(5_000, 20_000), delta=20, start=f"{start}word ")


def is_linear(markup: MarkupPage, piece: str, *, sizes: tuple[int, int], delta: int, start: str = "") -> bool:
    """Show two sizes, the second four times the first: linear work takes four times as long, not sixteen."""
    rounds = [[markup.cpu_ms("storm", start, piece, size, delta) for size in sizes] for _ in range(3)]
    small = min(first for first, _second in rounds)
    large = min(second for _first, second in rounds)
    return large < 8 * max(small, 1)
