"""One turn in this process's hands: asked, asked again after a restart, and ended once."""

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog
from django.db import Error as DatabaseError

from chatbot import database
from conversations import budgets, lifecycle, turns
from conversations.asking import Asking, TurnLostError
from conversations.events import TurnStarted
from conversations.lifecycle import TakenTurn
from conversations.live import Live, LocalAnswer
from conversations.models import PromptVersion
from conversations.routes import Routes

log = structlog.get_logger(__name__)

QUIET_S = 0.25  # a burst goes on: each restart costs a request, so wait for this much silence
MAX_QUIET_S = 2.0
SAVE_TRIES = 60
SAVE_RETRY_S = 2.0

Why = Literal["restart", "stop", "block", "lost", "drain"]  # each outweighs those before it


class Carrier:
    """Carries one turn to its end, as a task of the process; it may be interrupted at any moment.

    `task` is None while the turn is only reserved: its message is not acknowledged yet.
    """

    def __init__(
        self, turn: TakenTurn, *, process: str, live: Live, routes: Routes, is_draining: Callable[[], bool]
    ) -> None:
        self.turn = turn
        self.task: asyncio.Task[None] | None = None
        self._process = process
        self._live = live
        self._routes = routes
        self._is_draining = is_draining
        self._answer: LocalAnswer | None = None
        self._run: Asking | None = None
        self._asking: asyncio.Task[turns.Outcome] | None = None
        self._why: Why | None = "stop" if turn.stop_requested else None

    def interrupt(self, why: Why) -> None:
        """End what is being asked, for this reason."""
        order: tuple[Why | None, ...] = (None, "restart", "stop", "block", "lost", "drain")
        if order.index(why) > order.index(self._why):
            self._why = why
        if self._asking is not None:
            self._asking.cancel()

    def restart(self, generation: int) -> None:
        """Ask again, if the turn's row says that messages came which this run does not know of."""
        if generation > self.turn.generation:
            self.interrupt("restart")

    def reconsider(self) -> None:
        """End the answer if rules that are new forbid what was shown of it."""
        if self._run is not None and self._run.must_withdraw():
            self.interrupt("block")

    async def carry(self) -> turns.Finished | None:
        """Show the answer as it comes, and write its end, of which nobody is told here.

        Returns None when the turn is not ours any more. Call `let_go` after it, whatever came of it.
        """
        turn = self.turn
        self._answer = await self._live.begin(turn.id, turn.conversation_id)
        await self._live.tell(turn.conversation_id, TurnStarted(turn.id, turn.message_id, turn.replaces))
        self._live.announce(turn.conversation_id, "started", turn.id)
        return await self._until_end(self._answer)

    async def let_go(self) -> None:
        """Forget the answer."""
        if self._answer is not None:
            await self._live.finish(self._answer)

    async def _until_end(self, answer: LocalAnswer) -> turns.Finished | None:
        numbered = 0
        while True:
            turn = self.turn
            version = PromptVersion.remembered(turn.version_id)
            if version is None:
                version = await database.run(PromptVersion.known, turn.version_id)
            route = await self._route(turn, version)
            asking = Asking(turn, answer, self._routes.named(route), version, numbered)
            self._run = asking
            outcome = await self._ask(asking)
            why, self._why, self._asking = self._why, None, None
            is_visible = answer.position is not None
            if outcome is None and (why == "lost" or (why in ("restart", "drain") and not is_visible)):
                await asking.abandon()
                if why == "lost":
                    return None
                if why == "restart":
                    await self._wait_for_quiet()
                elif await database.run(lifecycle.hand_back, turn, self._process):
                    self._live.announce_to_all("queued", turn.id)
                    return None
            else:
                if outcome is None and why == "block":
                    outcome = asking.withdraw()
                elif outcome is None:
                    outcome = asking.cut_short("stopped" if why == "stop" else "interrupted")
                must_end = is_visible or why in ("stop", "block", "drain")
                finished = await self._save(outcome, generation=None if must_end else turn.generation)
                if finished is not None:
                    return finished
            numbered = asking.numbered
            again = await database.run(lifecycle.again, turn.id, self._process)
            if again is None or is_visible:
                return None
            self.turn = again
            if again.stop_requested:
                self.interrupt("stop")
            elif why == "drain":
                self.interrupt("drain")

    async def _route(self, turn: TakenTurn, version: PromptVersion) -> str:
        """Return the route to ask: the version's, or a cheaper one where a budget runs out."""
        if not budgets.may_exist():
            return version.route
        standing = await database.run(budgets.standing, version.assistant_id, turn.visitor_id)
        return standing.cheaper_route or version.route

    async def _ask(self, asking: Asking) -> turns.Outcome | None:
        """Return the outcome, or None when the asking was ended from outside or lost its turn."""
        if self._why is not None:
            return None
        self._asking = asyncio.create_task(asking.ask(), name=f"asking {asking.turn.id}")
        try:
            return await self._asking
        except TurnLostError:
            self._why = self._why or "restart"
            return None
        except asyncio.CancelledError:
            if self._why is None:  # this task itself is being cancelled
                self._why = "drain"
                self._asking.cancel()
            return None
        except DatabaseError:
            log.exception("turn without database")
        except Exception:
            log.exception("turn broke")
        if asking.answer.length:
            return asking.cut_short("interrupted", "internal")
        return asking.cut_short("failed", "internal")

    async def _wait_for_quiet(self) -> None:
        """Wait until no message has come for QUIET_S."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_QUIET_S
        while loop.time() < until:
            await asyncio.sleep(QUIET_S)
            if self._why != "restart":
                return
            self._why = None

    async def _save(self, outcome: turns.Outcome, *, generation: int | None) -> turns.Finished | None:
        """Write the end of the turn, through an absence of the database too."""
        for attempt in range(SAVE_TRIES):
            try:
                return await database.write(
                    turns.finish,
                    self.turn,
                    outcome,
                    process=self._process,
                    generation=generation,
                    hand_on=self._is_draining(),
                )
            except DatabaseError as error:
                log.warning("turn not saved", error=type(error).__name__, attempt=attempt)
                await asyncio.sleep(SAVE_RETRY_S)
        raise TimeoutError(f"Turn {self.turn.id} could not be saved.")
