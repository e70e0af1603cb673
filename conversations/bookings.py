"""Completions that no visitor asked for: trials from the terminal, probes, batches.

Each is written before its request and again at its end; what comes while others are being written is
written together.
"""

import asyncio
from dataclasses import dataclass, field

from django.db import transaction

from chatbot import database
from conversations.models import Completion, statements

FIELDS = (
    "status", "finish", "error", "error_code", "request_id", "input_tokens", "output_tokens",
    "cached_input_tokens", "reasoning_tokens", "usage_kind", "first_delta_ms", "total_ms",
)  # fmt: skip


UPDATE = f"UPDATE conversations_completion SET {', '.join(f'{name} = %s' for name in FIELDS)} WHERE id = %s"  # noqa: S608


@dataclass(slots=True)
class _Batch:
    """What is written together; `written` is done when it is."""

    begun: list[Completion] = field(default_factory=list)
    ended: list[Completion] = field(default_factory=list)
    written: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Bookings:
    """The rows of one event loop on their way into the database."""

    def __init__(self) -> None:
        self._next: _Batch | None = None
        self._writing: asyncio.Task[None] | None = None

    async def begin(self, row: Completion) -> None:
        """Return once the row is written."""
        batch = self._batch()
        batch.begun.append(row)
        await asyncio.shield(batch.written)

    async def end(self, row: Completion) -> None:
        """Return once the row's end is written."""
        batch = self._batch()
        batch.ended.append(row)
        await asyncio.shield(batch.written)

    def _batch(self) -> _Batch:
        if self._next is None:
            self._next = _Batch()
            if self._writing is None:
                self._writing = asyncio.create_task(self._write())
        return self._next

    async def _write(self) -> None:
        while self._next is not None:
            await asyncio.sleep(0)  # others of this moment; those of the next wait until these are written
            batch, self._next = self._next, None
            try:
                await database.run(_write, batch.begun, batch.ended)
            except Exception as error:
                batch.written.set_exception(error)
                batch.written.exception()  # somebody may have gone: the others raise it
            else:
                batch.written.set_result(None)
        self._writing = None


def _write(begun: list[Completion], ended: list[Completion]) -> None:
    with transaction.atomic():
        for row in begun:
            statements.insert(row)
        for row in ended:
            statements.execute(UPDATE, [*(getattr(row, name) for name in FIELDS), row.id])
