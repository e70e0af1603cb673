"""`python -m tests.bench.profiled OUT web …`: a management command, and where its CPU time went.

A sampling profiler: every few milliseconds of CPU time it notes where each thread stands, weighted with
the CPU time that thread has used since. It neither slows what is called often nor counts waiting as
work, nor the work of other processes that share the core, as cProfile does. Samples are taken from a
SIGUSR1 on, so that what was done to start does not count.

The shares of the threads are exact. Within a thread other than the main one, work counts to the next
place where it lets the interpreter go: a statement or commit is charged with what led to it.
"""

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import orjson
from django.core.management import execute_from_command_line

from tests.bench.processes import ROOT

EVERY_S = 0.001  # of CPU time; the kernel may make it its own tick of 4 ms
TOP = 25
OURS = ("chatbot", "conversations")
LOOP = ("chatbot/web.py", "chatbot/management")  # under everything, so the cause of nothing


@dataclass(slots=True)
class Profile:
    """CPU nanoseconds by thread, by whose file was running, function, and line of ours behind it."""

    threads: Counter[str] = field(default_factory=Counter)
    packages: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    def add(self, thread: str, frame: FrameType, spent_ns: int) -> None:
        """Count `spent_ns` of a thread where `frame` stands."""
        self.threads[thread] += spent_ns
        code = frame.f_code
        self.packages[package(code.co_filename)] += spent_ns
        self.functions[_place(frame, code.co_firstlineno)] += spent_ns
        for each in _outwards(frame):
            whose = package(each.f_code.co_filename)
            if whose.startswith(OURS) and not whose.startswith(LOOP):
                self.causes[_place(each, each.f_lineno)] += spent_ns
                return
        self.causes["the event loop and what it calls by itself"] += spent_ns

    def told(self) -> str:
        """Return the largest shares of each kind."""
        total = self.packages.total()
        lines = [f"{total / 1e9:.2f} s of CPU"]
        for title, shares in (
            ("by thread", self.threads),
            ("by package", self.packages),
            ("by function", self.functions),
            ("by the line of ours that asked for it", self.causes),
        ):
            lines += [title, *(f"{ns / total:7.1%}  {name}" for name, ns in shares.most_common(TOP))]
        return "\n".join(lines)


class Sampler:
    """Takes the samples in a signal's handler, which Python runs in the main thread."""

    def __init__(self) -> None:
        self.profile = Profile()
        self._clocks: dict[int, int] = {}
        self._counted_ns: dict[int, int] = {}
        self._names: dict[int, str] = {}

    def start(self, *_: object) -> None:
        """Sample from here on."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        """Sample no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _number: int, interrupted: FrameType | None) -> None:
        frames = sys._current_frames()
        spent_ns = {thread: self._spent_ns(thread) for thread in frames}
        main = threading.main_thread().ident
        for thread, frame in frames.items():
            standing = interrupted if thread == main else frame
            if standing is None or not spent_ns[thread]:
                continue
            is_waiting = standing.f_code.co_name == "select"
            if is_waiting and spent_ns[thread] < sum(spent_ns.values()) / 2:
                continue  # it was another thread's work that brought us here; this one's counts next time
            self._counted_ns[thread] += spent_ns[thread]
            self.profile.add(self._names.get(thread, "other"), standing, spent_ns[thread])

    def _spent_ns(self, thread: int) -> int:
        """CPU time of a thread that was not counted yet; 0 when it is first seen."""
        if thread not in self._clocks:
            self._clocks[thread] = time.pthread_getcpuclockid(thread)
            self._counted_ns[thread] = time.clock_gettime_ns(self._clocks[thread])
            self._names.update((each.ident, each.name) for each in threading.enumerate() if each.ident)
        return time.clock_gettime_ns(self._clocks[thread]) - self._counted_ns[thread]


def main(out: Path, command: Callable[[], object]) -> None:
    """Run a command and keep its profile in `out`."""
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    try:
        command()
    finally:
        sampler.stop()
        out.write_bytes(orjson.dumps(sampler.profile))


def told(out: Path) -> str:
    """Return in words what `main` kept."""
    kept = orjson.loads(out.read_bytes())
    return Profile(*(Counter(kept[name]) for name in ("threads", "packages", "functions", "causes"))).told()


def package(file: str) -> str:
    """Return whose file it is: the name of a package or of a module of the library, or our own path."""
    path = Path(file)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if path.is_relative_to(ROOT):
        return str(path.relative_to(ROOT))
    libraries = [at for at, part in enumerate(path.parts) if part.startswith("python3.")]
    return path.parts[libraries[-1] + 1] if libraries else path.name


def _place(frame: FrameType, line: int) -> str:
    code = frame.f_code
    whose, name = package(code.co_filename), Path(code.co_filename).name
    file = whose if whose.endswith(name) else f"{whose} {name}"
    return f"{file}:{line} {code.co_qualname}"


def _outwards(frame: FrameType) -> Iterator[FrameType]:
    outer: FrameType | None = frame
    while outer is not None:
        yield outer
        outer = outer.f_back


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")
    main(Path(sys.argv[1]), lambda: execute_from_command_line(["manage.py", *sys.argv[2:]]))
