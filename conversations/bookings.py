"""Completions that no visitor asked for: trials from the terminal, probes, batches.

Each is written before its request, with the money that is held for it, and again at its end, with what
it cost; what comes while others are being written is written together.
"""

import asyncio
from dataclasses import dataclass, field

from django.db import transaction

from chatbot import database
from conversations import billing
from conversations.ledger import Posting
from conversations.models import Completion, Purpose, statements

FIELDS = (
    "status", "finish", "error", "error_code", "request_id", "input_tokens", "output_tokens",
    "cached_input_tokens", "reasoning_tokens", "billed_input_tokens", "billed_output_tokens", "usage_kind",
    "first_delta_ms", "total_ms",
)  # fmt: skip


UPDATE = f"UPDATE conversations_completion SET {', '.join(f'{name} = %s' for name in FIELDS)} WHERE id = %s"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Begun:
    """A completion about to be asked, and the tokens it is taken to need."""

    row: Completion
    input_tokens: int
    output_tokens: int


Costs = dict[str, Posting]
"""What completions that have ended cost, by id."""


@dataclass(slots=True)
class _Batch:
    """What is written together; `written` is done when it is."""

    begun: list[Begun] = field(default_factory=list)
    ended: list[Completion] = field(default_factory=list)
    written: asyncio.Future[Costs] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Bookings:
    """The rows of one event loop on their way into the database, all for one purpose."""

    def __init__(self, purpose: Purpose = Purpose.TEST) -> None:
        self._purpose = purpose
        self._next: _Batch | None = None
        self._writing: asyncio.Task[None] | None = None

    async def begin(self, row: Completion, *, input_tokens: int, output_tokens: int) -> None:
        """Return once the row is written, and money held for so many tokens."""
        batch = self._batch()
        batch.begun.append(Begun(row, input_tokens, output_tokens))
        await asyncio.shield(batch.written)

    async def end(self, row: Completion) -> Posting:
        """Return what it cost, once the row's end is written."""
        batch = self._batch()
        batch.ended.append(row)
        return (await asyncio.shield(batch.written)).get(row.id, Posting())  # nothing: the sweep was first

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
                costs = await database.run(_write, batch.begun, batch.ended, self._purpose)
            except Exception as error:
                batch.written.set_exception(error)
                batch.written.exception()  # somebody may have gone: the others raise it
            else:
                batch.written.set_result(costs)
        self._writing = None


def _write(begun: list[Begun], ended: list[Completion], purpose: Purpose) -> Costs:
    with transaction.atomic():
        for each in begun:
            statements.insert(each.row)
            billing.hold(
                each.row,
                input_tokens=each.input_tokens,
                output_tokens=each.output_tokens,
                purpose=purpose,
            )
        for row in ended:
            statements.execute(UPDATE, [*(getattr(row, name) for name in FIELDS), row.id])
        return {key: closing.posting for key, closing in billing.settle(ended).items()}
