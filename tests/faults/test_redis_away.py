"""Redis forgets or goes away in mid-answer: nothing stored is lost, and what clients show heals itself."""

import signal

from chatbot.providers.scripted import recital
from conversations.tasks import AFTER_TURN
from tests.faults.client import Client
from tests.faults.product import Product
from tests.faults.waiting import eventually

# Longer than any test here waits: each answer is stopped when there is nothing more to see.
PIECES, DELAY_MS, SEED = 9000, 20, 5
SCRIPT = f"script: pieces={PIECES} delay_ms={DELAY_MS} seed={SEED}"
AWAY = {"redis away", "tasks not sent"}


async def _asker_and_watcher(product: Product) -> tuple[Client, Client]:
    """Return the tab that asked, and another one at the other process; both show some of the answer."""
    here, there = product.web(), product.web()
    asker = await product.client(here.address).open()
    await asker.asked(SCRIPT)
    watcher = await product.client(there.address, like=asker).open()
    await asker.shows(200)
    await watcher.shows(200)
    return asker, watcher


def _length(client: Client) -> int:
    assert client.shown.turn is not None
    return len(client.shown.turn.text)


async def _ends_well(product: Product, asker: Client, watcher: Client, *, stopped_by: Client) -> None:
    """Stop the answer: both show what is stored, which is what the asker saw."""
    assert stopped_by.shown.turn is not None
    turn_id = stopped_by.shown.turn.id
    await stopped_by.say("turn.stop", turn_id=turn_id)
    seen = (await asker.ended(turn_id))["text"]
    assert (await watcher.ended(turn_id))["text"] == seen
    assert product.stored(turn_id) == ("stopped", seen)
    assert asker.shown.before_end[turn_id] == seen
    assert "".join(recital(PIECES, SEED)).startswith(seen)
    for client in (asker, watcher):
        assert client.shown.contradictions == []
        assert client.closes == []


async def test_a_redis_that_forgets_everything_is_told_again(product: Product) -> None:
    asker, watcher = await _asker_and_watcher(product)

    for _ in range(3):
        product.redis.command("FLUSHALL")
        await watcher.shows(_length(asker) + 1)

    await _ends_well(product, asker, watcher, stopped_by=watcher)
    assert (watcher.shown.repeats, watcher.shown.gaps, watcher.shown.taken_back) == (0, 0, [])


async def test_a_redis_that_restarts_is_told_again(product: Product) -> None:
    product.expected |= AWAY
    asker, watcher = await _asker_and_watcher(product)

    product.redis.stop()
    await asker.shows(_length(asker) + 500)  # the tabs of its own process see it all the same
    product.redis.start()
    await watcher.shows(_length(asker) + 1)

    await _ends_well(product, asker, watcher, stopped_by=watcher)


async def test_a_redis_that_stalls_is_told_what_it_missed(product: Product) -> None:
    product.expected |= AWAY
    asker, watcher = await _asker_and_watcher(product)

    product.redis.process.send_signal(signal.SIGSTOP)
    await asker.shows(_length(asker) + 1500)  # more than 2 s, after which nobody waits for it any more
    product.redis.process.send_signal(signal.SIGCONT)
    await watcher.shows(_length(asker) + 1)

    await _ends_well(product, asker, watcher, stopped_by=watcher)


async def test_an_answer_that_ends_while_redis_is_away_reaches_the_other_process(product: Product) -> None:
    product.expected |= AWAY
    asker, watcher = await _asker_and_watcher(product)

    product.redis.stop()

    await _ends_well(product, asker, watcher, stopped_by=asker)


async def test_a_stop_reaches_the_other_process_while_redis_is_away(product: Product) -> None:
    product.expected |= AWAY
    asker, watcher = await _asker_and_watcher(product)

    product.redis.stop()

    await _ends_well(product, asker, watcher, stopped_by=watcher)


async def test_without_redis_messages_are_answered_and_what_follows_is_done_later(product: Product) -> None:
    product.expected |= AWAY
    product.redis.stop()
    web = product.web()
    asker = await product.client(web.address).open()
    await asker.asked(SCRIPT)
    watcher = await product.client(web.address, like=asker).open()
    await asker.shows(200)
    await watcher.shows(_length(asker) + 1)
    await _ends_well(product, asker, watcher, stopped_by=watcher)
    assert product.count("conversations_outboxentry WHERE done_at IS NULL") == len(AFTER_TURN)

    product.redis.start()
    product.start_worker()
    product.database.rows("UPDATE conversations_outboxentry SET sent_at = '2000-01-01 00:00:00'")
    await product.run("from conversations import tasks; tasks.sweep_outbox.delay()")
    await eventually(lambda: product.count("conversations_outboxentry WHERE done_at IS NULL") == 0)
    await asker.ended(await asker.asked("Are you back?"))
    await eventually(
        lambda: product.count("conversations_outboxentry WHERE done_at IS NOT NULL") == 2 * len(AFTER_TURN)
    )
