"""What becomes a link, and that no link can pass for another. For the notation see `test_markup.py`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from .markup_page import MarkupPage, open_markup_page

WRITTEN = [
    ("[a](https://example.org/x)", 'a[https://example.org/x]("a" @(example.org))'),
    ("[a](https://example.org/x 'title')", 'a[https://example.org/x]("a" @(example.org))'),
    ("[a]( <https://example.org/x y> )", 'a[https://example.org/x%20y]("a" @(example.org))'),
    ("[a](https://x.example/(b))", 'a[https://x.example/(b)]("a" @(x.example))'),
    ("[*a* `]`](https://x.example)", 'a[https://x.example/](em("a") " " code.short("]") @(x.example))'),
    ("*[a](https://x.example)*", 'em(a[https://x.example/]("a" @(x.example)))'),
    ("*a [b* c](https://x.example)", '"*a " a[https://x.example/]("b* c" @(x.example))'),
    ("[a [b](https://x.example) c](/y)", '"[a " a[https://x.example/]("b" @(x.example)) " c](/y)"'),
    ("[a](http://localhost/own)", 'a[http://localhost/own]("a")'),
    ("[a](mailto:me@shop.example)", 'a[mailto:me@shop.example]("a" @(me@shop.example))'),
    ("[me@shop.example](mailto:me@shop.example)", 'a[mailto:me@shop.example]("me@shop.example")'),
    ("[call](tel:+49-30-123)", 'a[tel:+49-30-123]("call" @(+49-30-123))'),
    ("[+49 30 123](tel:+4930123)", 'a[tel:+4930123]("+49 30 123")'),
]
NONE = [
    ("[a][b] [a][] [a]", '"[a][b] [a][] [a]"'),
    ("[a] (x) [a](x y)", '"[a] (x) [a](x y)"'),
    ("`[a](https://x.example)`", 'code.short("[a](https://x.example)")'),
    (r"\[a](mailto:a) [a\](mailto:a)", '"[a](mailto:a) [a](mailto:a)"'),
]
IMAGES = [
    ("![logo](https://x.example/a.png)", 'a[https://x.example/a.png]("logo" @(x.example))'),
    ("![](https://x.example/a.png)", "a[https://x.example/a.png](@x.example)"),
    ("![a **b**](/a.png)", '"a b"'),
    ("![x](data:image/png;base64,AA)", '"x"'),
    ("[![b](https://a.example/b.png)](https://c.example)", 'a[https://c.example/]("b" @(c.example))'),
    ("![a [b](https://c.example)](https://d.example)", 'a[https://d.example/]("a b" @(d.example))'),
]
BARE = [
    ("https://x.example/a_b_c.", 'a[https://x.example/a_b_c]("https://x.example/a_b_c") "."'),
    ("(https://x.example/a)", '"(" a[https://x.example/a]("https://x.example/a") ")"'),
    ("https://x.example/(a)", 'a[https://x.example/(a)]("https://x.example/(a)")'),
    ("**https://x.example**", 'strong(a[https://x.example/]("https://x.example"))'),
    ("https://x.example/?a=1&b=2;", 'a[https://x.example/?a=1&b=2]("https://x.example/?a=1&b=2") ";"'),
    ("https://x.example/?a&amp;b", 'a[https://x.example/?a&b]("https://x.example/?a&b")'),
    ("&lt;https://x.example&gt;", '"<" a[https://x.example/]("https://x.example") ">"'),
    ("见https://x.example/a。", '"见" a[https://x.example/a]("https://x.example/a") "。"'),
    ("www.x.example/a，", 'a[https://www.x.example/a]("www.x.example/a") "，"'),
    ("xhttps://a.example https:// ftp://x", '"xhttps://a.example https:// ftp://x"'),
    ("http://münchen.example", '"http://münchen.example"'),
    ("<https://x.example/a_b>", 'a[https://x.example/a_b]("https://x.example/a_b")'),
    ("<a@x.example> <javascript:x>", 'a[mailto:a@x.example]("a@x.example") " <javascript:x>"'),
    ("a.b_c+d@x.example!", 'a[mailto:a.b_c+d@x.example]("a.b_c+d@x.example") "!"'),
    ("@x a@b", '"@x a@b"'),
]
DISGUISED = [
    ("[https://shop.example](https://evil.example)", '"https://shop.example" @(evil.example)'),
    ("[shop.example](https://evil.example/shop.example)", '"shop.example" @(evil.example)'),
    ("[evil.example.org](https://evil.example)", '"evil.example.org" @(evil.example)'),
    ("[evil.example ](https://shop.example)", '"evil.example " @(shop.example)'),
    ("https://shop.example@evil.example/", '"https://shop.example@evil.example/" @(evil.example)'),
    ("[https://аpple.example](https://аpple.example)", '"https://аpple.example" @(xn--pple-43d.example)'),
    ("[shop.example](https://shop．evil.example)", '"shop.example" @(shop.evil.example)'),
    ("[a](https://bücher.example)", '"a" @(xn--bcher-kva.example)'),
    ("[\u202egro.pohs](https://evil.example)", '"\u202egro.pohs" @(evil.example)'),
    ("[](https://evil.example)", "@evil.example"),
    ("[\u00a0](https://evil.example)", "@evil.example"),
    ("[a](https://EVIL.example:8443/x)", '"a" @(evil.example:8443)'),
    ("[a](https:evil.example)", '"a" @(evil.example)'),
    (r"[a](https:\\evil.example)", '"a" @(evil.example)'),
    ("[me@shop.example](mailto:me@evil.example)", '"me@shop.example" @(me@evil.example)'),
    ("[+49 30 123](tel:+49900123)", '"+49 30 123" @(+49900123)'),
]
REFUSED = (
    "javascript:alert(1)", "JAVASCRIPT:x", "java&#x0A;script:x", r"java\script:x", "&#106;avascript:x",
    "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:x", "filesystem:x", "about:blank",
    "view-source:x", "intent://x", "chrome://settings", "ws://x.example", "/own", "own", "//x.example",
    "#part", "?query", "", "x.example", "https://", "mailto:", "https://*.example", "https://a%2ab",
)  # fmt: skip


@pytest.fixture(scope="module")
def markup(browser: Browser) -> Iterator[MarkupPage]:
    with open_markup_page(browser) as page:
        yield page


@pytest.mark.parametrize("text_and_nodes", [*WRITTEN, *NONE, *IMAGES, *BARE], ids=lambda pair: pair[0])
def test_an_address_becomes_a_link_or_stays_text(markup: MarkupPage, text_and_nodes: tuple[str, str]) -> None:
    text, nodes = text_and_nodes

    assert markup.call("render", text) == f"p({nodes})"


@pytest.mark.parametrize("text_and_inside", DISGUISED, ids=lambda pair: pair[0])
def test_a_link_shows_its_true_place(markup: MarkupPage, text_and_inside: tuple[str, str]) -> None:
    text, inside = text_and_inside

    shown = markup.call("render", text)

    assert shown.startswith("p(a[")
    assert shown.endswith(f"]({inside}))")


def test_words_that_say_the_place_are_not_followed_by_it(markup: MarkupPage) -> None:
    assert markup.call("render", "[evil.example](https://evil.example/x)").endswith('("evil.example"))')


@pytest.mark.parametrize("address", REFUSED, ids=lambda address: address[:30] or "empty")
def test_other_addresses_are_shown_as_words(markup: MarkupPage, address: str) -> None:
    assert markup.call("render", f"[go]({address})") == 'p("go")'
    assert "a[" not in markup.call("render", f"![go]({address}) <{address}>")


def test_an_address_longer_than_any_is_no_link(markup: MarkupPage) -> None:
    address = f"https://x.example/{'a' * 2000}"

    for text in (f"[go]({address})", f"<{address}>", address):
        assert "a[" not in markup.call("render", text)


def test_a_link_opens_elsewhere_and_tells_the_other_side_nothing(markup: MarkupPage) -> None:
    link = markup.call("attributes", "[a](https://evil.example)", "a")

    assert link == {
        "href": "https://evil.example/",
        "rel": "noopener noreferrer nofollow",
        "target": "_blank",
        "title": "Opens evil.example",
    }
    assert markup.call("attributes", "[a](https://evil.example)", "a > .host") == {
        "class": "host",
        "dir": "ltr",
    }


def test_the_place_keeps_its_order_whatever_direction_the_words_write_in(markup: MarkupPage) -> None:
    plain, turned = markup.call(
        "placeWidths", ["[a](https://evil.example)", "\u202e[\u202ea\u2067](https://evil.example)"]
    )

    assert turned == plain
