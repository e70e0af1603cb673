"""Child processes: started in a session of their own, kept alive, stopped in an order that we choose.

A session of their own keeps the terminal's Ctrl-C from them. None outlives us, not even after
kill -9 (on Linux).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import structlog

log = structlog.get_logger(__name__)

BASE_DIR = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # prctl(2)
# Looked up here: between fork and exec no lock may be taken, since no thread is left to release it.
PRCTL = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0  # before a restart; doubled each time
STEADY_S = 30.0  # a child that ran so long has recovered: the next restart is quick again
POLL_S = 0.03


class Options(TypedDict):
    """Keyword arguments for `subprocess.Popen` and `asyncio.create_subprocess_exec` alike."""

    cwd: Path
    env: dict[str, str]
    stdin: int
    start_new_session: bool
    pass_fds: tuple[int, ...]
    preexec_fn: Callable[[], None]


def options(
    env: Mapping[str, str] | None = None,
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
) -> Options:
    """Say how to start a child in the project's directory. `env` is added to ours.

    The child gets `death_signal` when the thread that started it ends (on Linux), so start it in
    the main thread.
    """
    parent = os.getpid()

    return Options(
        cwd=BASE_DIR,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        preexec_fn=lambda: die_with(parent, death_signal),
    )


def die_with(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel for `death_signal` when our parent, whose pid is given, ends.

    A fork forgets the wish: a child's own child that should follow us has to say it again.
    """
    if PRCTL is not None:
        PRCTL(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:  # it ended before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


class NotReadyError(Exception):
    """A child ended, or did not answer in time, while it started. The message is a sentence."""


@dataclass(slots=True, kw_only=True, eq=False)
class Child:
    """One process that is started again whenever it ends, until it is stopped.

    `is_ready` may block for a second; None counts as ready at once. `death_signal` is for our own
    sudden end.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()
    death_signal: signal.Signals = signal.SIGKILL
    is_ready: Callable[[], bool] | None = None
    ready_limit_s: float = 60.0
    stop_limit_s: float = 10.0
    _process: asyncio.subprocess.Process | None = None
    _watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and watch over it from now on."""
        await self._spawn()
        self._watch = asyncio.create_task(self._keep(), name=f"watch {self.name}")

    async def until_ready(self) -> None:
        """Wait until it answers. Raises NotReadyError when it ends instead, or takes too long."""
        first = self._process
        try:
            async with asyncio.timeout(self.ready_limit_s):
                while self.is_ready is not None and not await asyncio.to_thread(self.is_ready):
                    if first is None or first.returncode is not None:
                        how = "was not started" if first is None else _ending(first.returncode)
                        raise NotReadyError(f"The {self.name} {how} before it answered.")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            limit = f"{self.ready_limit_s:g} s"
            raise NotReadyError(f"The {self.name} did not answer within {limit}.") from None

    async def stop(self) -> None:
        """Stop watching, ask it to end, and kill it when it has not ended within its limit."""
        if self._watch is not None:
            self._watch.cancel()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self.stop_limit_s):
                    await process.wait()
            except TimeoutError:
                log.warning("process killed", process=self.name, limit_s=self.stop_limit_s)
        await self._end_session(process)

    async def kill(self) -> None:
        """End it and all it started, at once."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is not None:
            await self._end_session(self._process)

    async def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        clock = asyncio.get_running_loop().time
        while self._process is not None:
            started_at = clock()
            await self._process.wait()
            if clock() - started_at > STEADY_S:
                wait_s = FIRST_WAIT_S
            log.warning(
                "process ended", process=self.name, how=_ending(self._process.returncode), restart_in_s=wait_s
            )
            await self._end_session(self._process)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            await self._spawn()
            log.info("process restarted", process=self.name, pid=self._process.pid)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self.argv, **options(self.env, death_signal=self.death_signal, pass_fds=self.pass_fds)
        )

    async def _end_session(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _ending(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with {returncode}"
