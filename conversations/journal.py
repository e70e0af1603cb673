"""The file of answers of a batch, which is its journal: what stands in it is done."""

import asyncio
import fcntl
import os
import zlib
from array import array
from pathlib import Path
from typing import Any

import orjson


class NotAJournalError(Exception):
    """The file of answers cannot be gone on with; the sentence says why."""


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
                    self._note(said["line"], mark(said["id"]), has_failed=said["error"] is not None)
                except (KeyError, TypeError, ValueError) as error:
                    raise NotAJournalError(f"Line {at} of {self.file.name} is no answer of ours.") from error
        os.ftruncate(self._out, whole)

    def _note(self, number: int, its_mark: int, *, has_failed: bool) -> None:
        if number < 1:
            raise ValueError(number)
        if number >= len(self._marks):
            self._marks.extend([0] * (number + 1 - len(self._marks)))
        self.done += not self._marks[number]
        self.failed += has_failed
        self._marks[number] = its_mark


def mark(name: object) -> int:
    """Four bytes that stand for an id, never 0."""
    return zlib.crc32(orjson.dumps(name)) | 1


def _append(out: int, lines: bytes) -> None:
    left = memoryview(lines)
    while left:
        left = left[os.write(out, left) :]
    os.fsync(out)
