"""The socket moves from one process to the other in mid-answer, or is silent for long."""

import asyncio
import random

import pytest

from chatbot.providers.scripted import recital
from tests.faults.product import Product
from tests.faults.web import Address
from tests.scale import count

ANSWERS = count(3, 25)
MOVES = count(4, 20)
AT_ONCE = 5
PIECES, DELAY_MS = 400, 10
IDLE_S = 7  # longer than the 5 s after which redis clients give up reading, unless told otherwise


async def test_a_socket_that_moves_in_mid_answer_shows_the_stored_text(product: Product) -> None:
    """ANSWERS answers, MOVES moves at random points of each: no gap is left, nothing comes twice."""
    here, there = product.web().address, product.web().address

    taken_back: list[int] = []
    for first in range(0, ANSWERS, AT_ONCE):
        seeds = range(first, min(first + AT_ONCE, ANSWERS))
        for each in await asyncio.gather(*(_read_on_the_move(product, seed, here, there) for seed in seeds)):
            taken_back += each

    most = max(taken_back, default=0)
    print(f"{ANSWERS * MOVES} moves, {len(taken_back)} took back up to {most} characters for a moment")


async def _read_on_the_move(product: Product, seed: int, here: Address, there: Address) -> list[int]:
    """Read one answer; return how many characters the shown text lost at each move where it lost some."""
    whole = "".join(recital(PIECES, seed))
    chance = random.Random(seed)
    client = await product.client(here, there).open()
    shown = client.shown
    turn_id = await client.asked(f"script: pieces={PIECES} delay_ms={DELAY_MS} seed={seed}")
    for length in sorted(chance.randrange(len(whole)) for _ in range(MOVES)):
        await client.until(
            lambda length=length: shown.answers or (shown.turn and len(shown.turn.text) >= length)  # type: ignore[misc]
        )
        client.cut()
        await client.ready()
    answer = await client.ended(turn_id)

    assert answer["text"] == whole
    assert product.stored(turn_id) == ("completed", whole)
    assert not shown.is_behind
    assert shown.repeats == 0
    assert shown.contradictions == []
    return [len(text) for text in shown.taken_back]


@pytest.mark.waits
async def test_an_idle_socket_stays_open_and_hears_what_happens(product: Product) -> None:
    here, there = product.web().address, product.web().address
    idle = await product.client(here).open()
    await idle.ended(await idle.asked("Hello."))
    other = await product.client(there, like=idle).open()

    await asyncio.sleep(IDLE_S)

    await idle.say("ping", id="still there?")
    await idle.until(lambda: idle.seen("pong", id="still there?"))
    turn_id = await other.asked("Hello again.")
    await other.ended(turn_id)
    assert (await idle.ended(turn_id))["text"] == "Hello again."
    assert (idle.closes, other.closes) == ([], [])
