"""Visitors' tabs: they speak the frames, and show what a client shows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from channels.testing import WebsocketCommunicator

from tests.chat.fate import Process
from tests.faults.shown import Frame, Running, Shown

PATIENCE_S = 10.0


async def eventually(what: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so that nobody tells of, such as a row."""
    async with asyncio.timeout(PATIENCE_S):
        while not await what():
            await asyncio.sleep(0.01)


class Tab:
    """A visitor's tab at one process; `view` is what it shows."""

    def __init__(self, process: Process, *, address: str = "192.0.2.7") -> None:
        self.process = process
        self.socket = WebsocketCommunicator(process.serve, "/ws/chat/")
        self.socket.scope["client"] = [address, 4711]
        self.frames: list[Frame] = []
        self.token: str | None = None
        self.view = Shown()
        self.close_code: int | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def open(self, **hello: Any) -> "Tab":
        """Connect, say hello, and wait for `ready`."""
        await self.connect()
        await self.say("hello", **hello)
        await self.see("ready")
        return self

    async def connect(self) -> None:
        """Connect and read on."""
        connected, _ = await self.socket.connect(timeout=PATIENCE_S)
        assert connected
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while self.close_code is None:
            event = await self.socket.output_queue.get()
            if event["type"] == "websocket.close":
                self.close_code = event.get("code", 1000)
            else:
                frame = orjson.loads(event["text"])
                self.frames.append(frame)
                if frame["type"] == "ready":
                    self.token = frame["visitor"]["token"]
                if self.view.take(frame):
                    await self.say("sync")
            self._news.set()

    # What it shows

    @property
    def conversation_id(self) -> str | None:
        """The conversation it shows."""
        return self.view.conversation_id

    @property
    def messages(self) -> dict[str, Frame]:
        """Its messages by their ids, without the running answer."""
        return self.view.messages

    @property
    def turn(self) -> Running | None:
        """The running turn."""
        return self.view.turn

    @property
    def running_text(self) -> str:
        """What is shown of the running answer."""
        return self.turn.text if self.turn else ""

    @property
    def gaps(self) -> int:
        """How often it had to ask for everything anew."""
        return self.view.gaps

    @property
    def repeats(self) -> int:
        """How many deltas it knew already."""
        return self.view.repeats

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        """Everything the tab shows but the running answer, in order: (role, status, text)."""
        ordered = sorted(self.messages.values(), key=lambda each: each["position"])
        return [(each["role"], each["status"], each["text"]) for each in ordered]

    # What a visitor does

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        await self.tell(orjson.dumps({"type": kind, **fields}).decode())

    async def tell(self, text: str) -> None:
        """Send what may not be a frame."""
        await self.socket.send_to(text_data=text)

    async def send(self, text: str, client_id: str) -> Frame:
        """Send a message, wait until it is saved, and return it."""
        known = len(self.seen("message.saved", id=client_id))
        await self.say("message.send", id=client_id, text=text)
        await self.until(lambda: len(self.seen("message.saved", id=client_id)) > known)
        message: Frame = self.seen("message.saved", id=client_id)[-1]["message"]
        return message

    async def ask(self, text: str, client_id: str = "c-1") -> Frame:
        """Send a message, wait until its turn has ended, and return the answer."""
        known = len(self.seen("turn.finished"))
        await self.send(text, client_id)
        await self.until(lambda: len(self.seen("turn.finished")) > known)
        answer: Frame = self.seen("turn.finished")[-1]["message"]
        return answer

    async def refused(self, code: str, kind: str, **fields: Any) -> Frame:
        """Send a frame and wait for the error of this code that answers it."""
        known = len(self.seen("error", code=code))
        await self.say(kind, **fields)
        await self.until(lambda: len(self.seen("error", code=code)) > known)
        return self.seen("error", code=code)[-1]

    async def pong(self) -> None:
        """Wait until all that was sent before has been read."""
        known = len(self.seen("pong"))
        await self.say("ping")
        await self.until(lambda: len(self.seen("pong")) > known)

    # What a test waits for

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so, as frames come."""
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                self._news.clear()
                await self._news.wait()

    async def see(self, kind: str, **fields: Any) -> Frame:
        """Wait for a frame of this kind with these fields, also an earlier one, and return the last such."""
        await self.until(lambda: bool(self.seen(kind, **fields)))
        return self.seen(kind, **fields)[-1]

    async def sees(self, text: str) -> None:
        """Wait until the running answer is this text."""
        await self.until(lambda: self.running_text == text)

    async def closed(self) -> int:
        """Wait until the server closes the socket, and return its code."""
        await self.until(lambda: self.close_code is not None)
        assert self.close_code is not None
        return self.close_code

    def seen(self, kind: str, **fields: Any) -> list[Frame]:
        """Return the frames of this kind with these fields."""
        return [
            frame
            for frame in self.frames
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items())
        ]

    def kinds(self, *without: str) -> list[str]:
        """Return what kinds of frames came, in order, without some."""
        return [frame["type"] for frame in self.frames if frame["type"] not in without]

    async def close(self) -> None:
        """Leave."""
        if self._reader is not None:
            self._reader.cancel()
        await self.socket.disconnect(code=1001, timeout=PATIENCE_S)

    def cut(self) -> None:
        """Be gone without a word, as when the cable is pulled."""
        if self._reader is not None:
            self._reader.cancel()
        if self.socket.future is not None:
            self.socket.future.cancel()
