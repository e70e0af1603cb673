"""The web process: daphne's server, with a start and an end of our own.

daphne ends streams at once on SIGTERM and has no hooks for start and end. Here the first SIGTERM or
SIGINT drains: accept nothing more, run the hooks, let requests end, close what is left, exit with 0.
A second signal, a while later, ends it at once.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from twisted.internet import asyncioreactor

# Twisted keeps the first reactor that is installed, so this stands before everything that imports one.
LOOP = asyncio.new_event_loop()
asyncioreactor.install(LOOP)  # type: ignore[no-untyped-call]

from daphne.server import Server  # noqa: E402
from daphne.ws_protocol import WebSocketProtocol  # noqa: E402
from twisted.internet import defer  # noqa: E402
from twisted.internet import reactor as installed  # noqa: E402
from twisted.logger import LogLevel, STDLibLogObserver, globalLogPublisher  # noqa: E402

from chatbot import logs  # noqa: E402

reactor: Any = installed
log = structlog.get_logger(__name__)

StartHook = Callable[[], Awaitable[None]]
DrainHook = Callable[[float], Awaitable[None]]

HOOK_GRACE_S = 10.0  # what a drain hook may take for saving, on top of the limit it is given
CLOSE_S = 2.0  # for the closing handshakes, and for applications that save when they are cancelled
SAME_SIGNAL_S = 1.0  # a dying parent with several threads sends its children SIGTERM for each of them
CLOSE_RESTARTING = 4012  # 1012 is not ours to send: applications may use 1000 and 3000-4999


class WebProcess(Server):  # type: ignore[misc]  # daphne has no types
    """daphne's server on a socket that is listening already."""

    def __init__(
        self,
        application: Any,
        listening: socket.socket,
        *,
        on_start: Sequence[StartHook],
        on_drain: Sequence[DrainHook],
        drain_s: float,
    ) -> None:
        super().__init__(
            application,
            endpoints=["our socket"],  # it refuses to be without
            signal_handlers=False,
            http_timeout=300,  # downloads included
            websocket_timeout=-1,  # a tab may stay open for days
            websocket_connect_timeout=20,
            websocket_handshake_timeout=20,  # 5 is too short for a machine that is busy
            ping_interval=20,
            ping_timeout=30,
            application_close_timeout=10,
            verbosity=1,  # from 2 on it redirects stderr into the log, which ends there
            server_name="",
            ready_callable=self._begin,
        )
        self.endpoints: list[str] = []
        self.exit_code = 0
        self._listening = listening
        self._port: Any = None
        self._on_start = on_start
        self._on_drain = on_drain
        self._drain_s = drain_s
        self._ending: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self._starting: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        observer: Any = _observe
        globalLogPublisher.addObserver(observer)
        for each in (signal.SIGTERM, signal.SIGINT):
            LOOP.add_signal_handler(each, self._hear)
        self._port = reactor.adoptStreamPort(
            self._listening.fileno(), self._listening.family, self.http_factory
        )
        self._listening.close()  # the reactor has a copy; one left open would keep the port taken
        self._starting = LOOP.create_task(self._start())

    async def _start(self) -> None:
        try:
            for hook in self._on_start:
                await hook()
        except Exception:
            log.exception("web process cannot start")
            self.exit_code = 1
            reactor.stop()

    def _hear(self) -> None:
        if self._ending is None:
            self._heard_at = LOOP.time()
            self._ending = LOOP.create_task(self._end())
        elif reactor.running and LOOP.time() - self._heard_at > SAME_SIGNAL_S:
            log.warning("web process stops at once")
            self.exit_code = 1
            reactor.stop()

    async def _end(self) -> None:
        give_up_at = LOOP.time() + self._drain_s
        await defer.maybeDeferred(self._port.stopListening).asFuture(LOOP)
        for hook in self._on_drain:
            try:
                async with asyncio.timeout(self._drain_s + HOOK_GRACE_S):
                    await hook(self._drain_s)
            except Exception:
                log.exception("drain hook failed")
        requests = self._running(sockets=False)
        if requests:
            await asyncio.wait(requests, timeout=max(0.0, give_up_at - LOOP.time()))
        sockets = self._running(sockets=True)
        if sockets:
            for protocol in list(self.connections):
                if isinstance(protocol, WebSocketProtocol):
                    protocol.serverClose(code=CLOSE_RESTARTING)
            await asyncio.wait(sockets, timeout=CLOSE_S)
        if reactor.running:
            reactor.stop()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Tell a socket's application how much its client has yet to read: daphne has no back-pressure."""
        if isinstance(protocol, WebSocketProtocol):
            scope["unsent_bytes"] = lambda: _unsent_bytes(protocol.transport)
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send what an application says; a text frame on an open socket by the short way.

        What comes after the closing handshake has begun goes nowhere: the client was told.
        """
        if message["type"] == "websocket.send" and isinstance(protocol, WebSocketProtocol):
            if protocol.state in (WebSocketProtocol.STATE_CLOSING, WebSocketProtocol.STATE_CLOSED):
                return
            if (
                protocol.state == WebSocketProtocol.STATE_OPEN
                and message.get("text") is not None
                and protocol._perMessageCompress is None
                and "disconnected" not in self.connections.get(protocol, {"disconnected": True})
            ):
                _send(protocol.transport, _text_frame(message["text"].encode()))
                return
        await super().handle_reply(protocol, message)

    def _running(self, *, sockets: bool) -> list[asyncio.Future[None]]:
        return [
            details["application_instance"]
            for protocol, details in self.connections.items()
            if isinstance(protocol, WebSocketProtocol) is sockets
            and "application_instance" in details  # not there between the requests of a connection
            and not details["application_instance"].done()
        ]

    def kill_all_applications(self) -> defer.Deferred[object]:
        """Cancel what still runs, and wait until it has saved. Twisted calls this before it stops.

        daphne's own fails at a connection without a request, and waits without a limit.
        """
        left = [*self._running(sockets=False), *self._running(sockets=True)]
        for application in left:
            application.cancel()
        if not left:
            return defer.succeed(None)
        return defer.Deferred.fromFuture(LOOP.create_task(asyncio.wait(left, timeout=CLOSE_S)))


_to_standard_log: Any = STDLibLogObserver("twisted")  # or Twisted's errors are lost


def _observe(event: Any) -> None:
    """Log what Twisted says; that a client broke the protocol is the client's business."""
    if event["log_level"] > LogLevel.warn or not event.get("log_namespace", "").startswith("autobahn"):
        _to_standard_log(event)


