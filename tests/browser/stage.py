"""The server the page is tried against: serves the page, and lets a test speak the socket by hand.

A test takes each socket as a `Line`, hears what the page sends and says what the server would. Pings
and questions for the list of conversations are answered by themselves, unless a test wants to.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import WSMsgType, web
from django.test import Client, override_settings

from chatbot import assets

PATIENCE_S = 10.0
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
Frame = dict[str, Any]


class Line:
    """One socket of the page, from the server's side."""

    def __init__(self, stage: "Stage", socket: web.WebSocketResponse, request: web.Request) -> None:
        self._stage = stage
        self._socket = socket
        self._request = request
        self._frames: queue.Queue[Frame] = queue.Queue()
        self.is_mute = False
        """Whether pings stay without an answer."""
        self.closed = threading.Event()

    def hear(self, kind: str) -> Frame:
        """Return the next frame, which has to be of this type."""
        frame = self._frames.get(timeout=PATIENCE_S)
        assert frame["type"] == kind, f"waited for {kind}, heard {frame}"
        return frame

    def hears_nothing(self) -> bool:
        """Whether nothing was sent that the test has not heard."""
        return self._frames.empty()

    def say(self, *frames: Frame) -> None:
        """Send frames to the page."""
        for frame in frames:
            self._stage.run(self._socket.send_str(orjson.dumps(frame).decode()))

    def close(self, code: int) -> None:
        """Close in good order. The page's answer is not waited for."""
        self._stage.call(lambda: asyncio.ensure_future(self._socket.close(code=code)))

    def cut(self) -> None:
        """Cut the connection, as a dead process or network does."""
        transport = self._request.transport
        assert transport is not None
        self._stage.call(transport.abort)

    def take(self, frame: Frame) -> list[Frame]:
        """Note a frame of the page and return what is answered by itself."""
        if frame["type"] == "ping":
            return [] if self.is_mute else [{"type": "pong"}]
        if frame["type"] == "conversations.list" and self._stage.lists is not None:
            return [self._stage.listed(frame)]
        self._frames.put(frame)
        return []


@dataclass
class Stage:
    """The server. `lists` are the visitor's conversations; None leaves that question to the test."""

    urlconf: str = "tests.browser.page_urls"
    lists: list[Frame] | None = field(default_factory=list)
    is_open: bool = True
    """Whether sockets are let in."""
    origin: str = ""

    def __post_init__(self) -> None:
        self._lines: queue.Queue[Line] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._settings = override_settings(
            ROOT_URLCONF=self.urlconf, ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"]
        )
        self._settings.enable()
        self.run(self._start())

    def line(self) -> Line:
        """Return the next socket the page opened."""
        return self._lines.get(timeout=PATIENCE_S)

    def has_no_line(self) -> bool:
        """Whether every socket that was opened has been taken."""
        return self._lines.empty()

    def listed(self, frame: Frame) -> Frame:
        """Answer a question for the list of conversations, 20 a page."""
        query = (frame.get("query") or "").casefold()
        found = [item for item in self.lists or [] if query in item["title"].casefold()]
        ids = [item["id"] for item in found]
        start = ids.index(frame["before"]) + 1 if frame.get("before") else 0
        return {
            "type": "conversations",
            "items": found[start : start + 20],
            "more": len(found) > start + 20,
        }

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def call(self, function: Callable[[], Any]) -> None:
        """Call something in the server's loop."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End the server."""
        self.run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self._settings.disable()

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_get("/ws/chat/", self._socket)
        application.router.add_get("/static/{path:.+}", _static)
        application.router.add_route("*", "/{path:.*}", _django)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self.is_open:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        line = Line(self, socket, request)
        self._lines.put(line)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                for answer in line.take(orjson.loads(message.data)):
                    await socket.send_str(orjson.dumps(answer).decode())
        line.closed.set()
        return socket


async def _static(request: web.Request) -> web.StreamResponse:
    name = assets.VERSIONED.sub("", request.match_info["path"])
    path = assets.files().get(name) or Path("missing")
    if not path.exists():
        return web.Response(status=404)
    return web.Response(body=path.read_bytes(), content_type=TYPES.get(path.suffix, "text/plain"))


async def _django(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    return await asyncio.to_thread(_answer, request, body)


def _answer(request: web.Request, body: bytes) -> web.Response:
    client = Client(raise_request_exception=True)
    client.cookies.load(request.headers.get("Cookie", ""))
    passed = {name: value for name, value in request.headers.items() if name != "Cookie"}
    given = client.generic(
        request.method,
        request.path_qs,
        body,
        content_type=request.content_type,
        headers=passed,
    )
    answer = web.Response(body=given.content, status=given.status_code)
    for name, value in given.headers.items():
        answer.headers[name] = value
    for morsel in given.cookies.values():
        answer.headers.add("Set-Cookie", morsel.OutputString())
    return answer
