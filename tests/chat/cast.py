"""Visitors and their tabs, and processes for them to talk to."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from channels.testing import WebsocketCommunicator

from chatbot.providers.base import Target
from chatbot.providers.fallback import Route, Step, WeightedTarget
from chatbot.providers.scripted import Prompter, Scripted
from chatbot.state import State
from conversations.routes import Routes
from conversations.runner import Runner
from conversations.sockets.chat import ChatConsumer

Frame = dict[str, Any]
PATIENCE_S = 10.0


class FixedRoutes(Routes):
    """One route to one scripted model."""

    def __init__(self, provider: Scripted, **target: Any) -> None:
        options: dict[str, Any] = {"context_tokens": 8000, "max_output_tokens": 500} | target
        self.provider = provider
        self.route = Route(
            name="default",
            steps=(Step((WeightedTarget(Target(name="quick", provider=provider, model="m-1", **options)),)),),
        )

    def named(self, name: str) -> Route:
        return self.route

    async def aclose(self) -> None:
        await self.provider.aclose()


def process(redis_url: str, provider: Scripted | None = None, **target: Any) -> Runner:
    """Make one web process's runner, with a scripted model."""
    return Runner(State(redis_url), FixedRoutes(provider or Scripted(write=Prompter()), **target))


class Tab:
    """A visitor's tab: speaks the frames, and shows what DESIGN says a client shows."""

    def __init__(self, runner: Runner) -> None:
        self.socket = WebsocketCommunicator(ChatConsumer.as_asgi(carrier=runner), "/ws/chat/")
        self.frames: list[Frame] = []
        self.token: str | None = None
        self.conversation_id: str | None = None
        self.messages: dict[str, Frame] = {}
        self.turn: Frame | None = None
        self.running_text = ""
        self.gaps = 0
        self.repeats = 0
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
        while True:
            event = await self.socket.output_queue.get()
            if event["type"] == "websocket.close":
                self.close_code = event.get("code", 1000)
            else:
                frame = orjson.loads(event["text"])
                self.frames.append(frame)
                self._take(frame)
            self._news.set()
            if self.close_code is not None:
                return

    def _take(self, frame: Frame) -> None:
        match frame["type"]:
            case "ready":
                self.token = frame["visitor"]["token"]
                self.conversation_id = frame["conversation"] and frame["conversation"]["id"]
                self.messages = {each["id"]: each for each in frame["messages"]}
                self.turn = frame["turn"]
                self.running_text = frame["turn"]["text"] if frame["turn"] else ""
            case "message.saved":
                self.conversation_id = frame["conversation"]["id"]
                self.messages[frame["message"]["id"]] = frame["message"]
            case "message.added" | "message.changed":
                self.messages[frame["message"]["id"]] = frame["message"]
            case "turn.started":
                self.turn = {"id": frame["turn_id"], "message_id": frame["message_id"]}
                self.running_text = ""
            case "turn.delta":
                self._append(frame)
            case "turn.finished":
                self.messages[frame["message"]["id"]] = frame["message"]
                self.turn = None

    def _append(self, frame: Frame) -> None:
        length = len(self.running_text)
        if frame["at"] > length:
            self.gaps += 1
        elif frame["at"] < length:
            self.repeats += 1
            self.running_text += frame["text"][length - frame["at"] :]
        else:
            self.running_text += frame["text"]

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        await self.socket.send_to(text_data=orjson.dumps({"type": kind, **fields}).decode())

    async def send(self, text: str, client_id: str) -> Frame:
        """Send a message and wait until it is saved."""
        await self.say("message.send", id=client_id, text=text)
        return await self.see("message.saved", id=client_id)

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                self._news.clear()
                await self._news.wait()

    async def see(self, kind: str, **fields: Any) -> Frame:
        """Wait for a frame of this kind with these fields, also an earlier one, and return the last such."""
        await self.until(lambda: bool(self.seen(kind, **fields)))
        return self.seen(kind, **fields)[-1]

    def seen(self, kind: str, **fields: Any) -> list[Frame]:
        """Return the frames of this kind with these fields."""
        return [
            frame
            for frame in self.frames
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items())
        ]

    async def ask(self, text: str, client_id: str = "c-1") -> Frame:
        """Send a message, wait until its turn has ended, and return the answer."""
        known = len(self.seen("turn.finished"))
        await self.send(text, client_id)
        await self.until(lambda: len(self.seen("turn.finished")) > known)
        answer: Frame = self.seen("turn.finished")[-1]["message"]
        return answer

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        """Everything the tab shows, in order: (role, status, text)."""
        ordered = sorted(self.messages.values(), key=lambda each: each["position"])
        return [(each["role"], each["status"], each["text"]) for each in ordered]

    async def close(self) -> None:
        """Leave."""
        if self._reader is not None:
            self._reader.cancel()
        await self.socket.disconnect(code=1001, timeout=PATIENCE_S)