def _unsent_bytes(transport: Any) -> int:
    """Return what Twisted holds for a connection beyond what the kernel took."""
    unsent: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return unsent


def _text_frame(payload: bytes) -> bytes:
    """Return one whole, unmasked text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes((0x81, size))
    elif size < 1 << 16:
        head = b"\x81\x7e" + size.to_bytes(2)
    else:
        head = b"\x81\x7f" + size.to_bytes(8)
    return head + payload


def _send(transport: Any, data: bytes) -> None:
    """Hand data to the kernel at once if nothing waits before it, the rest to Twisted.

    autobahn's and Twisted's way to the same bytes costs some 20 microseconds more a frame, a third of
    the cost of a delta: logging that is not wanted, and waiting for a socket that is ready anyway.
    """
    if not _unsent_bytes(transport):
        try:
            data = data[transport.socket.send(data) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return  # Twisted will hear of it when it reads
    if data:
        transport.write(data)


def serve(
    application: Any,
    listening: socket.socket,
    *,
    on_start: Sequence[StartHook] = (),
    on_drain: Sequence[DrainHook] = (),
    drain_s: float,
) -> int:
    """Serve `application` until a signal ends it; return the exit code, 0 when it drained.

    The hooks run in the server's event loop: those of `on_start` when it runs, those of `on_drain`,
    with the seconds they may take, when no new connection is accepted any more.
    """
    logs.catch_the_rest()
    process = WebProcess(application, listening, on_start=on_start, on_drain=on_drain, drain_s=drain_s)
    process.run()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # it is over; Python's own end would let one kill us
    return process.exit_code
