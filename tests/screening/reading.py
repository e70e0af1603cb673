"""What a reader sees of a page."""

import re
from html import unescape
from typing import Protocol


class Page(Protocol):
    """What the test client answers."""

    @property
    def content(self) -> bytes: ...


def text_of(page: Page) -> str:
    """Return a page's text on one line."""
    whole = page.content.decode()
    body = whole.partition("<main")[2] or whole
    without_tags = re.sub(r"<(svg|script|style|select)\b.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL)
    return " ".join(unescape(without_tags).split())


def marked(page: Page) -> list[str]:
    """Return what is marked as found."""
    return [
        unescape(each) for each in re.findall(r'<mark class="hit"[^>]*>(.*?)</mark>', page.content.decode())
    ]
