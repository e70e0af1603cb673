"""The turns running in this process: launch, restart, stop, claim, heartbeat, drain.

A turn is a task of the process, never of a socket. One Runner belongs to one event loop.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from structlog.contextvars import bind_contextvars, unbind_contextvars

from chatbot import database, metrics, presence
from chatbot.state import State
from conversations import intake, lifecycle, outbox, screening, tasks, transcript, turns
from conversations.carrier import Carrier
from conversations.errors import NotFoundError, NotRunningError
from conversations.events import (
    Draining,
    MessageAdded,
    MessageChanged,
    MessageSaved,
)
from conversations.herald import Herald
from conversations.lifecycle import TakenTurn, UnfinishedTurn
from conversations.limits import TurnLimits
from conversations.live import Live, Tab
from conversations.models import TurnStatus
from conversations.moderation.ruleset import Ruleset
from conversations.routes import Routes

log = structlog.get_logger(__name__)

REAP_S = 4.0  # with lifecycle.DEAD_AFTER_S below the promised 20 s
POLL_S = 5.0
RULES_S = 1.0  # with Remembered.LOOK_S, how soon a changed rule is in force in running answers
CLOSE_RESTARTING = 4012
RECONNECT_AFTER_MS = 300
LISTENING_S = 1.0  # how long the start waits for Redis
SAVING_S = 5.0  # what saving may take when the process ends
_LOOK_S = 0.01


def _process_name() -> str:
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


class Runner:
    """One process's turns, and its part in the conversations of the others."""

    def __init__(self, state: State, routes: Routes) -> None:
        self.state = state
        self.process = _process_name()
        self.live = Live(state, self.process, self._heard)
        self._herald = Herald(self.live)
        self._limits = TurnLimits(state)
        self._routes = routes
        self._running: dict[str, Carrier] = {}
        self._deeds = 0  # under way, of which a turn may come
        self._duties: list[asyncio.Task[None]] = []
        self._claim_soon = asyncio.Event()
        self._rules: Ruleset | None = None
        self.is_draining = False

    # The process

    async def start(self) -> None:
        """Take up the duties of a web process: listen, beat, reap, claim."""
        self._duties = [
            asyncio.create_task(self.live.run(), name="live"),
            asyncio.create_task(self._every(lifecycle.BEAT_S, self._beat), name="beat"),
            asyncio.create_task(self._every(REAP_S, self._reap), name="reap"),
            asyncio.create_task(self._claim_queued(), name="claim"),
            asyncio.create_task(self._every(RULES_S, self._apply_rules), name="rules"),
            asyncio.create_task(self._every(POLL_S, self._herald.poll), name="poll"),
            asyncio.create_task(presence.keep_telling(self.state, ("web",), self.process), name="presence"),
        ]
        await self.live.listens(LISTENING_S)

    async def drain(self, limit_s: float) -> None:
        """Send tabs elsewhere, let turns end for up to `limit_s`, save the rest, close sockets."""
        self.is_draining = True
        for tab in self.live.tabs:
            await tab.drain(Draining(RECONNECT_AFTER_MS))
        await self._until_idle(limit_s)
        for each in self._running.values():
            each.interrupt("drain")
        await self._until_idle(SAVING_S)
        for tab in self.live.tabs:
            await tab.leave(CLOSE_RESTARTING)
        await self.stop()

    async def _until_idle(self, limit_s: float) -> None:
        """Wait until no turn runs or is being begun here, for up to `limit_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._running or self._deeds:
                    launched = [each.task for each in self._running.values() if each.task]
                    await (asyncio.wait(launched) if launched else asyncio.sleep(_LOOK_S))

    @contextlib.contextmanager
    def _deed(self) -> Iterator[None]:
        """Keep the process from ending over something that may make a turn ours."""
        self._deeds += 1
        try:
            yield
        finally:
            self._deeds -= 1

    async def stop(self) -> None:
        """Give up the duties and close what they hold."""
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        self._duties = []
        await presence.leave(self.state, ("web",), self.process)
        await self.live.aclose()
        await self._routes.aclose()
        await self.state.aclose()

    async def _every(self, seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._try(duty)

    async def _try(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            with self._deed():
                await duty()
        except DatabaseError as error:
            log.warning("database away", duty=duty.__name__, error=type(error).__name__)
        except Exception:
            log.exception("duty failed", duty=duty.__name__)

    # What visitors ask for

    async def send(
        self,
        *,
        visitor_id: str,
        assistant_id: int,
        conversation_id: str | None,
        client_id: str,
        text: str,
        locale: str,
        address: str,
        by: Tab,
    ) -> None:
        """Store a message, tell the tabs, and see to its turn. Raises as intake.accept."""
        with self._deed():
            async with self._limits.turn(visitor_id, address) as allowance:
                accepted = await database.write(
                    intake.accept,
                    visitor_id=visitor_id,
                    assistant_id=assistant_id,
                    conversation_id=conversation_id,
                    client_id=client_id,
                    text=text,
                    locale=locale,
                    process="" if self.is_draining else self.process,
                    refusal=allowance.refusal,
                )
                allowance.is_used = accepted.counts
        conversation_id = accepted.conversation.id
        if accepted.begun is not None:
            self._reserve(accepted.begun)  # before anything is awaited: from here on it is ours to beat
        try:
            await by.saved(MessageSaved(client_id, accepted.message, accepted.conversation, accepted.is_new))
            if accepted.is_new:
                await self.live.tell(conversation_id, MessageAdded(accepted.message), but=by)
                self.live.announce(conversation_id, "added", accepted.message.id)
            if accepted.closed is not None:
                await self.live.refresh(accepted.closed)
                self.live.announce(accepted.closed, "state", accepted.closed)
        finally:  # whatever has become of the socket
            if accepted.begun is not None:
                self._launch(accepted.begun)
            elif accepted.restarted is not None:
                self._restart(accepted.restarted)
        if accepted.refusal is not None:
            raise accepted.refusal

    async def stop_turn(self, *, visitor_id: str, turn_id: str) -> None:
        """End a turn, wherever it runs. Raises NotFoundError, NotRunningError."""
        row = await database.run(lifecycle.request_stop, turn_id, visitor_id)
        if row is None:
            if await database.run(lifecycle.exists, turn_id, visitor_id):
                raise NotRunningError("The turn has already ended.")
            raise NotFoundError("There is no such turn.")
        if row.status == TurnStatus.QUEUED:
            finished = await database.run(turns.finish_queued, row)
            if finished is not None:
                await self._herald.publish(row.conversation_id, finished)
                self._go_on(finished)
                return
        carrier = self._running.get(turn_id)
        if carrier is not None:
            carrier.interrupt("stop")
        else:
            self.live.announce(row.conversation_id, "stop", turn_id)

    async def retry(self, *, visitor_id: str, turn_id: str, address: str) -> None:
        """Answer again. Raises as intake.retry."""
        with self._deed():
            async with self._limits.turn(visitor_id, address) as allowance:
                turn = await database.run(
                    intake.retry,
                    visitor_id=visitor_id,
                    turn_id=turn_id,
                    process="" if self.is_draining else self.process,
                    refusal=allowance.refusal,
                )
                allowance.is_used = True
        self._launch(turn)

    async def rate(self, *, visitor_id: str, message_id: str, rating: int | None, comment: str) -> None:
        """Store a rating and tell every tab. Raises NotFoundError."""
        conversation_id, message = await database.run(
            transcript.rate, visitor_id, message_id, rating=rating, comment=comment
        )
        await self.live.tell(conversation_id, MessageChanged(message))
        self.live.announce(conversation_id, "changed", message.id)

    # Carrying turns

    def _reserve(self, turn: TakenTurn) -> None:
        """Beat for a turn from now on, though it is launched only later."""
        if turn.process and turn.id not in self._running:
            self._running[turn.id] = Carrier(
                turn,
                process=self.process,
                live=self.live,
                routes=self._routes,
                is_draining=lambda: self.is_draining,
            )
            metrics.RUNNING_TURNS.set(len(self._running))

    def _launch(self, turn: TakenTurn) -> None:
        """Carry a turn that is ours; one that waits for any process is announced."""
        if not turn.process:
            self.live.announce_to_all("queued", turn.id)
            self._claim_soon.set()
            return
        self._reserve(turn)
        carrier = self._running[turn.id]
        if self.is_draining:
            carrier.interrupt("drain")
        carrier.task = asyncio.create_task(self._carry(carrier), name=f"turn {turn.id}")

    def _restart(self, row: UnfinishedTurn) -> None:
        carrier = self._running.get(row.id)
        if carrier is not None:
            carrier.restart(row.generation)
        elif row.status == TurnStatus.RUNNING:
            self.live.announce(row.conversation_id, "restart", row.id)

    async def _carry(self, carrier: Carrier) -> None:
        turn = carrier.turn
        finished: turns.Finished | None = None
        bind_contextvars(turn_id=turn.id, conversation_id=turn.conversation_id)  # in a task of its own
        try:
            finished = await carrier.carry()
            if finished is not None:
                if finished.following is not None:
                    self._reserve(finished.following)
                # While `ready` still has the answer.
                await self._herald.publish(turn.conversation_id, finished)
        except Exception:
            log.exception("turn failed")
        finally:
            self._running.pop(turn.id, None)
            metrics.RUNNING_TURNS.set(len(self._running))
            await carrier.let_go()
        if finished is None:
            await self.live.refresh(turn.conversation_id)
        else:
            self._go_on(finished)

    def _go_on(self, finished: turns.Finished) -> None:
        """See to the turn that follows an ended one."""
        if finished.following is not None:
            unbind_contextvars("request_id")  # that led to the turn before
            self._launch(finished.following)

    # What the other processes say

    async def _heard(self, channel: str, what: str, which: str) -> None:
        try:
            await self._answer_notice(channel, what, which)
        except DatabaseError as error:
            log.warning("notice lost", what=what, error=type(error).__name__)
        except Exception:  # the next notice is to be heard all the same
            log.exception("notice failed", what=what)

    async def _answer_notice(self, conversation_id: str, what: str, which: str) -> None:
        match what:
            case "queued":
                self._claim_soon.set()
            case "stop" | "restart" if which in self._running:
                await self._look_after([which])
            case _:
                await self._herald.hear(conversation_id, what, which)

    # Duties

    async def _beat(self) -> None:
        """Say that our turns live, and hear what was asked of them while no notice came through."""
        if self._running:
            await self._look_after(list(self._running))

    async def _look_after(self, turn_ids: Sequence[str]) -> None:
        """Do what the rows of these turns of ours say."""
        ours = await database.run(lifecycle.beat, self.process, turn_ids)
        for turn_id in turn_ids:
            carrier = self._running.get(turn_id)
            if carrier is None or carrier.task is None:
                continue
            known = ours.get(turn_id)
            if known is None:
                carrier.interrupt("lost")
                continue
            generation, is_stop_requested = known
            if is_stop_requested:
                carrier.interrupt("stop")
            else:
                carrier.restart(generation)

    async def _reap(self) -> None:
        """Find the turns of dead processes: queue what nobody saw, end what somebody did."""
        if self.is_draining:
            return
        for row in await database.run(lifecycle.dead):
            if row.id in self._running:
                continue
            if await database.run(lifecycle.requeue_dead, row):
                log.warning(
                    "turn of a dead process queued", turn_id=row.id, conversation_id=row.conversation_id
                )
                self.live.announce_to_all("queued", row.id)
                self._claim_soon.set()
                continue
            text = await self.live.left_behind(row.id)
            finished = await database.run(turns.finish_dead, row, process=self.process, text=text)
            if finished is not None:
                log.warning(
                    "turn of a dead process ended",
                    turn_id=row.id,
                    conversation_id=row.conversation_id,
                    status=finished.status,
                )
                if finished.following is not None:
                    self._reserve(finished.following)
                await self._herald.publish(row.conversation_id, finished)
                self._go_on(finished)

    async def _claim_queued(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._claim_soon.wait()
            except TimeoutError:
                pass
            self._claim_soon.clear()
            if not self.is_draining:
                await self._try(self._claim_all)

    async def _claim_all(self) -> None:
        for turn_id in await database.run(lifecycle.queued):
            if turn_id in self._running:
                continue  # lost while we stood still: first the old run of it has to end
            turn = await database.run(turns.claim, turn_id, self.process)
            if turn is not None:
                self._launch(turn)

    async def _apply_rules(self) -> None:
        """Judge the running answers by rules that have come."""
        rules = await database.run(screening.rules)
        if rules is not self._rules:
            self._rules = rules
            for carrier in list(self._running.values()):
                carrier.reconsider()


_here: Runner | None = None


def here() -> Runner:
    """Return this process's runner."""
    global _here
    if _here is None:
        state = State(settings.REDIS_URL)
        _here = Runner(state, Routes.load(state))
    return _here


async def start() -> None:
    """Take up the duties of a web process."""
    outbox.start_publishing(tasks.send)
    await here().start()


async def drain(limit_s: float) -> None:
    """Give everything up in order, within `limit_s` and a little."""
    global _here
    runner, _here = here(), None
    await runner.drain(limit_s)
    await asyncio.to_thread(outbox.stop_publishing)
    await asyncio.to_thread(database.close)
