"""A visitor's browser tab, which notes everything a page of ours may not do."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

LOST_CONNECTION = r"WebSocket connection to '.*' failed|ERR_INTERNET_DISCONNECTED"


@dataclass
class Watch:
    """Notes errors and warnings on the console (a breach of the policy is one), and foreign requests."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Let pass what the test brings about, such as LOST_CONNECTION."""
        self.allowed.append(pattern)

    def unexpected(self) -> list[str]:
        """Return the complaints that no test has asked for."""
        return [each for each in self.complaints if not any(re.search(one, each) for one in self.allowed)]

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))
        context.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if (
            not request.url.startswith(("data:", "blob:"))
            and urlsplit(request.url).netloc != urlsplit(self.origin).netloc
        ):
            self.complaints.append(f"foreign request: {request.url}")


class Visitors:
    """Opens tabs. Those of one visitor share their storage."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.watch = Watch(origin)

    def arrive(
        self,
        path: str = "/",
        *,
        locale: str = "en-GB",
        size: tuple[int, int] = (1280, 860),
        dark: bool = False,
        touch: bool = False,
        **options: Any,
    ) -> Page:
        """Open the page in a browser of its own. `options` go to Playwright's `new_context`."""
        context = self._browser.new_context(
            base_url=self.watch.origin,
            locale=locale,
            timezone_id="Europe/Oslo",
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            is_mobile=touch,
            **options,
        )
        self._contexts.append(context)
        self.watch.over(context)
        page = context.new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        """Close all tabs."""
        for context in self._contexts:
            context.close()
