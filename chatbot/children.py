"""How child processes are started: in a session of their own, and never outliving us, not even after kill -9.

A session of their own keeps the terminal's Ctrl-C from them: whoever started them decides in which
order they stop.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

BASE_DIR = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # prctl(2)


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

    def prepare() -> None:
        die_with_parent(death_signal)
        if os.getppid() != parent:  # it died before we could ask
            os.kill(os.getpid(), signal.SIGKILL)

    return Options(
        cwd=BASE_DIR,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        preexec_fn=prepare,
    )


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel for `death_signal` when our parent ends.

    A fork forgets the wish: a child's own child that should follow us has to say it again.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal))
