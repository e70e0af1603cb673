"""The turns running in this process: launch, restart, stop, claim, heartbeat, drain.

A turn is a task of the process, never of a socket. One Runner belongs to one event loop.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from chatbot import database, metrics, presence
from chatbot.state import State
from conversations import intake, lifecycle, outbox, tasks, transcript, turns
from conversations.errors import NotFoundError, NotRunningError
from conversations.events import (
    Draining,
    MessageAdded,
    MessageChanged,
    MessageSaved,
    MessageView,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from conversations.lifecycle import TakenTurn, UnfinishedTurn
from conversations.limits import TurnLimits
from conversations.live import Live, LocalAnswer, Tab
from conversations.models import PromptVersion, Turn, TurnStatus
from conversations.routes import Routes

log = structlog.get_logger(__name__)

REAP_S = 4.0  # with lifecycle.DEAD_AFTER_S below the promised 20 s
POLL_S = 5.0
QUIET_S = 0.25  # a burst goes on: each restart costs a request, so wait for this much silence
MAX_QUIET_S = 2.0
SAVE_TRIES = 60
SAVE_RETRY_S = 2.0
CLOSE_RESTARTING = 4012
RECONNECT_AFTER_MS = 300

Why = Literal["stop", "restart", "drain"]


def _process_name() -> str:
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(slots=True, eq=False)
class Running:
    """A turn this process carries. `why` says why its asking was cancelled."""

    turn: TakenTurn
    task: asyncio.Task[None] | None = None
    asking: asyncio.Task[turns.Outcome] | None = None
    why: Why | None = None

    def interrupt(self, why: Why) -> None:
        """End what is being asked. A stop outweighs a restart; the end of the process, everything."""
        if self.why is None or self.why == "restart":
            self.why = why
        if self.asking is not None:
            self.asking.cancel()


class Runner:
    """One process's turns, and its part in the conversations of the others."""

    def __init__(self, state: State, routes: Routes) -> None:
        self.state = state
        self.process = _process_name()
        self.live = Live(state, self.process, self._heard, self._refresh_everyone)
        self._limits = TurnLimits(state)
        self._routes = routes
        self._running: dict[str, Running] = {}
        self._duties: list[asyncio.Task[None]] = []
        self._claim_soon = asyncio.Event()
        self.is_draining = False

    # The process

    def start(self) -> None:
        """Take up the duties of a web process: listen, beat, reap, claim."""
        self._duties = [
            asyncio.create_task(self.live.run(), name="live"),
            asyncio.create_task(self._every(lifecycle.BEAT_S, self._beat), name="beat"),
            asyncio.create_task(self._every(REAP_S, self._reap), name="reap"),
            asyncio.create_task(self._claim_queued(), name="claim"),
            asyncio.create_task(self._every(POLL_S, self._poll_followed), name="poll"),
            asyncio.create_task(presence.keep_telling(self.state, ("web",), self.process), name="presence"),
        ]

    async def drain(self, limit_s: float) -> None:
        """Send tabs elsewhere, let turns end for up to `limit_s`, save the rest, close sockets."""
        self.is_draining = True
        for tab in self.live.tabs:
            await tab.drain(Draining(RECONNECT_AFTER_MS))
        tasks = [each.task for each in self._running.values() if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=limit_s)
        for each in list(self._running.values()):
            each.interrupt("drain")
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        for tab in self.live.tabs:
            await tab.leave(CLOSE_RESTARTING)
        await self.stop()

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
        async with self._limits.turn(visitor_id, address) as allowance:
            accepted = await database.run(
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
        if accepted.begun is not None and not self.is_draining:
            self._reserve(accepted.begun)  # before anything is awaited: from here on it is ours to beat
        await by.saved(MessageSaved(client_id, accepted.message, accepted.conversation))
        if accepted.is_new:
            await self.live.tell(conversation_id, MessageAdded(accepted.message), but=by)
            self.live.announce(conversation_id, "added", accepted.message.id)
        if accepted.begun is not None:
            self._launch(accepted.begun)
        elif accepted.restarted is not None:
            self._restart(accepted.restarted)

    async def stop_turn(self, *, visitor_id: str, turn_id: str) -> None:
        """End a turn, wherever it runs. Raises NotFoundError, NotRunningError."""
        row = await database.run(lifecycle.request_stop, turn_id, visitor_id)
        if row is None:
            if await database.run(lifecycle.exists, turn_id, visitor_id):
                raise NotRunningError("The turn has already ended.")
            raise NotFoundError("There is no such turn.")
        running = self._running.get(turn_id)
        if running is not None:
            running.interrupt("stop")
        elif row.status == TurnStatus.QUEUED:
            finished = await database.run(turns.finish_queued, row)
            if finished is not None:
                await self._publish(row.conversation_id, finished)
        else:
            self.live.announce(row.conversation_id, "stop", turn_id)

    async def retry(self, *, visitor_id: str, turn_id: str, address: str) -> None:
        """Answer again. Raises as intake.retry."""
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

    def _reserve(self, turn: TakenTurn) -> Running:
        running = self._running.get(turn.id)
        if running is None:
            running = self._running[turn.id] = Running(turn)
            metrics.RUNNING_TURNS.set(len(self._running))
        return running

    def _launch(self, turn: TakenTurn) -> None:
        """Carry a turn that is ours; one that was begun while we drain is queued and goes to the others."""
        if self.is_draining:
            self.live.announce_to_all("queued", turn.id)
            return
        running = self._reserve(turn)
        running.task = asyncio.create_task(self._carry(running), name=f"turn {turn.id}")

    def _restart(self, row: UnfinishedTurn) -> None:
        running = self._running.get(row.id)
        if running is not None:
            running.interrupt("restart")
        elif row.status == TurnStatus.RUNNING:
            self.live.announce(row.conversation_id, "restart", row.id)

    async def _carry(self, running: Running) -> None:
        turn = running.turn
        answer = await self.live.begin(
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            message_id=turn.message_id,
            replaces=turn.replaces,
        )
        finished: turns.Finished | None = None
        try:
            if turn.generation == 1:  # later ones continue what the tabs were told before
                await self.live.tell(
                    turn.conversation_id, TurnStarted(turn.id, turn.message_id, turn.replaces)
                )
            self.live.announce(turn.conversation_id, "started", turn.id)
            finished = await self._until_end(running, answer)
        except Exception:
            log.exception("turn failed", turn_id=turn.id, conversation_id=turn.conversation_id)
        finally:
            self._running.pop(turn.id, None)
            metrics.RUNNING_TURNS.set(len(self._running))
            await self.live.finish(answer)
        if finished is None:
            await self.live.refresh(turn.conversation_id)
            return
        if finished.following is not None and not self.is_draining:
            self._reserve(finished.following)
        await self._publish(turn.conversation_id, finished)

    async def _until_end(self, running: Running, answer: LocalAnswer) -> turns.Finished | None:
        """Ask, and ask again after each restart, until the turn has ended. None: it is not ours."""
        numbered = 0
        while True:
            turn = running.turn
            version = await database.run(PromptVersion.known, turn.version_id)
            asking = turns.Asking(turn, answer, self._routes.named(version.route), version, numbered)
            outcome = await self._ask(running, asking)
            why, running.why, running.asking = running.why, None, None
            if outcome is None and why == "restart" and answer.position is None:
                numbered = await asking.abandon()
                await self._wait_for_quiet(running)
            elif outcome is None and why == "drain" and answer.position is None:
                await asking.abandon()
                if await database.run(lifecycle.hand_back, turn, self.process):
                    self.live.announce_to_all("queued", turn.id)
                    return None
                numbered = asking.numbered
            else:
                if outcome is None:
                    outcome = asking.cut_short("stopped" if why == "stop" else "interrupted")
                must_end = answer.position is not None or why in ("stop", "drain")
                finished = await self._save(turn, outcome, generation=None if must_end else turn.generation)
                if finished is not None:
                    return finished
                numbered = asking.numbered
            again = await database.run(lifecycle.again, turn.id, self.process)
            if again is None or answer.position is not None:
                return None
            running.turn = again
            if await database.run(lifecycle.is_stop_requested, turn.id):
                running.why = "stop"

    async def _ask(self, running: Running, asking: turns.Asking) -> turns.Outcome | None:
        """Return the outcome, or None when the asking was ended from outside or lost its turn."""
        if running.why is not None:
            return None
        running.asking = asyncio.create_task(asking.ask(), name=f"asking {asking.turn.id}")
        try:
            return await running.asking
        except turns.TurnLostError:
            running.why = running.why or "restart"
            return None
        except asyncio.CancelledError:
            if running.why is None:  # this task itself is being cancelled
                running.why = "drain"
                running.asking.cancel()
            return None
        except DatabaseError:
            log.exception("turn without database", turn_id=asking.turn.id)
        except Exception:
            log.exception("turn broke", turn_id=asking.turn.id, conversation_id=asking.turn.conversation_id)
        if asking.answer.length:
            return asking.cut_short("interrupted", "internal")
        return asking.cut_short("failed", "internal")

    async def _wait_for_quiet(self, running: Running) -> None:
        """Wait until no message has come for QUIET_S."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_QUIET_S
        while loop.time() < until:
            await asyncio.sleep(QUIET_S)
            if running.why != "restart":
                return
            running.why = None

    async def _save(
        self, turn: TakenTurn, outcome: turns.Outcome, *, generation: int | None
    ) -> turns.Finished | None:
        """Write the end of a turn, through an absence of the database too."""
        for attempt in range(SAVE_TRIES):
            try:
                finished = await database.run(
                    turns.finish,
                    turn,
                    outcome,
                    process=self.process,
                    generation=generation,
                    hand_on=self.is_draining,
                )
            except DatabaseError as error:
                log.warning("turn not saved", turn_id=turn.id, error=type(error).__name__, attempt=attempt)
                await asyncio.sleep(SAVE_RETRY_S)
            else:
                return finished
        raise TimeoutError(f"Turn {turn.id} could not be saved.")

    async def _publish(self, conversation_id: str, finished: turns.Finished) -> None:
        """Tell everybody that a turn has ended, and go on with the one that follows."""
        metrics.TURNS.labels(finished.status).inc()
        self.live.announce(conversation_id, "finished", finished.turn_id)
        await self._tell_finished(conversation_id, finished)
        if finished.following is not None:
            self._launch(finished.following)
        elif finished.queued is not None:
            self.live.announce_to_all("queued", finished.queued)
            self._claim_soon.set()

    async def _tell_finished(self, conversation_id: str, finished: turns.Finished) -> None:
        await self.live.tell(
            conversation_id, TurnFinished(finished.turn_id, finished.status, finished.message)
        )
        if finished.error:
            await self.live.tell(
                conversation_id, TurnFailed(finished.turn_id, finished.error, finished.sentences)
            )

    # What the other processes say

    async def _heard(self, channel: str, what: str, which: str) -> None:
        try:
            await self._answer_notice(channel, what, which)
        except DatabaseError as error:
            log.warning("notice lost", what=what, error=type(error).__name__)

    async def _answer_notice(self, conversation_id: str, what: str, which: str) -> None:
        running = self._running.get(which)
        match what:
            case "queued":
                self._claim_soon.set()
            case "stop" if running is not None:
                running.interrupt("stop")
            case "restart" if running is not None:
                running.interrupt("restart")
            case "added" | "changed" if self.live.is_watched(conversation_id):
                message = await database.run(transcript.message_view, which)
                if message is not None:
                    await self._tell_message(conversation_id, message, is_new=what == "added")
            case "started" if self.live.is_watched(conversation_id):
                row = await database.run(lifecycle.unfinished, conversation_id)
                if row is not None and row.id == which:
                    is_known = self.live.shown(which) is not None
                    await self.follow(row)
                    if not is_known:
                        await self.live.tell(
                            conversation_id, TurnStarted(row.id, row.message_id, row.replaces_id)
                        )
            case "finished" if self.live.is_watched(conversation_id):
                await self._end_followed(conversation_id, which)
            case _:
                pass

    async def _tell_message(self, conversation_id: str, message: MessageView, *, is_new: bool) -> None:
        event = MessageAdded(message) if is_new else MessageChanged(message)
        await self.live.tell(conversation_id, event)

    async def follow(self, row: Turn) -> None:
        """Let this process's tabs see a turn that runs elsewhere."""
        await self.live.follow(
            turn_id=row.id,
            conversation_id=row.conversation_id,
            message_id=row.message_id,
            replaces=row.replaces_id,
        )

    async def _end_followed(self, conversation_id: str, turn_id: str) -> None:
        finished = await database.run(turns.ended, turn_id)
        if finished is not None:
            self.live.unfollow(turn_id)
            await self._tell_finished(conversation_id, finished)

    async def _refresh_everyone(self) -> None:
        """Notices may have been missed: tell every tab everything anew."""
        for tab in self.live.tabs:
            await tab.refresh()

    # Duties

    async def _beat(self) -> None:
        """Say that our turns live, and hear what was asked of them while no notice came through."""
        ids = list(self._running)
        if not ids:
            return
        ours = await database.run(lifecycle.beat, self.process, ids)
        for turn_id in ids:
            running = self._running.get(turn_id)
            if running is None or running.task is None:
                continue
            known = ours.get(turn_id)
            if known is None:
                continue
            generation, is_stop_requested = known
            if is_stop_requested:
                running.interrupt("stop")
            elif generation != running.turn.generation and running.why is None:
                running.interrupt("restart")

    async def _reap(self) -> None:
        """Find the turns of dead processes: queue what nobody saw, end what somebody did."""
        if self.is_draining:
            return
        for row in await database.run(lifecycle.dead):
            if row.id in self._running:
                continue
            if await database.run(lifecycle.requeue_dead, row):
                log.warning("turn of a dead process queued", turn_id=row.id)
                self.live.announce_to_all("queued", row.id)
                self._claim_soon.set()
                continue
            text = await self.live.left_behind(row.id)
            finished = await database.run(turns.finish_dead, row, process=self.process, text=text)
            if finished is not None:
                log.warning("turn of a dead process ended", turn_id=row.id, status=finished.status)
                await self._publish(row.conversation_id, finished)

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
            turn = await database.run(lifecycle.claim, turn_id, self.process)
            if turn is not None:
                self._launch(turn)

    async def _poll_followed(self) -> None:
        """End the followed turns whose last notice was lost."""
        for answer in self.live.followed:
            await self._end_followed(answer.conversation_id, answer.turn_id)


_here: Runner | None = None


def here() -> Runner:
    """Return this process's runner."""
    global _here
    if _here is None:
        _here = Runner(State(settings.REDIS_URL), Routes.load())
    return _here


async def start() -> None:
    """Take up the duties of a web process."""
    outbox.start_publishing(tasks.send)
    here().start()


async def drain(limit_s: float) -> None:
    """Give everything up in order, within `limit_s` and a little."""
    global _here
    runner, _here = here(), None
    await runner.drain(limit_s)
    await asyncio.to_thread(outbox.stop_publishing)
    await asyncio.to_thread(database.close)
