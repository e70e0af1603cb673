"""Ten minutes without a broker: what it left behind is drained when it is back, and nothing is doubled."""

import time

from tests.faults.product import Product
from tests.faults.waiting import eventually
from tests.scale import count

ENTRIES = count(1_200, 10_000)


async def test_a_backlog_is_drained_and_nothing_doubled(product: Product) -> None:
    turns = ENTRIES // 2
    product.redis.stop()
    await product.run(f"from tests.faults import backlog; backlog.write({turns})")
    product.start_worker("--beat")  # it waits for its broker
    began = time.monotonic()

    product.redis.start()
    await eventually(
        lambda: product.count("conversations_outboxentry WHERE done_at IS NULL") == 0, within_s=600
    )

    print(f"{ENTRIES} entries drained in {time.monotonic() - began:.0f} s")
    assert product.count("conversations_ledgerentry WHERE number = 1") == turns
    assert product.count("conversations_ledgerentry") == 2 * turns
    [(counted, attempts)] = product.database.rows(
        "SELECT SUM(turns), SUM(attempts) FROM conversations_hourlycounter"
    )
    assert (counted, attempts) == (turns, turns)
