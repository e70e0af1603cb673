"""SIGTERM in mid-answer: clients go elsewhere, answers get their time, and nothing is lost."""

import asyncio
import time

from chatbot.providers.scripted import recital
from tests.faults.client import Client
from tests.faults.product import Product
from tests.faults.waiting import eventually
from tests.faults.web import KeptConnection, WebProcess
from tests.scale import count

ANSWERS = count(12, 50)
PIECES = 150
LONG_S, SHORT_S = 30, 2
GRACE_S = 8.0  # for saving and saying goodbye on a busy machine
RESTARTING = 4012


async def _all_asking(product: Product, web: WebProcess, script: str) -> tuple[list[Client], list[str]]:
    """Let ANSWERS visitors ask at once. Every third one will not heed the wish to go elsewhere."""
    clients = [product.client(web.address) for _ in range(ANSWERS)]
    await asyncio.gather(*(client.open() for client in clients))
    for each in clients[::3]:
        each.moves_when_told = False
    asking = (client.asked(f"script: {script} seed={seed}") for seed, client in enumerate(clients))
    return clients, await asyncio.gather(*asking)


async def test_answers_that_have_time_are_finished_and_seen_to_their_end(product: Product) -> None:
    old = product.web(DRAIN_S=str(LONG_S))
    clients, turns = await _all_asking(product, old, f"pieces={PIECES} delay_ms=40")
    await asyncio.gather(*(client.shows(50) for client in clients))
    product.web(old.address)

    old.terminate()
    began = time.monotonic()
    answers = await asyncio.gather(*map(Client.ended, clients, turns))
    assert await old.ended() == 0
    took_s = time.monotonic() - began

    for seed, (client, turn_id, answer) in enumerate(zip(clients, turns, answers, strict=True)):
        whole = "".join(recital(PIECES, seed))
        assert (answer["status"], answer["text"]) == ("final", whole)
        assert product.stored(turn_id) == ("completed", whole)
        assert (client.shown.contradictions, client.shown.repeats) == ([], 0)
        assert client.seen("draining")
        await client.back(losses=0 if client.moves_when_told else 1)
        assert client.closes == ([] if client.moves_when_told else [RESTARTING])
    assert product.count("conversations_turn") == ANSWERS
    assert took_s < LONG_S
    print(f"{ANSWERS} answers finished, exit 0 after {took_s:.1f} s")


async def test_answers_without_time_end_interrupted_with_the_text_that_was_shown(product: Product) -> None:
    old = product.web(DRAIN_S=str(SHORT_S))
    clients, turns = await _all_asking(product, old, "pieces=2000 delay_ms=40")
    await asyncio.gather(*(client.shows(50) for client in clients))
    product.web(old.address)

    old.terminate()
    began = time.monotonic()
    assert await old.ended() == 0
    took_s = time.monotonic() - began
    answers = await asyncio.gather(*map(Client.ended, clients, turns))

    for client, turn_id, answer in zip(clients, turns, answers, strict=True):
        assert answer["status"] == "interrupted"
        assert product.stored(turn_id) == ("interrupted", answer["text"])
        assert client.shown.contradictions == []
        if not client.moves_when_told:
            assert client.shown.before_end[turn_id] == answer["text"]
            assert client.shown.taken_back == []
    assert took_s < SHORT_S + GRACE_S
    print(f"{ANSWERS} answers interrupted, exit 0 after {took_s:.1f} s")


async def test_what_nobody_saw_goes_to_the_other_process(product: Product) -> None:
    old = product.web(DRAIN_S=str(SHORT_S))
    clients, turns = await _all_asking(product, old, "pieces=5 first_ms=6000")
    product.web(old.address)

    old.terminate()
    answers = await asyncio.gather(*map(Client.ended, clients, turns))

    for seed, (turn_id, answer) in enumerate(zip(turns, answers, strict=True)):
        assert answer["text"] == "".join(recital(5, seed))
        assert product.stored(turn_id) == ("completed", answer["text"])
    assert product.count("conversations_turn") == ANSWERS
    assert product.count("conversations_message WHERE role = 'assistant'") == ANSWERS
    assert await old.ended() == 0


async def test_a_draining_process_says_so_and_still_stores_what_is_sent(product: Product) -> None:
    old = product.web(DRAIN_S=str(LONG_S))
    busy, late = await product.client(old.address).open(), await product.client(old.address).open()
    busy.moves_when_told = late.moves_when_told = False
    await busy.asked("script: pieces=2000 delay_ms=40")
    await busy.shows(10)
    probe = KeptConnection(old.address)
    assert await probe.status("/readyz") == 200

    old.terminate()
    await late.until(lambda: late.seen("draining"))
    assert await probe.status("/readyz") == 503
    assert await probe.status("/livez") == 200
    await late.send("Is anybody there?")
    await late.saved()
    assert product.count("conversations_turn WHERE status = 'queued'") == 1

    product.web(old.address)
    await late.until(lambda: late.shown.answers)
    assert late.shown.answers[0]["text"] == "Is anybody there?"
    assert late.closes == []
    assert busy.shown.turn is not None
    await busy.say("turn.stop", turn_id=busy.shown.turn.id)
    assert await old.ended() == 0
    await eventually(lambda: product.count("conversations_turn WHERE status = 'stopped'") == 1)
    probe.close()


async def test_a_restart_of_the_only_process_keeps_what_was_seen_and_answers_what_was_not(
    product: Product,
) -> None:
    old = product.web(DRAIN_S="1")
    seen, unseen = await product.client(old.address).open(), await product.client(old.address).open()
    seen_turn = await seen.asked("script: pieces=2000 delay_ms=40")
    unseen_turn = await unseen.asked("script: pieces=5 first_ms=4000")
    await seen.shows(20)

    old.terminate()
    assert await old.ended() == 0
    assert product.count("conversations_turn WHERE status = 'queued'") == 1
    await unseen.send("And one more thing.")
    product.web(old.address)

    assert (await seen.ended(seen_turn))["status"] == "interrupted"
    assert (await unseen.ended(unseen_turn))["text"] == "".join(recital(5, 0))
    assert len(unseen.shown.messages) == 3  # one answer to both
