"""A file of requests, answered many at a time; the file of answers is the journal.

    {"id": "a1", "question": "Where is my parcel?", "system": "…", "parameters": {"temperature": 0.2}}
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, …]}

become, in the order of completion,

    {"line": 1, "id": "a1", "answer": "…", "complete": true, "usage": {…}, "cost": {…}, "error": null, …}

What is remembered of a line is four bytes, so a million lines need no more memory than a thousand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatbot.providers.errors import of_kind
from chatbot.providers.messages import CompletionRequest
from conversations.journal import Journal, NotAJournalError, mark
from conversations.requestlines import MOST_LINE_BYTES, Line, read_line
from conversations.trials import Trial

ROUNDS = 5  # of a line whose error may pass: a service that is away for a minute spoils no file
LONGEST_PAUSE_S = 30.0

Ask = Callable[[CompletionRequest], Awaitable[Trial]]


@dataclass(slots=True)
class Progress:
    """How far it is. `failed` are among the `done`, and `before` those of earlier runs."""

    total: int
    done: int = 0
    failed: int = 0
    before: int = 0


def count_lines(file: Path) -> int:
    """Count the lines that are not blank."""
    with file.open("rb") as lines:
        return sum(1 for _ in _raw_lines(lines))


def read_lines(file: Path, *, but: "Journal") -> Iterator[Line]:
    """Yield the lines that the journal has no answer to. Raises NotAJournalError when an answer in it
    belongs to another line."""
    with file.open("rb") as lines:
        for number, raw in _raw_lines(lines):
            known = but.known(number)
            if not known:
                yield read_line(raw, number)
            elif known != mark(read_line(raw, number).id):
                raise NotAJournalError(
                    f"Line {number} of {file.name} has another id than its answer in {but.file.name};"
                    " choose another file for the answers."
                )


@dataclass(slots=True)
class Batch:
    """The answering of one file. `changed` is called when `progress` has moved."""

    ask: Ask
    journal: Journal
    progress: Progress
    changed: Callable[[], None] = lambda: None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _lines: Iterator[Line] = field(default_factory=lambda: iter(()))

    async def run(self, lines: Iterator[Line], *, parallel: int) -> None:
        """Answer all lines, `parallel` at a time."""
        self._lines = lines
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(self._work())

    async def _work(self) -> None:
        for line in self._lines:  # shared by all who work
            trial = await self._answer(line)
            await self.journal.add(as_json(line, trial))
            self.progress.done += 1
            self.progress.failed += trial.error is not None
            self.changed()

    async def _answer(self, line: Line) -> Trial:
        """Ask, and ask again after a while when the error may pass."""
        if line.request is None:
            return Trial(error=of_kind("invalid_request", line.error))
        for number in range(ROUNDS):
            trial = await self.ask(line.request)
            if trial.error is None or not trial.error.retryable or trial.text or number == ROUNDS - 1:
                break
            wait_s = trial.error.retry_after_s
            await self.pause(min(2.0**number if wait_s is None else wait_s, LONGEST_PAUSE_S))
        return trial


def as_json(line: Line, trial: Trial) -> dict[str, Any]:
    """One answer, as it is written."""
    said = trial.as_json()
    last = trial.attempts[-1][0] if trial.attempts else None
    kept = ("finish", "complete", "usage", "cost", "error", "first_delta_ms", "total_ms")
    return {"line": line.number, "id": line.id, "answer": trial.text, "model": last} | {
        name: said[name] for name in kept
    }


def _raw_lines(lines: Any) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers; of one that is too long its beginning."""
    number = 0
    while raw := lines.readline(MOST_LINE_BYTES + 1):
        number += 1
        rest = raw
        while not rest.endswith(b"\n") and (rest := lines.readline(MOST_LINE_BYTES)):
            pass
        if raw.strip():
            yield number, raw
