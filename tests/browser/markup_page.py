"""A bare page that holds messages and a composer, for the tests of `markup.js`. There is no server: the
browser's requests for our own host are answered from `static/`, all others are noted and refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Dialog, Page, Route

FOLDERS = {"static": Path(__file__).parents[2] / "static", "tests": Path(__file__).parent / "scripts"}
ORIGIN = "http://localhost"
HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Messages</title>
<link rel="icon" href="data:,">
<style>#composer { position: fixed; inset: auto 0 0; background: white; }</style>
<body><main id="messages"></main>
<form id="composer"><textarea aria-label="Message"></textarea></form>
<script type="module" src="/tests/markup_page.js"></script>"""
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class MarkupPage:
    """The open page and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.foreign: list[str] = []
        """Addresses that were asked for and are not ours."""
        self.surprises: list[str] = []
        """Errors, dialogs, new windows, navigations and requests of our own host that nobody here makes."""
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of `scripts/markup_page.js`."""
        return self.page.evaluate(
            "([name, args]) => window.markupTests[name](...args)", [function, arguments]
        )

    def cpu_ms(self, function: str, *arguments: Any) -> float:
        """Call a function and return what it took of the page's thread: other load does not count."""
        before = self._thread_s()
        self.call(function, *arguments)
        return (self._thread_s() - before) * 1000

    def _thread_s(self) -> float:
        metrics = self._devtools.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "ThreadTime"))

    def dismiss(self, dialog: Dialog) -> None:
        self.surprises.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def idle(self, seconds: float) -> None:
        """Let the page be, so that what it started late comes to light."""
        started = self.page.evaluate("performance.now()")
        self.page.wait_for_function(
            "([started, ms]) => performance.now() - started > ms", arg=[started, seconds * 1000]
        )

    def answer(self, route: Route) -> None:
        """Serve what is ours, and refuse and note everything else."""
        address = route.request.url
        if not address.startswith(ORIGIN + "/"):
            self.foreign.append(address)
            route.abort()
            return
        path = address.removeprefix(ORIGIN)
        folder, _, name = path.removeprefix("/").partition("/")
        if path == "/":
            route.fulfill(body=HTML, content_type="text/html; charset=utf-8")
        elif folder in FOLDERS:
            file = FOLDERS[folder] / name
            route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        else:
            self.surprises.append(f"request: {path}")
            route.fulfill(status=404)


@contextmanager
def open_markup_page(browser: Browser) -> Iterator[MarkupPage]:
    """Open the page in a context of its own; the block gets it once its script has run."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    context.add_init_script("window.__xssRan = (...what) => (window.__ran ??= []).push(what.join());")
    page = context.new_page()
    ours = MarkupPage(page)
    context.route("**/*", ours.answer)
    page.on("pageerror", lambda error: ours.surprises.append(f"error: {error}"))
    page.on("dialog", ours.dismiss)
    page.goto(ORIGIN + "/")
    page.wait_for_function("window.markupTests")
    context.on("page", lambda opened: ours.surprises.append(f"new window: {opened.url}"))
    page.on("framenavigated", lambda frame: ours.surprises.append(f"navigation: {frame.url}"))
    try:
        yield ours
    finally:
        context.close()
