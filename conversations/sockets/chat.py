"""The visitors' socket: frames in, frames out. See conversations.frames for the protocol."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_never

import structlog
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone
from structlog.contextvars import bind_contextvars

from chatbot import database, metrics
from chatbot.addresses import limit_key, scope_address
from conversations import access, assistants, runner, transcript
from conversations.errors import (
    ConflictError,
    ConversationError,
    NotFoundError,
    TooLongError,
    UnauthorizedError,
)
from conversations.events import Draining, Event, MessageSaved, TurnDelta, TurnFinished, TurnStarted
from conversations.frames import incoming, outgoing
from conversations.limits import FrameLimit
from conversations.models import Assistant
from conversations.sentences import LOCALES
from conversations.sockets.ready import Place, read_place

log = structlog.get_logger(__name__)

HELLO_S = 10.0
MAX_BAD_FRAMES = 20
CLOSE_BAD_FRAMES, CLOSE_TOKEN, CLOSE_NO_HELLO, CLOSE_FLOOD = 4400, 4401, 4408, 4429
CLOSE_TOO_SLOW = 4012  # as when restarting: the client comes back and is told everything anew
FLOOD_FACTOR = 3
MAX_UNSENT_BYTES = 256 * 1024  # then deltas are left out, and a `ready` follows once it has drained
GIVE_UP_UNSENT_BYTES = 2 * 1024 * 1024
_RETELL_TRIES = 5
_LATE_S = 0.25  # what other processes did in a conversation we learn of as late as that, nobody here heard
_CATCH_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class AssistantKey:
    """All that an idle socket keeps of its assistant: there may be thousands."""

    pk: int
    slug: str


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One visitor's tab."""

    def __init__(self, carrier: runner.Runner | None = None) -> None:
        """`carrier` is the process's runner unless said otherwise."""
        super().__init__()
        self.locale = "en"
        self._runner = carrier or runner.here()
        self._frame_limit = FrameLimit(settings.LIMIT_FRAMES_PER_10S)
        self._bad_frames = 0
        self._visitor_id: str | None = None
        self._assistant: AssistantKey | None = None
        self._conversation_id: str | None = None
        self._turn_id: str | None = None  # the running turn that the tab knows of
        self._is_closed = False
        self._telling = False
        self._tell_again = False
        self._is_behind = False
        self._hello_timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the socket; whatever ends it, its place is given up (disconnect() may never be called)."""
        metrics.SOCKETS.inc()
        bind_contextvars(request_id=secrets.token_hex(8))  # of the handshake: a socket is a task of its own
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._is_closed = True
            metrics.SOCKETS.dec()
            if self._hello_timer is not None:
                self._hello_timer.cancel()
            self._runner.live.exit(self)
            if self._conversation_id is not None:
                await asyncio.shield(self._runner.live.unwatch(self._conversation_id, self))

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Hand an event to its method. Channels' own looks for idle database connections at each, in a
        thread; ours belong to chatbot.database."""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        """Accept; the first frame says who is there."""
        await self.accept()
        self._hello_timer = asyncio.get_running_loop().call_later(HELLO_S, self._no_hello)

    def _no_hello(self) -> None:
        self._later(self.close(CLOSE_NO_HELLO))

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the socket. What still comes from it is not read."""
        self._is_closed = True
        await super().close(code, reason)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        _begun(work).add_done_callback(_log_trouble)

    # Frames in

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Read one frame and answer it."""
        if self._is_closed:
            return
        frame_id: str | None = None
        now = asyncio.get_running_loop().time()
        load = self._frame_limit.over(now)
        if load > FLOOD_FACTOR:
            await self.close(CLOSE_FLOOD)
            return
        try:
            if text_data is None:
                raise incoming.BadFrameError("A frame is text.")
            frame = incoming.parse(text_data)
            frame_id = frame.id
            if load > 1:
                raise self._frame_limit.refusal(now)
            await self._answer(frame)
        except incoming.BadFrameError as error:
            self._bad_frames += 1
            if self._bad_frames > MAX_BAD_FRAMES:
                await self.close(CLOSE_BAD_FRAMES)
                return
            await self._send(outgoing.refusal(error, self.locale, error.frame_id))
        except ConversationError as error:
            await self._send(outgoing.refusal(error, self.locale, frame_id))
        except Exception:
            ref = secrets.token_hex(2).upper()
            log.exception(
                "frame failed", ref=ref, visitor_id=self._visitor_id, conversation_id=self._conversation_id
            )
            await self._send(outgoing.refusal(ConversationError(), self.locale, frame_id, ref))

    async def _answer(self, frame: incoming.ClientFrame) -> None:
        if isinstance(frame, incoming.Hello):
            await self._hello(frame)
            return
        if self._visitor_id is None or self._assistant is None:
            raise UnauthorizedError("The first frame must be hello.")
        visitor_id, assistant = self._visitor_id, self._assistant
        match frame:
            case incoming.MessageSend():
                await _carried_out(self._message_send(frame, visitor_id, assistant))
            case incoming.TurnStop():
                await _carried_out(self._runner.stop_turn(visitor_id=visitor_id, turn_id=frame.turn_id))
            case incoming.TurnRetry():
                await _carried_out(
                    self._runner.retry(visitor_id=visitor_id, turn_id=frame.turn_id, address=self._address())
                )
            case incoming.FeedbackSend():
                await _carried_out(
                    self._runner.rate(
                        visitor_id=visitor_id,
                        message_id=frame.message_id,
                        rating=frame.rating,
                        comment=frame.comment,
                    )
                )
            case incoming.ConversationOpen():
                if frame.conversation_id is not None:
                    await database.run(
                        transcript.conversation_of, visitor_id, assistant.pk, frame.conversation_id
                    )
                await self._show(frame.conversation_id)
                await self._tell()
            case incoming.ConversationsList():
                lines, more = await database.run(
                    transcript.conversations, visitor_id, assistant.pk, query=frame.query, before=frame.before
                )
                await self._send(outgoing.conversations(lines, more=more, frame_id=frame.id))
            case incoming.MessagesList():
                page = transcript.Page([], False)
                if self._conversation_id is not None:
                    page = await database.run(transcript.page, self._conversation_id, before=frame.before)
                await self._send(
                    outgoing.messages(page.items, more=page.more, locale=self.locale, frame_id=frame.id)
                )
            case incoming.Sync():
                await self.refresh()
            case incoming.Ping():
                await self._send(outgoing.pong(frame.id))
            case _:
                assert_never(frame)

    async def _hello(self, frame: incoming.Hello) -> None:
        if self._visitor_id is not None:
            raise ConflictError("This socket has said hello.")
        try:
            visitor_id = access.visitor_of(frame.token) if frame.token else access.new_visitor()
        except UnauthorizedError as error:
            await self._send(outgoing.refusal(error, self.locale, frame.id))
            await self.close(CLOSE_TOKEN)
            return
        assistant, conversation_id = await database.run(
            _find, visitor_id, frame.assistant, frame.conversation_id, is_new=frame.token is None
        )
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self.locale = frame.locale or next((each for each in assistant.languages if each in LOCALES), "en")
        self._visitor_id = visitor_id
        self._assistant = AssistantKey(assistant.pk, assistant.slug)
        self._runner.live.enter(self)
        await self._show(conversation_id)
        await self._tell()

    async def _message_send(
        self, frame: incoming.MessageSend, visitor_id: str, assistant: AssistantKey
    ) -> None:
        if len(frame.text) > settings.MESSAGE_MAX_CHARS:
            raise TooLongError("The text is longer than MESSAGE_MAX_CHARS.")
        if frame.conversation_id is not None and frame.conversation_id != self._conversation_id:
            raise NotFoundError("That conversation is not open here.")
        await self._runner.send(
            visitor_id=visitor_id,
            assistant_id=assistant.pk,
            conversation_id=self._conversation_id,
            client_id=frame.id,
            text=frame.text,
            locale=self.locale,
            address=self._address(),
            by=self,
        )

    def _address(self) -> str:
        return limit_key(scope_address(self.scope, trusted=settings.TRUSTED_PROXIES))

    # Frames out: conversations.live.Tab

    async def deliver(self, event: Event, frame: str) -> None:
        """Send a frame; while everything is being told anew, facts make it be read once more."""
        if self._telling:
            self._tell_again = self._tell_again or not isinstance(event, TurnDelta)
        elif not self._is_behind and not self._falls_behind():
            await self._deliver(event, frame)

    async def _deliver(self, event: Event, frame: str) -> None:
        """Send a frame that fits what the tab knows; what does not means that it missed something."""
        match event:
            case TurnDelta() if event.turn_id != self._turn_id:
                self._later(self.refresh())
                return
            case TurnStarted() if event.turn_id == self._turn_id:
                return
            case TurnStarted():
                shown = self._runner.live.shown(event.turn_id)
                if self._turn_id is not None or (shown is not None and shown.length):
                    self._later(self.refresh())
                    return
                self._turn_id = event.turn_id
            case TurnFinished() if event.turn_id == self._turn_id:
                self._turn_id = None
        await self._send(frame)

    async def saved(self, event: MessageSaved) -> None:
        """Confirm this tab's own message, and show its conversation."""
        self._tell_again = True  # what is being told may have been read before
        moved = event.conversation.id != self._conversation_id
        had = self._conversation_id is not None
        await self._show(event.conversation.id)
        await self._send(outgoing.render(event, self.locale))
        if moved:
            self._turn_id = None
            age_s = (timezone.now() - event.message.created_at).total_seconds()
            if had or event.message.position > 1 or not event.is_new or age_s > _LATE_S:
                await self.refresh()

    async def drain(self, event: Draining) -> None:
        """Tell the tab to come back elsewhere."""
        await self._send(outgoing.render(event, self.locale))

    async def leave(self, code: int) -> None:
        """Close the socket."""
        await self.close(code)

    async def refresh(self) -> None:
        """Tell the tab everything anew, unasked; later, if the database is away."""
        try:
            await self._tell()
        except DatabaseError as error:
            log.warning("tab not told", conversation_id=self._conversation_id, error=type(error).__name__)
            self._catch_up_later(self.refresh)

    async def _tell(self) -> None:
        """Tell the tab everything anew: a snapshot that joins on to the deltas without a gap."""
        self._tell_again = True
        if self._telling or self._visitor_id is None or self._assistant is None:
            return
        self._telling = True
        try:
            place = await self._read_place(self._visitor_id, self._assistant)
            frame = outgoing.ready(place.ready(self._runner.live), self.locale)
        finally:
            self._telling = False
        self._turn_id = place.turn.id if place.turn else None
        await self._send(frame)
        if self._tell_again:
            self._catch_up_later(self.refresh)

    async def _read_place(self, visitor_id: str, assistant: AssistantKey) -> Place:
        for _ in range(_RETELL_TRIES):
            self._tell_again = False
            place = await database.run(
                read_place, visitor_id, assistant.slug, self._conversation_id, self.locale
            )
            if place.turn is not None:
                await self._runner.live.load(place.turn.id, place.turn.conversation_id)
            if not self._tell_again:
                break
        return place

    async def _show(self, conversation_id: str | None) -> None:
        old, self._conversation_id = self._conversation_id, conversation_id
        if old == conversation_id:
            return
        if old is not None:
            await self._runner.live.unwatch(old, self)
        if conversation_id is not None and not self._is_closed:  # what watches then, watches for ever
            await self._runner.live.watch(conversation_id, self)

    async def _send(self, frame: str) -> None:
        if self._is_closed:
            return
        try:
            await self.base_send({"type": "websocket.send", "text": frame})
        except Exception as error:  # it is closing, which the server says with an error of its own
            self._is_closed = True
            log.info("socket gone", error=type(error).__name__)

    # A tab that reads too slowly

    def _falls_behind(self) -> bool:
        unsent: Callable[[], int] | None = self.scope.get("unsent_bytes")
        if unsent is None or unsent() <= MAX_UNSENT_BYTES:
            return False
        self._is_behind = True
        self._catch_up_later(self._catch_up)
        return True

    async def _catch_up(self) -> None:
        unsent = self.scope["unsent_bytes"]()
        if unsent > GIVE_UP_UNSENT_BYTES:
            await self.close(CLOSE_TOO_SLOW)
        elif unsent > MAX_UNSENT_BYTES // 2:
            self._catch_up_later(self._catch_up)
        else:
            self._is_behind = False
            await self.refresh()

    def _catch_up_later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(_CATCH_UP_S, lambda: self._later(work()))


_tasks: set[asyncio.Task[None]] = set()


def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def _log_trouble(task: asyncio.Task[None]) -> None:
    """Log what went wrong where nobody waits any more."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception) and not isinstance(error, ConversationError):
        log.error("socket failed", exc_info=error)


async def _carried_out(work: Coroutine[Any, Any, None]) -> None:
    """Wait for what a visitor asked for; once begun it is done to its end, though the socket may go."""
    task = _begun(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_log_trouble)
        raise


def _find(
    visitor_id: str, slug: str | None, conversation_id: str | None, *, is_new: bool
) -> tuple[Assistant, str | None]:
    """Return the assistant, and the conversation to show."""
    assistant = assistants.find(slug)
    if conversation_id is not None:
        return assistant, transcript.conversation_of(visitor_id, assistant.pk, conversation_id).id
    newest = None if is_new else transcript.newest_open(visitor_id, assistant.pk)
    return assistant, None if newest is None else newest.id
