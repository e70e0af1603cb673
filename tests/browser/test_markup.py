"""What Markdown becomes, in a real browser. How nodes are written here says `outline` in
`scripts/markup_page.js`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from .markup_page import MarkupPage, open_markup_page

PARAGRAPHS = [
    ("One.\n\nTwo.", 'p("One.") p("Two.")'),
    ("line\nline", r'p("line" br "\nline")'),
    ("hard  \nbreak\\\nbreak", r'p("hard" br "\nbreak" br "\nbreak")'),
    ("  indented   \n\n\n\n  again", 'p("indented") p("again")'),
]
HEADINGS_AND_RULES = [
    ("# A\n## B\n### C\n#### D\n###### E", 'h2("A") h3("B") h4("C") h4("D") h4("E")'),
    ("# A # b ##", 'h2("A # b")'),
    ("#no\n# ", r'p("#no" br "\n#")'),
    ("####### seven", 'p("####### seven")'),
    ("text\n# Title\ntext", 'p("text") h2("Title") p("text")'),
    ("Title\n---\ntext\n===", r'p("Title") hr p("text" br "\n===")'),
    ("***\n- - -\n___", "hr hr hr"),
    ("--", 'p("--")'),
]
LISTS = [
    ("- a\n- b\n\n- c", 'ul(li("a") li("b") li("c"))'),
    ("- a\n  - b\n    - c\n- d", 'ul(li("a" ul(li("b" ul(li("c"))))) li("d"))'),
    ("* a\n+ b\n- c", 'ul(li("a")) ul(li("b")) ul(li("c"))'),
    ("3. a\n4. b", 'ol[3](li("a") li("b"))'),
    ("1. a\n2) b", 'ol(li("a")) ol[2](li("b"))'),
    ("1. a\n\n   more\n\n   - x\n2. b", 'ol(li("a" p("more") ul(li("x"))) li("b"))'),
    ("a\n1. b", 'p("a") ol(li("b"))'),
    ("a\n14. b", r'p("a" br "\n14. b")'),
    ("a\n-", r'p("a" br "\n-")'),
    ("-\n  a\n-\n\n  b", 'ul(li("a") li) p("b")'),
    ("- a\nlazy\n\nout", r'ul(li("a" br "\nlazy")) p("out")'),
    ("1. a\n\n\ttab", 'ol(li("a" p("tab")))'),
    ("- [ ] open\n- [x] done\n- [y] no", 'ul(li("☐ open") li("☑ done") li("[y] no"))'),
    ("-not\n1.not\n1.5 kg\n2026. x", r'p("-not" br "\n1.not" br "\n1.5 kg" br "\n2026. x")'),
    ("- ```\n  code\n  ```\n- b", 'ul(li(code-block[Code]("code")) li("b"))'),
    ("- > q\n- # h", 'ul(li(blockquote(p("q"))) li(h2("h")))'),
]
QUOTES = [
    ("> a\n> b\nlazy\n\nc", r'blockquote(p("a" br "\nb" br "\nlazy")) p("c")'),
    ("> a\n\n> b", 'blockquote(p("a")) blockquote(p("b"))'),
    (">a\n>> b", 'blockquote(p("a") blockquote(p("b")))'),
    ("> ```\n> code\nout", 'blockquote(code-block[Code]("code")) p("out")'),
]
CODE = [
    ("```py\nx = 1\n\n\ty\n```\nz", r'code-block[py]("x = 1\n\n\ty") p("z")'),
    ("~~~\n```\n~~~", 'code-block[Code]("```")'),
    ("```\nopen", 'code-block[Code]("open")'),
    ("  ```\n  a\n   b\n ```", r'code-block[Code]("a\n b")'),
    ("```js extra words\n1\n````", 'code-block[js]("1")'),
    ("``` a`b ```", 'p(code.short("a`b"))'),
    ("    code\n\n    more\n\nout", r'code-block[Code]("code\n\nmore") p("out")'),
    ("a\n    not code", r'p("a" br "\nnot code")'),
    ("\tcode", 'code-block[Code]("code")'),
    (
        "`a` ``b`c`` ` d ` `` ` ``",
        'p(code.short("a") " " code.short("b`c") " " code.short("d") " " code.short("`"))',
    ),
    ("`a\nb` `open", 'p(code.short("a b") " `open")'),
    (
        "`<b>` `this one is longer than two dozen characters`",
        'p(code.short("<b>") " " code("this one is longer than two dozen characters"))',
    ),
    (r"\`a\` `\`", r'p("`a` " code.short("\\"))'),
]
EMPHASIS = [
    (
        "*a* _b_ **c** __d__ ***e*** ~~f~~ ~g~",
        'p(em("a") " " em("b") " " strong("c") " " strong("d") " " em(strong("e")) " " del("f") " ~g~")',
    ),
    ("a*b*c a_b_c a**b**c", 'p("a" em("b") "c a_b_c a" strong("b") "c")'),
    ("* a* ** b** *c *", 'ul(li("a* ** b** *c *"))'),
    ("**a *b* c** *a **b** c*", 'p(strong("a " em("b") " c") " " em("a " strong("b") " c"))'),
    ("**a", 'p("**a")'),
    ("*a **b*", 'p("*a *" em("b"))'),
    ("5 * 3 * 2", 'p("5 * 3 * 2")'),
    ("*a*b", 'p(em("a") "b")'),
    ("**a**b", 'p(strong("a") "b")'),
]
CHINESE_JAPANESE_KOREAN = [
    ("**重要**。然后", 'p(strong("重要") "。然后")'),
    ("这是**重要。**然后", 'p("这是" strong("重要。") "然后")'),
    ("他说**“你好”**。", 'p("他说" strong("“你好”") "。")'),
    ("**注意：**请在7天内", 'p(strong("注意：") "请在7天内")'),
    ("（**重要**）", 'p("（" strong("重要") "）")'),
    ("价格*优惠*中", 'p("价格" em("优惠") "中")'),
    ("约5~10天，~~原价~~现价", 'p("约5~10天，" del("原价") "现价")'),
    ("**Note:**请看", 'p(strong("Note:") "请看")'),
    ("重要__不__是", 'p("重要__不__是")'),
    ("日本語**「強調」**です", 'p("日本語" strong("「強調」") "です")'),
    ("한국어**강조!**입니다", 'p("한국어" strong("강조!") "입니다")'),
    ("😀**a**😀", 'p("😀" strong("a") "😀")'),
]
TABLES = [
    (
        "| a | b |\n|---|:-:|\n| 1 | x |\n| c |",
        'table(th.number("a") th.center("b") / td.number("1") td.center("x") / td.number("c") td.center)',
    ),
    (
        "| Size | Chest | Price |\n|:--|--:|---|\n| S | 92 cm | €1,284.50 |\n| M | – | from €3 |\n\nend",
        'table(th("Size") th.number("Chest") th.number("Price")'
        ' / td("S") td.number("92 cm") td.number("€1,284.50")'
        ' / td("M") td.number("–") td.number("from €3")) p("end")',
    ),
    ("a | b\n- | -\n1 | 2", 'table(th.number("a") th.number("b") / td.number("1") td.number("2"))'),
    ("text\n| a |\n|---|\n| b |\n> q", 'p("text") table(th("a") / td("b")) blockquote(p("q"))'),
    ("| a |\n| b |", r'p("| a |" br "\n| b |")'),
    ("| a | b |\n|---|", r'p("| a | b |" br "\n|---|")'),
    (
        "| a \\| b | `c` |\n|---|---|\n| **d** | e | f |",
        'table(th("a | b") th(code.short("c")) / td(strong("d")) td("e | f"))',
    ),
    ("| a |\n---", 'p("| a |") hr'),
    ("|a|\n|-|\n|  |", 'table(th("a") / td)'),
]
TEXT = [
    (
        "a &amp; b &lt;i&gt; &copy; &#233; &#x4e2d; &nbsp; &bogus; &#0; &",
        'p("a & b <i> © é 中 \xa0 &bogus; � &")',
    ),
    (r"\*a\* \# \a \\ 1\. x", r'p("*a* # \\a \\ 1. x")'),
    ("<b>x</b> <!-- c --> <br/>", 'p("<b>x</b> <!-- c --> <br/>")'),
]
ALL = {
    "paragraphs": PARAGRAPHS,
    "headings and rules": HEADINGS_AND_RULES,
    "lists": LISTS,
    "quotes": QUOTES,
    "code": CODE,
    "emphasis": EMPHASIS,
    "chinese japanese korean": CHINESE_JAPANESE_KOREAN,
    "tables": TABLES,
    "text": TEXT,
}


@pytest.fixture(scope="module")
def markup(browser: Browser) -> Iterator[MarkupPage]:
    with open_markup_page(browser) as page:
        yield page


@pytest.mark.parametrize("kind", ALL)
def test_markdown_becomes_these_nodes(markup: MarkupPage, kind: str) -> None:
    for text, expected in ALL[kind]:
        assert markup.call("render", text) == expected, text


def test_code_has_its_language_and_a_button_that_copies_it(markup: MarkupPage) -> None:
    code = "a < b\n\n\tc  "

    state = markup.call("copyCode", f"```python\n{code}\n```\n")

    assert state == {"copied": code, "label": "Copied", "language": "python"}
    markup.page.wait_for_function("document.querySelector('.code button').textContent === 'Copy'")


def test_what_scrolls_sideways_is_reached_by_keyboard_and_named(markup: MarkupPage) -> None:
    table = markup.call("attributes", "| Size | Chest |\n|---|---|\n| S | 92 |", ".table")
    code = markup.call("attributes", "```py\nx\n```", ".code pre")
    head = markup.call("attributes", "| Size | Chest |\n|---|---|\n", "th")

    assert table == {"class": "table", "role": "region", "aria-label": "Size, Chest", "tabindex": "0"}
    assert code == {"role": "group", "aria-label": "Code: py", "tabindex": "0"}
    assert head == {"scope": "col"}


def test_a_list_inside_lists_stops_at_a_depth(markup: MarkupPage) -> None:
    deep = "\n".join("  " * level + "- x" for level in range(200))

    assert 10 <= markup.call("render", deep).count("ul(") <= 16
    assert markup.call("render", ">" * 5000 + " x").count("blockquote") <= 32
    assert markup.call("render", "*" * 1000 + "x" + "*" * 1000).count("strong") <= 16
    assert markup.call("render", "**a *b " * 500 + "* **" * 500).count("(") < 3000


def test_a_table_is_not_wider_than_fifty_columns(markup: MarkupPage) -> None:
    def rows(columns: int) -> str:
        return "|a" * columns + "|\n" + "|-" * columns + "|\n"

    assert markup.call("render", rows(50)).startswith("table(")
    assert markup.call("render", rows(51)).startswith("p(")


@pytest.mark.parametrize(
    ("piece", "spoken"),
    [
        ("**Total:** $5", "Total: $5"),
        ("## Your *order*", "Your order"),
        ("important** thing.", "important thing."),
        ("- > 1. Open [the page](https://x.example/a_b)", "1. Open the page"),
        ("| Size | Chest |\n|---|---|\n| S | **92 cm** |", "Size, Chest\nS, 92 cm"),
        ("```py\nx = 1 * 2\n```", "x = 1 * 2"),
        ("---\n\n`NW-48213` &amp; ![logo](https://x.example/a.png)", "NW-48213 & logo"),
        ("这是**重要。**然后", "这是重要。然后"),
        ("2 * 3 < 7 and snake_case", "2 * 3 < 7 and snake_case"),
        ("", ""),
    ],
)
def test_what_is_spoken_has_no_marks(markup: MarkupPage, piece: str, spoken: str) -> None:
    assert markup.call("speakable", piece) == spoken
