"""Running answers and who is watching: the tabs of this process, and notices to the other processes.

A delta goes to the tabs of this process at once, and into the turn's stream in Redis every
FLUSH_S (the first words sooner), where other processes read it. Between processes go facts only
("turn X finished"); who hears one reads the rest from the database. A lost notice is repaired by the
runner's poll.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import orjson
import structlog

from chatbot.state import State
from conversations.events import Draining, Event, MessageSaved, TurnDelta
from conversations.frames import outgoing

log = structlog.get_logger(__name__)

FLUSH_S = 0.2
FIRST_FLUSH_S = 0.02  # else a death would leave nothing of what was seen; many answers have ended by then
_AGAIN_S = 1.0
_STREAM_RUNNING_S = 3600  # how long Redis keeps a running answer that nobody ends
_STREAM_ENDED_S = 120
_MAX_ENDED = 1000  # ended turns to be remembered, longer than anything read before their end is in use

# A notice's words: what happened, and to which turn or message.
Heard = Callable[[str, str, str], Awaitable[None]]


class Tab(Protocol):
    """A socket that shows a conversation."""

    @property
    def locale(self) -> str: ...

    async def deliver(self, event: Event, frame: str) -> None:
        """Send a frame to this tab, or hold it back while it is being told everything anew."""
        ...

    async def refresh(self) -> None:
        """Tell this tab everything anew."""
        ...

    async def saved(self, event: MessageSaved) -> None:
        """Tell this tab that its message is stored; it shows that conversation from now on."""
        ...

    async def drain(self, event: Draining) -> None:
        """Tell this tab to come back elsewhere."""
        ...

    async def leave(self, code: int) -> None:
        """Close this tab's socket."""
        ...


