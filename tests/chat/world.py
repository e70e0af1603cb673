"""A visitor, some tabs, two processes and a model, to which anything may happen at any moment."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from chatbot import database
from conversations.models import UNFINISHED, Completion, Conversation, Message, Turn
from tests.chat.cast import Tab
from tests.chat.fate import Process
from tests.chat.puppet import Call, Puppet
from tests.redis_server import RedisServer

PATIENCE_S = 9.0  # less than lifecycle.DEAD_AFTER_S: no turn may wait to be found among the dead


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

    async def close(self) -> None:
        for process in self.processes:
            await process.drain(0)
        await asyncio.gather(*self.ending)


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
        for call in self._calls()[-1:]:
            call.say(*[f"{which}.{number} " for number in range(1 + which % 3)])

    async def finish(self, which: int) -> None:
        """Let the model end: well, not well, or in the middle."""
        for call in self._calls()[-1:]:
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
        return [call for call in self.house.puppet.calls if not call.is_closed]

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
        """Let everything get well again, and every answer come to its end."""
        await self.find_redis(0)
        for process in self.house.processes:
            process.thaw()
        for process in self.dead:
            await process.is_missed()
        async with asyncio.timeout(PATIENCE_S):
            while not await self._rests():
                for call in self._calls():
                    call.say("end").finish()
                await self._send_unsaved()
                await asyncio.sleep(0.005)
            for tab in self._open_tabs:
                while not await self._agrees(tab):
                    await asyncio.sleep(0.005)

    @property
    def _open_tabs(self) -> list[Tab]:
        return [tab for tab in self.tabs if tab is not None]

    async def _send_unsaved(self) -> None:
        """Send what was not acknowledged again, as a page does, but let a running answer end first."""
        for tab in self._open_tabs:
            self._note_saved(tab)
        tab = self._tab(0)
        for client_id, sent in self.sent.items():
            if not sent.is_saved and not any(call for call in self._calls()):
                await self._send(tab, client_id)
                await tab.until(lambda client_id=client_id: bool(tab.seen("message.saved", id=client_id)))  # type: ignore[misc]

    async def _rests(self) -> bool:
        for tab in self._open_tabs:
            self._note_saved(tab)
        return all(each.is_saved for each in self.sent.values()) and await database.run(self._has_rest)

    def _has_rest(self) -> bool:
        mine = Turn.objects.filter(visitor_id=self.visitor_id)
        if mine.filter(status__in=UNFINISHED).exists():
            return False
        return all(
            row.answered_through
            >= max(row.messages.filter(role="visitor").values_list("position", flat=True), default=0)
            for row in Conversation.objects.filter(visitor_id=self.visitor_id)
        )

    async def _agrees(self, tab: Tab) -> bool:
        stored = await database.run(_stored, tab.conversation_id)
        return tab.shown == stored and tab.turn is None and not tab.view.is_behind

    @property
    def visitor_id(self) -> str:
        assert self.token is not None
        return self.token.partition(":")[0]

    async def close(self) -> None:
        for tab in self._open_tabs:
            tab.cut()
        self.house.puppet.calls.clear()

    # What must be so then

    async def check(self) -> None:
        """Hold every invariant."""
        for tab in self._open_tabs:
            assert await self._agrees(tab), (tab.shown, await database.run(_stored, tab.conversation_id))
        await database.run(self._check_rows)
        for tab in [*self._gone, *self._open_tabs]:
            assert not tab.seen("error", code="internal")
            assert tab.gaps == 0
            assert tab.view.contradictions == []
            if not self.has_lost_text:
                assert tab.view.taken_back == []

    def _check_rows(self) -> None:
        rows = Conversation.objects.filter(visitor_id=self.visitor_id)
        said = {each.client_id: each.text for each in Message.objects.filter(visitor_id=self.visitor_id)}
        assert said == {client_id: each.text for client_id, each in self.sent.items()}
        for row in rows:
            _check_conversation(row)
        left_open = Completion.objects.filter(turn__visitor_id=self.visitor_id, status="running")
        assert list(left_open) == []


def _check_conversation(row: Conversation) -> None:
    messages = list(row.messages.order_by("position"))
    turns = list(Turn.objects.filter(conversation=row).order_by("created_at", "id"))
    positions = [each.position for each in messages]
    assert positions == sorted(set(positions))
    assert positions[-1] <= row.last_position
    answers = {each.turn_id: each for each in messages if each.role == "assistant"}
    assert len(answers) == len(turns)
    for turn in turns:
        answer = answers[turn.pk]
        assert turn.finished_at is not None
        assert (answer.pk, answer.position) == (turn.message_id, turn.position)
        assert answer.position > turn.through >= turn.after
    _check_chains(messages, turns)


def _check_chains(messages: Sequence[Message], turns: Sequence[Turn]) -> None:
    """Each question belongs to one chain: a turn and those that were asked to do better."""
    chain_of: dict[str, str] = {}
    for turn in turns:
        chain_of[turn.message_id] = chain_of[turn.replaces_id] if turn.replaces_id else turn.pk
    for message in messages:
        if message.role == "visitor":
            chains = {
                chain_of[turn.message_id] for turn in turns if turn.after < message.position <= turn.through
            }
            assert len(chains) == 1, (message.position, [(each.after, each.through) for each in turns])


def _stored(conversation_id: str | None) -> list[tuple[str, str, str]]:
    """Return what a tab has to show of a conversation."""
    rows = Message.objects.filter(conversation_id=conversation_id).order_by("position")
    return [(each.role, each.status, each.text) for each in rows]
