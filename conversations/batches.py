"""A file of requests, answered many at a time; the file of answers is the journal.

    {"id": "a1", "question": "Where is my parcel?", "system": "…", "parameters": {"temperature": 0.2}}
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, …]}

become, in the order of completion,

    {"line": 1, "id": "a1", "answer": "…", "complete": true, "usage": {…}, "cost": {…}, "error": null, …}

What is remembered of a line is four bytes, so a million lines need no more memory than a thousand.
"""

import asyncio
import fcntl
import os
import zlib
from array import array
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import orjson

from chatbot.providers.errors import of_kind
from chatbot.providers.messages import ChatMessage, CompletionRequest, Parameters, ReasoningEffort
from conversations import prompting
from conversations.trials import Trial

MOST_LINE_BYTES = 16 << 20  # longer than any model reads; a file without line ends is no file of requests
ROUNDS = 5  # of a line whose error may pass: a service that is away for a minute spoils no file
LONGEST_PAUSE_S = 30.0


def _number(lowest: float, highest: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and lowest <= value <= highest


# What each may be, in our own ranges; see chatbot.providers.messages.Parameters.
PARAMETERS: dict[str, Callable[[Any], bool]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "max_output_tokens": lambda value: type(value) is int and value > 0,
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "stop": lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
    "json": lambda value: (
        value == "object"
        or (
            isinstance(value, dict)
            and value.keys() == {"name", "schema"}
            and isinstance(value["schema"], dict)
        )
    ),
    "reasoning_effort": lambda value: value in get_args(ReasoningEffort),
}

Ask = Callable[[CompletionRequest], Awaitable[Trial]]


class NotAJournalError(Exception):
    """The file of answers cannot be gone on with; the sentence says why."""


class BadLineError(ValueError):
    """A line that is no request; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file of requests, `number` from 1. `error` says why it has no `request`."""

    number: int
    id: str | int
    request: CompletionRequest | None
    error: str = ""


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
            elif known != _mark(read_line(raw, number).id):
                raise NotAJournalError(
                    f"Line {number} of {file.name} has another id than its answer in {but.file.name};"
                    " choose another file for the answers."
                )


def read_line(raw: bytes, number: int) -> Line:
    """Read one line; one that cannot be read is a line with an error."""
    name: str | int = number
    try:
        if len(raw) > MOST_LINE_BYTES:
            raise BadLineError(f"The line is longer than {MOST_LINE_BYTES >> 20} MB.")
        try:
            said = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadLineError(f"The line is no JSON: {error}.") from error
        if not isinstance(said, dict):
            raise BadLineError("The line is no object.")
        given = said.get("id")
        if isinstance(given, str | int) and not isinstance(given, bool):
            name = given
        elif given is not None:
            raise BadLineError("`id` must be a text or a number.")
        return Line(number, name, _request(said))
    except BadLineError as error:
        return Line(number, name, None, str(error))


class Journal:
    """The file of answers. Opened by one process at a time; a half last line is dropped.

    Lines that come while others are being written are written together, and are on the disk when `add`
    returns."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.done = self.failed = 0
        self._marks = array("I")  # of each line's id, 0 where there is no answer yet
        self._out = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            fcntl.flock(self._out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._out)
            raise NotAJournalError(f"Another process is writing {file.name}.") from error
        try:
            self._read()
        except BaseException:
            os.close(self._out)
            raise
        self._waiting: list[bytes] = []
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    def known(self, number: int) -> int:
        """The mark of a line that has been answered, else 0."""
        return self._marks[number] if number < len(self._marks) else 0

    async def add(self, answer: dict[str, Any]) -> None:
        """Write an answer."""
        self._waiting.append(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        written = self._written
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(written)

    async def aclose(self) -> None:
        """Write what waits, and close."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        os.close(self._out)

    async def _write(self) -> None:
        while self._written is not None:
            lines, self._waiting = b"".join(self._waiting), []
            written, self._written = self._written, None
            try:
                await asyncio.to_thread(_append, self._out, lines)
            except OSError as error:
                written.set_exception(error)
                written.exception()
            else:
                written.set_result(None)
        self._writing = None

    def _read(self) -> None:
        """Learn which lines have been answered."""
        whole = 0
        with os.fdopen(os.dup(self._out), "rb") as lines:
            lines.seek(0)
            for at, raw in enumerate(lines, start=1):
                if not raw.endswith(b"\n"):
                    break
                whole += len(raw)
                try:
                    said = orjson.loads(raw)
                    number, mark, error = said["line"], _mark(said["id"]), said["error"]
                    is_line = isinstance(number, int) and number > 0
                except (orjson.JSONDecodeError, KeyError, TypeError) as broken:
                    raise NotAJournalError(f"Line {at} of {self.file.name} is no answer of ours.") from broken
                if not is_line:
                    raise NotAJournalError(f"Line {at} of {self.file.name} is no answer of ours.")
                if number >= len(self._marks):
                    self._marks.extend([0] * (number + 1 - len(self._marks)))
                self.done += not self._marks[number]
                self.failed += error is not None
                self._marks[number] = mark
        os.ftruncate(self._out, whole)


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


def _request(said: dict[str, Any]) -> CompletionRequest:
    system = said.get("system") or ""
    if not isinstance(system, str):
        raise BadLineError("`system` must be a text.")
    if ("question" in said) == ("messages" in said):
        raise BadLineError("The line needs `question` or `messages`, and not both.")
    given = said.get("messages", [{"role": "user", "content": said.get("question")}])
    if not isinstance(given, list) or not given:
        raise BadLineError("`messages` must be a list with something in it.")
    messages = []
    for each in given:
        match each:
            case {"role": "system", "content": str(text)}:
                system = f"{system}\n\n{text}".strip()
            case {"role": "user" | "assistant" as role, "content": str(text)} if text.strip():
                messages.append(ChatMessage(role, text))
            case _ if "question" in said:
                raise BadLineError("`question` must be a text that says something.")
            case _:
                raise BadLineError("A message needs a `role` (user, assistant, system) and a `content`.")
    if not messages or messages[-1].role != "user":
        raise BadLineError("The last message must be the user's.")
    return CompletionRequest(system=system, messages=tuple(messages), parameters=_parameters(said))


def _parameters(said: dict[str, Any]) -> Parameters:
    given = said.get("parameters") or {}
    if not isinstance(given, dict):
        raise BadLineError("`parameters` must be an object.")
    for name, value in given.items():
        if name not in PARAMETERS:
            raise BadLineError(f"There is no parameter `{name}`; there are {', '.join(PARAMETERS)}.")
        if value is not None and not PARAMETERS[name](value):
            raise BadLineError(f"The parameter `{name}` cannot be {orjson.dumps(value).decode()}.")
    return prompting.parameters_of(given)


def _mark(name: object) -> int:
    """Four bytes that stand for an id, never 0."""
    return zlib.crc32(orjson.dumps(name)) | 1


def _append(out: int, lines: bytes) -> None:
    left = memoryview(lines)
    while left:
        left = left[os.write(out, left) :]
    os.fsync(out)
