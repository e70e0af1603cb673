"""`manage.py serve`: the whole product on one machine, under one parent.

It starts Redis, the local model, web processes on one socket, and two Celery workers; starts again
what dies; and stops them in the order in which they need each other: web, workers, model, Redis.
"""

import asyncio
import http.client
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from chatbot import listening, localmodel, logs
from chatbot.children import BASE_DIR, Child, NotReadyError
from chatbot.redisserver import RedisServer, find_binary

log = structlog.get_logger(__name__)

KILL_AFTER_S = 3.0  # a second Ctrl-C before that is a nervous finger
SAVE_S = 15.0  # what a web process may take beyond DRAIN_S to save and to close
REDIS_READY_S, WEB_READY_S, MODEL_READY_S = 10.0, 60.0, 60.0
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]
WhenReady = Callable[[bool], Iterable[str]]  # told whether the local model runs


class CannotServeError(Exception):
    """Something that is needed cannot start; the message is a sentence for the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `redis_url` None starts our own; `read_ahead` is what the local model reads first."""

    listening: socket.socket
    web_processes: int
    drain_s: float
    redis_url: str | None
    needs_local_model: bool
    read_ahead: str


def serve(plan: Plan, *, say: Say, when_ready: WhenReady) -> int:
    """Run everything until a signal ends it; return the exit code.

    `when_ready` gives the lines to print once the first page can be asked for. Raises
    CannotServeError when something does not start; all that had started is stopped by then.
    """
    logs.catch_the_rest()
    with ExitStack() as stack:
        return asyncio.run(_Supervisor(plan, stack, say).run(when_ready))


class _Supervisor:
    def __init__(self, plan: Plan, stack: ExitStack, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._environ: dict[str, str] = {}
        self._redis = self._redis_child(stack)
        self._address = stack.enter_context(localmodel.reserved()) if plan.needs_local_model else None
        if self._address is not None:
            self._environ |= self._address.environ
        self._model = self._model_child()
        self._web = [self._web_child(number) for number in range(1, plan.web_processes + 1)]
        self._workers = [self._worker_child("after", "--beat"), self._worker_child("long")]
        self._life: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._heard_at: float | None = None
        self._exit_code = 0

    # What there is to run

    def _redis_child(self, stack: ExitStack) -> list[Child]:
        if self._plan.redis_url is not None:
            return []
        binary = find_binary()
        if binary is None:
            raise CannotServeError("There is no Redis: install redis-server, or name one with REDIS_URL.")
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="chatbot-", ignore_cleanup_errors=True)
        )
        server = RedisServer(binary, Path(directory))
        self._environ["REDIS_URL"] = server.url
        return [
            Child(
                name="redis",
                argv=server.argv,
                is_ready=server.answers,
                ready_limit_s=REDIS_READY_S,
                stop_limit_s=5,
            )
        ]

    def _model_child(self) -> list[Child]:
        if self._address is None:
            return []
        address = self._address
        return [
            Child(
                name="local model",
                argv=localmodel.ARGV,
                env=self._environ,
                is_ready=lambda: localmodel.is_healthy(address),
                ready_limit_s=MODEL_READY_S,
                stop_limit_s=5,
            )
        ]

    def _web_child(self, number: int) -> Child:
        fd = self._plan.listening.fileno()
        return Child(
            name=f"web process {number}",
            argv=[sys.executable, str(BASE_DIR / "manage.py"), "web", "--fd", str(fd)],
            env=self._environ,
            pass_fds=[fd],
            death_signal=signal.SIGTERM,  # should we be killed, it still drains
            is_ready=lambda: _is_alive(self._plan.listening),
            ready_limit_s=WEB_READY_S,
            stop_limit_s=self._plan.drain_s + SAVE_S,
        )

    def _worker_child(self, queue: str, *more: str) -> Child:
        return Child(
            name=f"worker {queue}",
            argv=[
                *(sys.executable, "-m", "celery", "--quiet", "--app", "chatbot.celery", "worker"),
                *("--queues", queue, "--hostname", f"{queue}-{os.getpid()}@%h"),
                *("--pool", "threads", "--concurrency", "2"),
                *("--without-mingle", "--without-gossip", "--without-heartbeat"),
                *more,
            ],
            env=self._environ,
        )

    # Its life

    async def run(self, when_ready: WhenReady) -> int:
        for each in ENDING_SIGNALS:
            if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
                continue  # nohup
            asyncio.get_running_loop().add_signal_handler(each, self._hear)
        self._life = asyncio.create_task(self._live(when_ready))
        try:
            await self._life
        except asyncio.CancelledError:
            pass
        except NotReadyError as error:
            raise CannotServeError(str(error)) from error
        finally:
            self._stopping = asyncio.create_task(self._stop())
            await self._stopping
        return self._exit_code

    async def _live(self, when_ready: WhenReady) -> None:
        """Start everything, the first page first, and go on until cancelled."""
        await asyncio.gather(*(child.start() for child in self._redis))
        await asyncio.gather(*(child.until_ready() for child in self._redis))
        await asyncio.gather(*(child.start() for child in [*self._web, *self._model]))
        await self._web[0].until_ready()  # they share the socket: one that answers is a page that opens
        await self._await_model()
        for line in when_ready(self._address is not None):
            self._say(line)
        await asyncio.gather(*(child.start() for child in self._workers))
        if self._address is not None:
            await self._read_ahead(self._address)
        await asyncio.Event().wait()

    async def _await_model(self) -> None:
        for child in self._model:
            try:
                await child.until_ready()
            except NotReadyError as error:
                self._say(f"{error} Going on without it.")
                self._address = None
                await child.stop()

    async def _read_ahead(self, address: localmodel.Address) -> None:
        try:
            await asyncio.to_thread(localmodel.read_ahead, address, self._plan.read_ahead)
        except OSError as error:
            log.warning("local model could not read ahead", error=str(error))

    def _hear(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._heard_at is None:
            self._heard_at = now
            if self._life is not None:
                self._life.cancel()
            limit = f"up to {self._plan.drain_s:g} s for running answers"
            self._say(f"Stopping ({limit}; Ctrl-C again after {KILL_AFTER_S:.0f} s kills) …")
        elif now - self._heard_at >= KILL_AFTER_S and self._stopping is not None and self._exit_code == 0:
            self._exit_code = 1
            self._stopping.cancel()
            self._say("Killing what is left.")

    async def _stop(self) -> None:
        self._plan.listening.close()
        groups = [self._web, self._workers, self._model, self._redis]
        try:
            for group in groups:
                await asyncio.gather(*(child.stop() for child in group))
        except asyncio.CancelledError:
            await asyncio.gather(*(child.kill() for group in groups for child in group))


def _is_alive(listening_socket: socket.socket) -> bool:
    connection = http.client.HTTPConnection(*listening.reachable(listening_socket), timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status < HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
