"""How a browser tab speaks to each subject: the anchors' few frames, or the product's (version 1)."""

import asyncio
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tests.bench.accounting import Answer
from tests.bench.script import now_us
from tests.bench.websocket import WebSocket, connect

Dialect = Literal["anchor", "product"]
REPLY_S = 30


@dataclass(frozen=True, slots=True)
class Place:
    """Whose conversation a tab opens; without one it is a new visitor's first."""

    token: str | None = None
    conversation_id: str | None = None


class Tab(ABC):
    """One socket that asks one question at a time. `trouble` collects what should not happen."""

    socket: WebSocket

    def __init__(self) -> None:
        self.trouble: list[str] = []
        self.answer = Answer()
        self.place = Place()
        self._finished: asyncio.Future[None] | None = None
        self._replied: asyncio.Future[None] | None = None

    async def open(self, url: str, place: Place) -> None:
        """Connect, and wait until questions are welcome."""
        self.socket = await connect(url, self._on_text)

    def begin(self, question: str) -> "asyncio.Future[None]":
        """Send a question; the future is done when its answer is whole."""
        self._finished = asyncio.get_running_loop().create_future()
        self.answer = Answer(asked_us=now_us())
        self.socket.send(orjson.dumps(self._ask(question)))
        return self._finished

    async def ping(self) -> None:
        """Wait for a sign of life; raises TimeoutError without one."""
        await self._request({"type": "ping"})

    async def _request(self, frame: dict[str, Any]) -> None:
        self._replied = asyncio.get_running_loop().create_future()
        self.socket.send(orjson.dumps(frame))
        await asyncio.wait_for(self._replied, REPLY_S)

    def _on_text(self, payload: bytes, received_us: int) -> None:
        self._take(orjson.loads(payload), received_us)

    @abstractmethod
    def _ask(self, question: str) -> dict[str, Any]:
        """Return the frame that asks this."""

    @abstractmethod
    def _take(self, frame: dict[str, Any], received_us: int) -> None:
        """Read a frame that came."""

    def _reply(self) -> None:
        if self._replied is not None and not self._replied.done():
            self._replied.set_result(None)

    def _finish(self, text: str, status: str) -> None:
        self.answer.final, self.answer.status = text, status
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)


class AnchorTab(Tab):
    """`ask` is answered by `delta` frames and `done`."""

    def _ask(self, question: str) -> dict[str, Any]:
        return {"type": "ask", "text": question}

    def _take(self, frame: dict[str, Any], received_us: int) -> None:
        match frame["type"]:
            case "delta":
                self.answer.add(self.answer.length, frame["text"], received_us)
            case "done":
                self._finish(self.answer.text, "completed")
            case "pong":
                self._reply()
            case other:
                self.trouble.append(f"unexpected frame {other}")


class ProductTab(Tab):
    """A visitor's tab, as the page would be: what it shows follows `at` and every snapshot."""

    async def open(self, url: str, place: Place) -> None:
        """Connect, say hello and wait for `ready`."""
        await super().open(url, place)
        hello = {"type": "hello", "token": place.token, "conversation_id": place.conversation_id}
        await self._request({name: value for name, value in hello.items() if value is not None})

    def _ask(self, question: str) -> dict[str, Any]:
        return {"type": "message.send", "id": str(uuid.uuid4()), "text": question}

    def _take(self, frame: dict[str, Any], received_us: int) -> None:
        match frame["type"]:
            case "turn.delta":
                self.answer.add(frame["at"], frame["text"], received_us)
            case "turn.finished":
                message = frame["message"]
                if frame["status"] != "completed":
                    self.trouble.append(f"turn {frame['status']}")
                self._finish(message["text"], frame["status"])
            case "message.saved":
                self.place = Place(self.place.token, frame["conversation"]["id"])
            case "ready":
                conversation = frame["conversation"]
                self.place = Place(frame["visitor"]["token"], conversation and conversation["id"])
                if frame["turn"] is not None:
                    self.answer.replace(frame["turn"]["text"], received_us)
                self._reply()
            case "pong":
                self._reply()
            case "turn.started":
                pass
            case "error":
                self.trouble.append(f"error {frame['code']}: {frame.get('text')}")
                if self._finished is not None and not self._finished.done():
                    self._finished.set_result(None)
            case other:
                self.trouble.append(f"unexpected frame {other}")


TABS: dict[Dialect, type[Tab]] = {"anchor": AnchorTab, "product": ProductTab}
