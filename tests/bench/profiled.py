"""`python -m tests.bench.profiled OUT web …`: a management command under cProfile, dumped when it ends.

The main thread is profiled from a SIGUSR1 on, so that what it did to start does not count. Threads are
profiled too where the interpreter allows it (up to 3.11; later one profiler at a time).
"""

import contextlib
import cProfile
import marshal
import os
import pstats
import signal
import sys
import threading
from collections import defaultdict
from pathlib import Path

from django.core.management import execute_from_command_line

from tests.bench.processes import ROOT

TOP = 25
# Waiting is not work, and cProfile's clock does not know the difference.
WAITS = ("'poll' of 'select.epoll'", "'acquire' of '_thread.lock'", "'get' of '_queue.SimpleQueue'")

# What cProfile counts by: file, line and name; `~` is the file of what is written in C.
Function = tuple[str, int, str]
# Calls without and with recursion, seconds of its own and in all, and the same by caller.
Counts = tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]


def main(out: Path, arguments: list[str]) -> None:
    """Run the command and keep its profile in `out`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")
    profiles = [cProfile.Profile()]

    def profile_this_thread(*_: object) -> None:
        """Count what this thread does from here on; as a thread's profile function it replaces itself."""
        profile = cProfile.Profile()
        with contextlib.suppress(ValueError):
            profile.enable()
            profiles.append(profile)

    threading.setprofile(profile_this_thread)
    signal.signal(signal.SIGUSR1, lambda *_: profiles[0].enable())
    try:
        execute_from_command_line(["manage.py", *arguments])
    finally:
        profiles[0].disable()
        stats = pstats.Stats(profiles[0])
        for profile in profiles[1:]:
            stats.add(profile)
        stats.dump_stats(out)


def told(out: Path) -> str:
    """Return what cost most by own time: the share of each package, then the functions."""
    functions: dict[Function, Counts]
    functions = marshal.loads(out.read_bytes())
    for waiting in [function for function in functions if any(wait in function[2] for wait in WAITS)]:
        del functions[waiting]
    total = sum(counts[2] for counts in functions.values())
    seconds: defaultdict[str, float] = defaultdict(float)
    for (file, _, _), (_, _, own, _, callers) in functions.items():
        if file != "~":
            seconds[package(file)] += own
            continue
        for (caller_file, _, _), (_, _, own_there, _) in callers.items():
            seconds[package(caller_file)] += own_there
    lines = ["own time by package (what is written in C counts to its caller)"]
    by_package = sorted(seconds.items(), key=lambda item: item[1], reverse=True)
    lines += [f"{own / total:7.1%}  {name}" for name, own in by_package[:TOP]]
    lines += ["own time by function", "  share   calls  us each"]
    by_own = sorted(functions.items(), key=lambda item: item[1][2], reverse=True)
    for (file, line, name), (_, calls, own, _, _) in by_own[:TOP]:
        where = name if file == "~" else f"{package(file)} {Path(file).name}:{line} {name}"
        lines.append(f"{own / total:7.1%} {calls:7} {own / calls * 1e6:8.1f}  {where}")
    return "\n".join(lines)


def package(file: str) -> str:
    """Return whose file it is: the name of a package or of a module of the library, or our own path."""
    path = Path(file)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if path.is_relative_to(ROOT):
        return str(path.relative_to(ROOT))
    libraries = [at for at, part in enumerate(path.parts) if part.startswith("python3.")]
    return path.parts[libraries[-1] + 1] if libraries else path.name


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
