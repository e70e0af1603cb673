"""Processes of a benchmark: on which core they run, what they have used, and their certain end."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.plan import Sample

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 30
_CORES = sorted(os.sched_getaffinity(0))
SUBJECT_CORE = _CORES[0]
LOAD_CORE = _CORES[-1]
UPSTREAM_CORE = _CORES[-2] if len(_CORES) > 2 else _CORES[-1]


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and all its threads, to the nanosecond (psutil counts in ticks of 10 ms)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9  # Linux's number for another process's CPU clock


def sample(pid: int) -> Sample:
    """Return what a process and its children have used; those that have ended are not counted."""
    process = psutil.Process(pid)
    tree = [process, *process.children(recursive=True)]
    return Sample(
        cpu_s=sum(cpu_s(each.pid) for each in tree),
        resident_bytes=sum(each.memory_info().rss for each in tree),
    )


def machine_busy_s() -> float:
    """CPU seconds all processes of this machine have used since it started."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started meanwhile run on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> None:
    """Raise the limit of open files as far as it goes; a thousand sockets need it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(
    *command: str, core: int, env: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on one core, asked to end afterwards and killed if it does not.

    Its output goes to `log`; without one stdout is a pipe and stderr the terminal.
    """
    out = log.open("ab") if log is not None else None
    with pinned(core):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.STDOUT if out is not None else None,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (out, process.stdout):
            if stream is not None:
                stream.close()


def python(*arguments: str) -> tuple[str, ...]:
    """Return the command of this interpreter with `arguments`."""
    return (sys.executable, *arguments)
