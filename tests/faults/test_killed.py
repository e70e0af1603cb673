"""kill -9 in mid-answer: the other process ends what was seen, and answers what was not."""

import time
from itertools import accumulate

from chatbot.providers.scripted import recital
from tests.faults.product import Product
from tests.scale import count

WITHIN_S = 20.0
LOST_MS = 250
CLIENTS = count(4, 20)
PIECES, DELAY_MS = 3000, 20


async def test_what_was_shown_is_kept_and_can_be_tried_again(product: Product) -> None:
    product.expected |= {"turn of a dead process ended"}
    victim, survivor = product.web(), product.web()
    clients = [await product.client(victim.address, survivor.address).open() for _ in range(CLIENTS)]
    turns = []
    for seed, client in enumerate(clients):
        turns.append(await client.asked(f"script: pieces={PIECES} delay_ms={DELAY_MS} seed={seed}"))
        await client.shows(20 + 7 * seed)  # so that they do not all write to Redis at the same moments
    await (await product.client(survivor.address).open()).leave()  # it is up

    victim.kill()
    killed_at = time.monotonic()
    shown = [client.shown.turn.text if client.shown.turn else "" for client in clients]
    for client in clients:
        await client.back()
    answers = [await client.ended(turn_id) for client, turn_id in zip(clients, turns, strict=True)]
    took_s = time.monotonic() - killed_at

    lost = []
    for seed, (client, answer, text) in enumerate(zip(clients, answers, shown, strict=True)):
        assert answer["status"] == "interrupted"
        assert product.stored(answer["turn_id"]) == ("interrupted", answer["text"])
        assert "".join(recital(PIECES, seed)).startswith(answer["text"])
        assert client.shown.contradictions == []
        lost.append(_pieces(text, seed) - _pieces(answer["text"], seed))
    # A piece takes DELAY_MS at least, however slow the machine is.
    assert max(lost) * DELAY_MS <= LOST_MS, lost
    assert took_s < WITHIN_S
    print(f"ended after {took_s:.1f} s, pieces of {DELAY_MS} ms lost: {sorted(lost)}")

    retried = clients[0]
    await retried.say("turn.retry", turn_id=turns[0])
    await retried.until(lambda: retried.shown.turn and retried.shown.turn.id != turns[0])
    assert retried.shown.turn is not None
    await retried.say("turn.stop", turn_id=retried.shown.turn.id)
    second = await retried.ended(retried.shown.turn.id)
    assert (second["replaces"], second["status"]) == (answers[0]["id"], "stopped")


async def test_what_nobody_saw_is_answered_by_the_other_process_once(product: Product) -> None:
    product.expected |= {"turn of a dead process queued"}
    """Two others, on one socket: one of them takes it up."""
    victim, survivor = product.web(), product.web()
    product.web(survivor.address)
    clients = [await product.client(victim.address, survivor.address).open() for _ in range(CLIENTS)]
    turns = [
        await client.asked(f"script: pieces=5 first_ms=3000 seed={seed}")
        for seed, client in enumerate(clients)
    ]
    await (await product.client(survivor.address).open()).leave()  # it is up

    victim.kill()
    killed_at = time.monotonic()
    for client in clients:
        await client.until(lambda client=client: client.shown.turn is None or client.shown.turn.text)  # type: ignore[misc]
    took_s = time.monotonic() - killed_at

    for seed, (client, turn_id) in enumerate(zip(clients, turns, strict=True)):
        answer = await client.ended(turn_id)
        assert (answer["status"], answer["text"]) == ("final", "".join(recital(5, seed)))
        assert product.stored(turn_id) == ("completed", answer["text"])
        assert client.shown.contradictions == []
    assert product.count("conversations_message WHERE role = 'assistant'") == CLIENTS
    assert product.count("conversations_turn") == CLIENTS
    assert product.count("conversations_completion WHERE status = 'running'") == 0
    assert took_s < WITHIN_S + 3  # which is how long the model thinks
    print(f"answered after {took_s:.1f} s")


def _pieces(text: str, seed: int) -> int:
    """Return how many whole pieces of the answer `text` has."""
    return sum(end <= len(text) for end in accumulate(map(len, recital(PIECES, seed))))
