"""A visitor, some tabs, two processes and a model, to which anything may happen at any moment."""

import asyncio
import os
from dataclasses import dataclass, field

from chatbot import database
from tests.chat import order
from tests.chat.cast import Tab
from tests.chat.fate import Process
from tests.chat.puppet import Call, Puppet
from tests.redis_server import RedisServer

PATIENCE_S = 60.0  # for a machine that does ten other things


@dataclass(slots=True)
class Sent:
    """A message of the visitor: `is_saved` once any tab was told so."""

    text: str
    is_saved: bool = False


@dataclass(slots=True)
class House:
    """What outlives one example: the processes, the model and Redis."""

    redis: RedisServer
    puppet: Puppet
    processes: list[Process] = field(default_factory=list)
    ending: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, place: int | None = None) -> None:
        """Start a process, in the place of another."""
        process = Process(self.redis.url, self.puppet)
        await process.start()
        if place is None:
            self.processes.append(process)
        else:
            self.processes[place] = process

    async def have_ended(self) -> None:
        """Wait for the processes that are ending; each must have done so in order."""
        ending, self.ending = self.ending, []
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*ending)

    async def close(self) -> None:
        """End all processes."""
        self.ending += [asyncio.create_task(process.drain(0)) for process in self.processes]
        await self.have_ended()


