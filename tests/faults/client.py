"""A visitor's client on a real socket: it comes back by itself, and sends again what was not answered."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.faults.shown import Frame, Shown
from tests.faults.waiting import PATIENCE_S
from tests.faults.web import Address

COME_BACK_S = 0.05


class Client:
    """One tab. It connects to the first of `addresses`, and after each loss to the next one.

    `frames` holds all that came but deltas, `unanswered` the messages that were not acknowledged,
    `closes` the codes of the sockets that the server closed (1006 for one that just ended).
    """

    def __init__(self, *addresses: Address, like: "Client | None" = None) -> None:
        """With `like` it is another tab of the same visitor, on the same conversation."""
        self.shown: Shown = Shown(like.shown.conversation_id if like else None)
        self.token: str | None = like.token if like else None
        self.frames: list[Frame] = []
        self.unanswered: dict[str, str] = {}
        self.closes: list[int] = []
        self.moves_when_told = True
        self.receive_buffer_bytes: int | None = None
        self._addresses = list(addresses)
        self._session: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._is_greeting = True
        self._news = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()

    # The socket

    async def open(self) -> "Client":
        """Connect, wait until everything is shown, and stay connected until `leave`."""
        self._keeping = asyncio.create_task(self._keep())
        await self.ready()
        return self

    async def _keep(self) -> None:
        while True:
            self._session = asyncio.create_task(self._converse(self._addresses[0]))
            await asyncio.wait([self._session])
            if not self._session.cancelled():
                self._session.result()
                await asyncio.sleep(COME_BACK_S)
            self._addresses.append(self._addresses.pop(0))

    async def _converse(self, address: Address) -> None:
        try:
            endpoint = address.endpoint(receive_buffer_bytes=self.receive_buffer_bytes)
            async with connect(
                address.url,
                sock=endpoint,
                open_timeout=PATIENCE_S,
                close_timeout=1,
                ping_interval=None,
                compression=None,
                max_size=None,
                proxy=None,
            ) as self._socket:
                await self._hello()
                while True:
                    await self._reading.wait()
                    await self._hear(orjson.loads(await self._socket.recv()))
        except ConnectionClosed as end:
            self.closes.append(end.rcvd.code if end.rcvd else 1006)
        except (OSError, InvalidHandshake):
            self.closes.append(1006)
        finally:
            self._is_greeting = True
            self._news.set()

    async def _hello(self) -> None:
        known = {"token": self.token, "conversation_id": self.shown.conversation_id}
        await self.say("hello", **{name: value for name, value in known.items() if value is not None})

    async def _hear(self, frame: Frame) -> None:
        kind = frame["type"]
        assert frame.get("code") != "internal", frame
        if kind != "turn.delta":
            self.frames.append(frame)
        if kind == "message.saved":
            self.unanswered.pop(frame["id"], None)
        if self.shown.take(frame):
            await self.say("sync")
        if kind == "ready":
            self.token = frame["visitor"]["token"]
        if kind == "ready" and self._is_greeting:
            self._is_greeting = False
            for client_id, text in list(self.unanswered.items()):
                await self.say("message.send", id=client_id, text=text)
        elif kind == "draining" and self.moves_when_told:
            asyncio.get_running_loop().call_later(
                frame["reconnect_after_ms"] / 1000, self._move_on, self._session
            )
        self._news.set()

    def cut(self) -> None:
        """Lose the socket without a word and connect again, to the next address."""
        self._is_greeting = True
        if self._socket is not None:
            self._socket.transport.abort()
        if self._session is not None:
            self._session.cancel()

    def _move_on(self, session: "asyncio.Task[None] | None") -> None:
        if session is self._session:
            self.cut()

    def read_no_more(self) -> None:
        """Leave everything from now on in the buffers on the way here."""
        self._reading.clear()

    def read_again(self) -> None:
        """Go on reading."""
        self._reading.set()

    async def leave(self) -> None:
        """Be gone for good. Raises what went wrong here and no test has heard of yet."""
        tasks = [task for task in (self._keeping, self._session) if task is not None]
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception):
                raise found

    # What a visitor does

    async def say(self, kind: str, **fields: object) -> None:
        """Send a frame if there is a socket to send it into."""
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(orjson.dumps({"type": kind, **fields}).decode())

    async def send(self, text: str, client_id: str | None = None) -> str:
        """Send a message, again if it has an id, and return our id of it.

        Until it is acknowledged it is sent again after each loss of the socket.
        """
        client_id = client_id or str(uuid.uuid4())
        self.unanswered[client_id] = text
        await self.say("message.send", id=client_id, text=text)
        return client_id

    # What a test waits for

    async def until(self, what: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait until something is so, as frames come."""
        async with asyncio.timeout(within_s):
            while not what():
                if self._keeping is not None and self._keeping.done():
                    self._keeping.result()
                self._news.clear()
                await self._news.wait()

    async def ready(self) -> None:
        """Wait until there is a socket and everything is shown."""
        await self.until(lambda: not self._is_greeting)

    async def back(self, *, losses: int = 1) -> None:
        """Wait until the server has ended so many sockets and everything is shown again."""
        await self.until(lambda: len(self.closes) >= losses and not self._is_greeting)

    async def saved(self) -> None:
        """Wait until all that was sent is acknowledged."""
        await self.until(lambda: not self.unanswered)

    async def asked(self, text: str) -> str:
        """Send a message, wait until its answer has begun to be written, and return its turn's id."""
        known = len(self.seen("turn.started"))
        await self.send(text)
        await self.until(lambda: len(self.seen("turn.started")) > known)
        return str(self.seen("turn.started")[-1]["turn_id"])

    async def shows(self, length: int) -> None:
        """Wait until the running answer is at least this long."""
        await self.until(lambda: self.shown.turn is not None and len(self.shown.turn.text) >= length)

    async def ended(self, turn_id: str) -> Frame:
        """Wait until the end of a turn is shown, and return its message."""
        await self.until(lambda: self.shown.answer_to(turn_id) is not None)
        answer = self.shown.answer_to(turn_id)
        assert answer is not None
        return answer

    def seen(self, kind: str, **fields: object) -> list[Frame]:
        """Return the frames of this kind with these fields."""
        return [
            frame
            for frame in self.frames
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items())
        ]