class Answer:
    """What has been shown so far of one turn's answer. `length` counts code points."""

    __slots__ = ("_pieces", "conversation_id", "length", "position", "turn_id")

    def __init__(self, turn_id: str, conversation_id: str) -> None:
        self.turn_id = turn_id
        self.conversation_id = conversation_id
        self.position: int | None = None
        self.length = 0
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """The text shown so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def append(self, text: str) -> TurnDelta:
        """Add a piece and return it as the event that shows it."""
        delta = TurnDelta(self.turn_id, self.length, text, self.position if self.length == 0 else None)
        self._pieces.append(text)
        self.length += len(text)
        return delta


class LocalAnswer(Answer):
    """An answer this process is writing."""

    __slots__ = ("_flush_timer", "_flushed", "_live")

    def __init__(self, live: "Live", turn_id: str, conversation_id: str) -> None:
        super().__init__(turn_id, conversation_id)
        self._live = live
        self._flushed = 0
        self._flush_timer: asyncio.TimerHandle | None = None

    async def show(self, text: str) -> None:
        """Show a piece to everybody who watches."""
        delta = self.append(text)
        if self._flush_timer is None:
            wait_s = FLUSH_S if self._flushed else FIRST_FLUSH_S
            self._flush_timer = asyncio.get_running_loop().call_later(wait_s, self.flush)
        await self._live.tell(self.conversation_id, delta)

    def flush(self) -> None:
        """Send what the stream in Redis does not have yet."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._flushed == self.length:
            return
        self._live.write(self, self._flushed, then=self._written)
        self._flushed = self.length

    def end(self) -> bool:
        """Flush no more: the database has the text. Return whether there is anything in the stream."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        return self._flushed > 0

    def _written(self, entry: object) -> None:
        """Write everything again if the stream has gone, or a part of it never came there (None)."""
        if entry is None:
            self._flushed = 0
            if self._flush_timer is None and self._live.is_writing(self):
                wait_s = _AGAIN_S if self._live.is_away else FLUSH_S
                self._flush_timer = asyncio.get_running_loop().call_later(wait_s, self.flush)


class Live:
    """One process's part in the live answers."""

    def __init__(self, state: State, process: str, heard: Heard) -> None:
        self._state = state
        self._process = process
        self._heard = heard
        self._tabs: dict[str, set[Tab]] = {}
        self._everyone: set[Tab] = set()
        self._writing: dict[str, LocalAnswer] = {}
        self._written_in: set[str] = set()  # conversations: each has one running turn at most
        self._following: dict[str, Answer] = {}
        self._ended: deque[str] = deque(maxlen=_MAX_ENDED)
        self._listener = state.listener(self._hear, self.refresh_everyone)
        self._reader = state.reader(self._read)

    # Tabs

    def enter(self, tab: Tab) -> None:
        """A socket has come."""
        self._everyone.add(tab)

    def exit(self, tab: Tab) -> None:
        """A socket has gone."""
        self._everyone.discard(tab)

    async def watch(self, conversation_id: str, tab: Tab) -> None:
        """This tab shows the conversation from now on."""
        tabs = self._tabs.setdefault(conversation_id, set())
        tabs.add(tab)
        if len(tabs) == 1 and conversation_id not in self._written_in:
            await self._listener.join(conversation_id)

    async def unwatch(self, conversation_id: str, tab: Tab) -> None:
        """This tab no longer shows the conversation."""
        tabs = self._tabs.get(conversation_id)
        if tabs is None:
            return
        tabs.discard(tab)
        if not tabs:
            del self._tabs[conversation_id]
            for answer in [
                each for each in self._following.values() if each.conversation_id == conversation_id
            ]:
                self.unfollow(answer.turn_id)
            await self._leave_if_idle(conversation_id)

    def is_watched(self, conversation_id: str) -> bool:
        """Say whether a tab of this process shows the conversation."""
        return conversation_id in self._tabs

    @property
    def tabs(self) -> frozenset[Tab]:
        """All sockets of this process."""
        return frozenset(self._everyone)

    async def tell(self, conversation_id: str, event: Event, *, but: Tab | None = None) -> None:
        """Send an event to the tabs of this process that show the conversation."""
        tabs = self._tabs.get(conversation_id)
        if not tabs:
            return
        rendered: dict[str, str] = {}
        for tab in tuple(tabs):
            if tab is but:
                continue
            frame = rendered.get(tab.locale)
            if frame is None:
                frame = rendered[tab.locale] = outgoing.render(event, tab.locale)
            await self._deliver(tab, event, frame)

    async def _deliver(self, tab: Tab, event: Event, frame: str) -> None:
        try:
            await tab.deliver(event, frame)
        except Exception:  # one tab's trouble is not the others'
            log.exception("tab failed")
            self.exit(tab)

    async def refresh(self, conversation_id: str) -> None:
        """Tell the conversation's tabs everything anew."""
        for tab in tuple(self._tabs.get(conversation_id, ())):
            await tab.refresh()

    async def refresh_everyone(self) -> None:
        """Tell every tab everything anew, and Redis what is being written: it was away."""
        for answer in self._writing.values():
            answer.flush()
        for tab in self.tabs:
            await tab.refresh()

    # Facts between processes

    def announce(self, conversation_id: str, what: str, which: str) -> None:
        """Tell the other processes that something happened to a turn or message."""
        self._state.notify(conversation_id, notice(self._process, what, which))

    def announce_to_all(self, what: str, which: str) -> None:
        """Tell every process."""
        self._state.notify("all", notice(self._process, what, which))

    async def _hear(self, channel: str, notice: bytes) -> None:
        try:
            process, what, which = orjson.loads(notice)
        except ValueError:
            log.warning("unreadable notice")
            return
        if process != self._process:
            await self._heard(channel, what, which)

    # Answers written here

    async def begin(self, turn_id: str, conversation_id: str) -> LocalAnswer:
        """Begin to write an answer; hear what others say about its conversation."""
        was_heard = conversation_id in self._tabs or conversation_id in self._written_in
        answer = LocalAnswer(self, turn_id, conversation_id)
        self.unfollow(turn_id)
        self._writing[turn_id] = answer
        self._written_in.add(conversation_id)
        if not was_heard:
            await self._listener.join(conversation_id)
        return answer

    @property
    def is_away(self) -> bool:
        """Whether Redis could not be reached just now."""
        return self._state.is_away

    def write(self, answer: LocalAnswer, start: int, then: Callable[[object], None]) -> None:
        """Append the text from `start` on to the turn's stream; from 0, to a new stream.

        `then` gets the entry's id, or None when there is none now.
        """
        key = self._state.key(_stream(answer.turn_id))
        entry = ("at", start, "position", answer.position or 0, "text", answer.text[start:])
        if start == 0:
            self._state.post("DEL", key)
            self._state.post("XADD", key, "*", *entry, then=then)
            self._state.post("EXPIRE", key, _STREAM_RUNNING_S)
        else:
            self._state.post("XADD", key, "NOMKSTREAM", "*", *entry, then=then)

    def is_writing(self, answer: LocalAnswer) -> bool:
        """Say whether the answer is still being written here."""
        return self._writing.get(answer.turn_id) is answer

    async def finish(self, answer: LocalAnswer) -> None:
        """Stop writing an answer: its turn has ended, or is no longer ours."""
        has_stream = answer.end()
        if self.is_writing(answer):
            del self._writing[answer.turn_id]
            self._written_in.discard(answer.conversation_id)
            if has_stream:
                self._state.post("EXPIRE", self._state.key(_stream(answer.turn_id)), _STREAM_ENDED_S)
        await self._leave_if_idle(answer.conversation_id)

    async def _leave_if_idle(self, conversation_id: str) -> None:
        if conversation_id not in self._tabs and conversation_id not in self._written_in:
            await self._listener.leave(conversation_id)

    # Answers written elsewhere

    def shown(self, turn_id: str) -> Answer | None:
        """Return what this process knows of a running answer."""
        return self._writing.get(turn_id) or self._following.get(turn_id)

    @property
    def followed(self) -> list[Answer]:
        """The answers that other processes write and tabs of this one show."""
        return list(self._following.values())

    def follow(self, turn_id: str, conversation_id: str) -> Answer | None:
        """Show an answer that another process writes, from its beginning on.

        None if that is no news: it is written or followed here, or has ended.
        """
        if self.shown(turn_id) is not None or turn_id in self._ended:
            return None
        answer = self._following[turn_id] = Answer(turn_id, conversation_id)
        self._reader.follow(_stream(turn_id))
        return answer

    async def load(self, turn_id: str, conversation_id: str) -> None:
        """Follow an answer, and know at once what was shown of it so far."""
        if self.shown(turn_id) is not None:
            return
        entries = await self._state.read_stream(_stream(turn_id)) or ()
        answer = self.follow(turn_id, conversation_id)
        if answer is not None:  # else others have come while we read
            for fields in entries:
                _take(answer, fields)

    def note_end(self, turn_id: str) -> bool:
        """Note that a turn has ended, and follow it no longer; return whether that is news."""
        if turn_id in self._ended:
            return False
        self._ended.append(turn_id)
        self.unfollow(turn_id)
        return True

    def unfollow(self, turn_id: str) -> None:
        """Watch it no longer."""
        if self._following.pop(turn_id, None) is not None:
            self._reader.drop(_stream(turn_id))

    async def left_behind(self, turn_id: str) -> str:
        """Return what a dead process had shown of its answer, as far as it is known."""
        answer = Answer(turn_id, "")
        for fields in await self._state.read_stream(_stream(turn_id)) or ():
            _take(answer, fields)
        return answer.text

    async def _read(self, key: str, _entry: bytes, fields: Mapping[bytes, bytes]) -> None:
        answer = self._following.get(key.removeprefix(_stream("")))
        if answer is not None:
            delta = _take(answer, fields)
            if delta is not None:
                await self.tell(answer.conversation_id, delta)

    # The process

    async def run(self) -> None:
        """Listen and read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_for_ever(self._listener.run))
            group.create_task(_for_ever(self._reader.run))

    async def listens(self, limit_s: float) -> None:
        """Wait until it listens, for up to `limit_s`: Redis may be away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._listener.is_listening.wait()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._listener.aclose()
        await self._reader.aclose()


async def _for_ever(duty: Callable[[], Awaitable[None]]) -> None:
    """Do a duty again whatever ends it: without it, other processes' tabs would see nothing more."""
    while True:
        try:
            await duty()
        except Exception:
            log.exception("duty failed", duty=duty.__qualname__)
        await asyncio.sleep(_AGAIN_S)


def notice(process: str, what: str, which: str) -> bytes:
    """Return a fact as `process` tells it to the others."""
    return orjson.dumps([process, what, which])


def _stream(turn_id: str) -> str:
    return f"answer:{turn_id}"


def _take(answer: Answer, fields: Mapping[bytes, bytes]) -> TurnDelta | None:
    """Add what an entry has that is new; nothing if it begins beyond the end (a gap that will heal)."""
    at, text = int(fields[b"at"]), fields[b"text"].decode()
    if at > answer.length or at + len(text) <= answer.length:
        return None
    answer.position = int(fields[b"position"]) or None
    return answer.append(text[answer.length - at :])
