"""The ledger against a bill: call by call, while everything is killed, restarted, flushed and cut off."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from conversations import reconciliation
from conversations.reconciliation import Billed, Booked
from tests.faults.biller import Biller, Charge, biller
from tests.faults.product import Product
from tests.faults.waiting import eventually
from tests.faults.web import WebProcess
from tests.scale import count

CALLS = count(120, 2000)
VISITORS = count(12, 30)
CALLS_PER_FAULT = count(20, 40)
CLOSED_WITHIN_S = 120.0
SEED = 20261120
EXPECTED = {
    "redis away", "tasks not sent", "attempt failed", "turn of a dead process ended",
    "turn of a dead process queued", "turn not saved", "target rests",
}  # fmt: skip


class Line(NamedTuple):
    """A call as the books have it: `closing` is settle, release, or empty while it is held."""

    completion_id: str
    mark: str
    request_id: str
    closing: str
    counts: str
    input_tokens: int | None
    output_tokens: int | None
    nanos: int | None
    started_at: Any
    lines: int


class Fire:
    """What goes wrong, one thing after the other, each after so many calls."""

    def __init__(self, product: Product, service: Biller) -> None:
        self.product = product
        self.service = service
        self.done: defaultdict[str, int] = defaultdict(int)
        self._chance = random.Random(SEED)
        self._addresses = [product.address(), product.address()]
        self._webs: list[WebProcess] = [product.web(address) for address in self._addresses]

    @property
    def addresses(self) -> list[Any]:
        return list(self._addresses)

    async def burn(self) -> None:
        """Break something whenever so many calls were made, until cancelled."""
        calls = 0
        while True:
            calls += CALLS_PER_FAULT
            await eventually(lambda: len(self.service.bill) >= calls, within_s=600)  # noqa: B023
            what = self._chance.choice(["web", "web", "web", "worker", "restart redis", "flush redis"])
            self.done[what] += 1
            match what:
                case "web":
                    index = self._chance.randrange(len(self._webs))
                    self._webs[index].kill()
                    self._webs[index] = self.product.web(self._addresses[index])
                case "worker":
                    self.product.kill_worker()
                    self.product.start_worker("--beat")
                case "restart redis":
                    self.product.redis.stop()
                    seen = len(self.service.bill)
                    await eventually(lambda: len(self.service.bill) >= seen + 5, within_s=60)  # noqa: B023
                    self.product.redis.start()
                case _:
                    self.product.redis.command("FLUSHALL")


async def _visit(product: Product, fire: Fire, marks: Iterator[int], chance: random.Random) -> None:
    """Be one visitor after the other, with a question each: some wait, some stop it, some go away."""
    for mark in marks:
        addresses = chance.sample(fire.addresses, 2)
        client = await product.client(*addresses).open()
        await client.send(f"This is question {mark}.")
        await client.saved()
        mood = chance.random()
        if mood < 0.15:
            await client.leave()
            continue
        if mood < 0.3:
            await client.until(lambda: client.shown.answers or (client.shown.turn and client.shown.turn.text))  # noqa: B023
            if client.shown.turn is not None:
                await client.say("turn.stop", turn_id=client.shown.turn.id)
        await client.until(lambda: client.shown.answers)  # noqa: B023
        assert client.shown.contradictions == []
        await client.leave()


async def test_bill_and_ledger_agree_call_by_call(product: Product) -> None:
    product.expected |= EXPECTED
    async with biller(SEED) as service:
        product.configure(service.config)
        await product.run(
            "from django.core.management import call_command; call_command('prices', 'fill', '--json')"
        )
        product.start_worker("--beat")
        fire = Fire(product, service)
        began = time.monotonic()
        burning = asyncio.create_task(fire.burn())
        marks = iter(range(CALLS))
        chances = [random.Random(SEED + number) for number in range(VISITORS)]
        await asyncio.gather(*(_visit(product, fire, marks, chance) for chance in chances))
        burning.cancel()
        await asyncio.wait([burning])
        if product.redis.process.poll() is not None:
            product.redis.start()
        asked_s = time.monotonic() - began
        await eventually(lambda: product.count("conversations_turn WHERE finished_at IS NULL") == 0)

        ended = time.monotonic()
        await eventually(lambda: _open_holds(product) == 0, within_s=CLOSED_WITHIN_S)
        closed_s = time.monotonic() - ended

        books = _books(product)
        told = _compared(service.bill, books)
        print(
            f"{len(service.bill)} calls in {asked_s:.0f} s, {dict(fire.done)}; {told};"
            f" all holds closed {closed_s:.0f} s after the last turn"
        )
        assert product.count("conversations_turn") == CALLS


def _open_holds(product: Product) -> int:
    return product.count(
        "conversations_ledgerentry h WHERE h.number = 0 AND NOT EXISTS (SELECT 1 FROM"
        " conversations_ledgerentry c WHERE c.completion_id = h.completion_id AND c.number = 1)"
    )


def _books(product: Product) -> list[Line]:
    rows = product.database.rows(
        "SELECT c.id, m.text, c.request_id, e.kind, e.counts, e.input_tokens, e.output_tokens,"
        " e.amount_nanos, c.started_at,"
        " (SELECT COUNT(*) FROM conversations_ledgerentry x WHERE x.completion_id = c.id)"
        " FROM conversations_completion c JOIN conversations_turn t ON t.id = c.turn_id"
        " JOIN conversations_message m ON m.conversation_id = t.conversation_id AND m.position = 1"
        " LEFT JOIN conversations_ledgerentry e ON e.completion_id = c.id AND e.number = 1 ORDER BY c.id"
    )
    return [Line(key, text.split()[-1].rstrip("."), *rest) for key, text, *rest in rows]


def _compared(bill: list[Charge], books: list[Line]) -> dict[str, int]:
    """Hold every call against its line; return how many of which sort there were."""
    assert all(line.lines == 2 for line in books)  # a hold and what closed it, and nothing twice
    known = {line.request_id: line for line in books if line.request_id}
    assert len(known) == sum(bool(line.request_id) for line in books)
    told: defaultdict[str, int] = defaultdict(int)
    nameless: defaultdict[str, list[Charge]] = defaultdict(list)
    for charge in bill:
        line = known.pop(charge.request_id, None)
        if line is None:
            nameless[charge.mark].append(charge)
            continue
        assert line.mark == charge.mark
        if not charge.is_billed:
            assert line.closing == "release", (charge, line)
            told["given back"] += 1
        elif line.counts == "exact":
            assert (line.input_tokens, line.output_tokens) == (charge.input_tokens, charge.output_tokens)
            assert line.nanos == 1000 * charge.input_tokens + 4000 * charge.output_tokens
            told["exact"] += 1
        else:  # it broke off, or its usage was not told: marked, and near what it was
            assert not charge.is_whole, (charge, line)
            _is_estimate(line)
            told["estimated"] += 1
    assert not known  # nobody has booked what was never asked
    left: defaultdict[str, list[Line]] = defaultdict(list)
    for line in books:
        if not line.request_id:
            left[line.mark].append(line)
    for mark, charges in nameless.items():
        settled = [line for line in left[mark] if line.closing == "settle"]
        billed = [charge for charge in charges if charge.is_billed]
        assert len(billed) <= len(settled), (charges, left[mark])  # none is missing
        for line in settled:
            _is_estimate(line)
        told["estimated, without an id"] += len(billed)
    told["held and never asked"] = sum(map(len, left.values())) - sum(map(len, nameless.values()))
    by_command = reconciliation.compare(map(_billed, enumerate(bill, 1)), map(_booked, books))
    assert not {"missing", "tokens"} & reconciliation.count(by_command.differences).keys()
    return dict(told)


def _is_estimate(line: Line) -> None:
    assert (line.closing, line.counts) == ("settle", "estimated"), line
    assert line.input_tokens, line
    assert line.nanos, line


def _billed(numbered: tuple[int, Charge]) -> Billed:
    number, charge = numbered
    return Billed(
        line=number, request_id=charge.request_id, at=charge.at, model="billed-1",
        input_tokens=charge.input_tokens, output_tokens=charge.output_tokens,
    )  # fmt: skip


def _booked(line: Line) -> Booked:
    at = line.started_at
    at = datetime.fromisoformat(f"{at}+00:00") if isinstance(at, str) else at
    return Booked(
        completion_id=line.completion_id, request_id=line.request_id, at=at, ended_at=at, model="billed-1",
        input_tokens=line.input_tokens, output_tokens=line.output_tokens, counts=line.counts,
    )  # fmt: skip