class World:
    """One example: actions happen to it, then everything comes to rest and must be in order."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tabs: list[Tab | None] = [None, None, None]
        self.token: str | None = None
        self.sent: dict[str, Sent] = {}
        self.dead: list[Process] = []
        self.has_lost_text = False
        self._gone: list[Tab] = []

    async def open(self) -> None:
        """Let the visitor come."""
        tab = self.tabs[0] = await Tab(self.house.processes[0]).open()
        self.token = tab.token

    # What may happen. `which` chooses among what there is.

    async def send(self, which: int) -> None:
        """Send a message from a tab."""
        client_id = f"c-{len(self.sent)}"
        self.sent[client_id] = Sent(f"m{len(self.sent)}")
        await self._send(self._tab(which), client_id)

    async def send_again(self, which: int) -> None:
        """Send a message a second time."""
        if self.sent:
            await self._send(self._tab(which), f"c-{which % len(self.sent)}")

    async def stop(self, which: int) -> None:
        """Stop the turn that a tab shows, or one that has ended."""
        tab = self._tab(which)
        turn_id = tab.turn.id if tab.turn else self._last_turn(tab)
        if turn_id:
            await tab.say("turn.stop", turn_id=turn_id)

    async def retry(self, which: int) -> None:
        """Ask for another answer, or for one that is running."""
        tab = self._tab(which)
        turn_id = self._last_turn(tab) or (tab.turn.id if tab.turn else None)
        if turn_id:
            await tab.say("turn.retry", turn_id=turn_id)

    async def refresh(self, which: int) -> None:
        """Load a tab's page again, wherever it comes out."""
        self._tab(which)
        await self._reopen(which % len(self.tabs), which)

    async def sync(self, which: int) -> None:
        """Let a tab ask for everything."""
        await self._tab(which).say("sync")

    async def say(self, which: int) -> None:
        """Let the model say something."""
        if call := self._call(which):
            call.say(*[f"{which}.{number} " for number in range(1 + which % 3)])

    async def finish(self, which: int) -> None:
        """Let the model end: well, not well, or in the middle."""
        if call := self._call(which):
            match which % 6:
                case 0:
                    call.cut()
                case 1:
                    call.fail("server")
                case _:
                    call.say("end").finish()

    async def kill(self, which: int) -> None:
        """End a process as kill -9 does; another one takes its place, and its tabs come back."""
        place = which % 2
        process = self.house.processes[place]
        self.has_lost_text = True
        await process.kill()
        self.dead.append(process)
        await self.house.start(place)
        await self._bring_back(process, which)

    async def drain(self, which: int) -> None:
        """Let a process end in order; another one takes its place, and its tabs come back."""
        place = which % 2
        process = self.house.processes[place]
        process.thaw()
        await self.house.start(place)
        self.house.ending.append(asyncio.create_task(process.drain(0)))
        await self._bring_back(process, which)

    async def freeze(self, which: int) -> None:
        """Let a process stand still."""
        self.has_lost_text = True
        self.house.processes[which % 2].freeze()

    async def thaw(self, which: int) -> None:
        """Let it go on."""
        self.house.processes[which % 2].thaw()

    async def pass_time(self, which: int) -> None:
        """Let so much time pass that who does not beat counts as dead."""
        for process in [*self.dead, *self.house.processes]:
            if not process.fate.runs.is_set() or process.fate.is_dead:
                await process.is_missed()

    async def lose_redis(self, which: int) -> None:
        """Let nobody reach Redis."""
        if self.house.redis.socket.exists():
            for kind in ("normal", "pubsub"):
                self.house.redis.command("CLIENT", "KILL", "TYPE", kind)
            os.rename(self.house.redis.socket, self._hidden)

    async def find_redis(self, which: int) -> None:
        """Let it be reached again; now and then it has forgotten everything."""
        if not self.house.redis.socket.exists():
            os.rename(self._hidden, self.house.redis.socket)
        if which % 2:
            self.house.redis.command("FLUSHALL")

    async def wait(self, which: int) -> None:
        """Let what is under way go on."""
        await asyncio.sleep(0.004 * (which % 4))

    # Helpers of the actions

    @property
    def _hidden(self) -> str:
        return f"{self.house.redis.socket}.away"

    def _tab(self, which: int) -> Tab:
        there = [tab for tab in self.tabs if tab is not None]
        return there[which % len(there)]

    def _calls(self) -> list[Call]:
        return [call for call in self.house.puppet.calls if not call.is_closed and not call.has_ended]

    def _call(self, which: int) -> Call | None:
        """Return the newest request, now and then the oldest one, that waits for words."""
        calls = self._calls()
        return calls[0 if which > 8 else -1] if calls else None

    def _last_turn(self, tab: Tab) -> str | None:
        answers = tab.view.answers
        return answers[-1]["turn_id"] if answers else None

    async def _send(self, tab: Tab, client_id: str) -> None:
        await tab.say("message.send", id=client_id, text=self.sent[client_id].text)

    async def _reopen(self, number: int, which: int) -> None:
        old = self.tabs[number]
        tab = self.tabs[number] = Tab(self.house.processes[which % 2])
        hello = {"conversation_id": old.conversation_id} if old and old.conversation_id else {}
        if old is not None:
            self._leave(old)
        await tab.connect()
        await tab.say("hello", token=self.token, **hello)

    def _leave(self, tab: Tab) -> None:
        self._note_saved(tab)
        self._gone.append(tab)
        tab.cut()

    async def _bring_back(self, process: Process, which: int) -> None:
        for number, tab in enumerate(self.tabs):
            if tab is not None and tab.process is process:
                await self._reopen(number, which)

    def _note_saved(self, tab: Tab) -> None:
        for frame in tab.seen("message.saved"):
            self.sent[frame["id"]].is_saved = True

    # Coming to rest

    async def come_to_rest(self) -> None:
        """Let everything get well again, every answer come to its end, and every tab show it."""
        await self.find_redis(0)
        for process in self.house.processes:
            process.thaw()
        await self._until_at_rest()
        for tab in self._open_tabs:
            await tab.pong()
        await self._until_at_rest()  # also after what was asked for last
        await self.house.have_ended()

    async def _until_at_rest(self) -> None:
        unrest: list[object] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while unrest := await self._unrest():
                    for call in self._calls():
                        call.say("end").finish()
                    for process in self.dead:
                        await process.is_missed()
                    await self._send_unsaved()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(unrest) from None

    async def _unrest(self) -> list[object]:
        """Return what is not done yet, and the tabs that do not show what is stored."""
        self._note_all_saved()
        found: list[object] = [each for each in self.sent.values() if not each.is_saved]
        found += await database.run(order.unrest, self.visitor_id)
        for tab in self._open_tabs:
            stored = await database.run(order.stored, tab.conversation_id)
            if not tab.seen("ready") or (tab.shown, tab.turn, tab.view.is_behind) != (stored, None, False):
                found.append((tab.shown, tab.turn, stored, tab.frames[-8:]))
        return found

    async def _send_unsaved(self) -> None:
        """Send what was not acknowledged again, as a page does, but let a running answer end first."""
        self._note_all_saved()
        tab = self._tab(0)
        for client_id, sent in self.sent.items():
            if not sent.is_saved and not self._calls():
                await self._send(tab, client_id)
                await tab.until(lambda client_id=client_id: bool(tab.seen("message.saved", id=client_id)))  # type: ignore[misc]

    def _note_all_saved(self) -> None:
        for tab in self._open_tabs:
            self._note_saved(tab)

    @property
    def _open_tabs(self) -> list[Tab]:
        return [tab for tab in self.tabs if tab is not None]

    @property
    def visitor_id(self) -> str:
        """Who it is about."""
        assert self.token is not None
        return self.token.partition(":")[0]

    async def close(self) -> None:
        """Close all tabs, and forget what the model said."""
        for tab in self._open_tabs:
            tab.cut()
        self.house.puppet.calls.clear()

    # What must be so then

    async def check(self) -> None:
        """Hold every invariant."""
        sent = {client_id: each.text for client_id, each in self.sent.items()}
        said = [(call.question, call.said) for call in self.house.puppet.calls]
        await database.run(order.check, self.visitor_id, sent, said)
        for tab in [*self._gone, *self._open_tabs]:
            assert not tab.seen("error", code="internal"), tab.frames
            assert tab.gaps <= order.moves(tab.frames), tab.frames
            assert tab.view.contradictions == [], tab.frames
            if not self.has_lost_text:
                assert tab.view.taken_back == [], tab.frames
        for tab in self._open_tabs:
            assert tab.close_code is None, tab.frames
