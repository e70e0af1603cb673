"""kill -9 around the acknowledgement: what was acknowledged is stored, what is sent again is stored once."""

import asyncio
import random
import time
from dataclasses import dataclass

from tests.faults.client import Client
from tests.faults.product import Product
from tests.faults.waiting import eventually
from tests.scale import count

KILLS = count(6, 200)
FIRST_GUESS_MS = 10.0


@dataclass(slots=True)
class Sent:
    """A visitor's message under the visitor's own id of it."""

    client: Client
    id: str
    text: str

    @property
    def answers(self) -> list[str]:
        """The ids it was acknowledged under, in order."""
        return [frame["message"]["id"] for frame in self.client.seen("message.saved", id=self.id)]


async def test_a_killed_process_loses_and_doubles_no_message(product: Product) -> None:
    """Two messages for each kill: one opens a conversation, one goes on with another."""
    product.expected |= {"turn of a dead process queued", "turn of a dead process ended"}
    addresses = [product.address(), product.address()]
    webs = [product.web(each) for each in addresses]
    chance = random.Random(11)
    usual_ms = FIRST_GUESS_MS
    all_sent: list[Sent] = []
    acknowledged_before = 0

    for number in range(KILLS):
        victim, other = number % 2, 1 - number % 2
        newcomer = await product.client(addresses[victim], addresses[other]).open()
        regular = await product.client(addresses[victim], addresses[other]).open()
        await regular.ended(await regular.asked("Good morning."))
        text = f"Where is parcel {number}?"
        began = time.monotonic()
        sent = [Sent(each, await each.send(text), text) for each in (newcomer, regular)]
        if number % 3 == 0:
            await chance.choice((newcomer, regular)).saved()
            usual_ms = (usual_ms + (time.monotonic() - began) * 1000) / 2
        else:
            await asyncio.sleep(chance.uniform(0, usual_ms) / 1000)
        webs[victim].kill()
        acknowledged_before += sum(bool(each.answers) for each in sent)
        webs[victim] = product.web(addresses[victim])
        for each in sent:
            await each.client.saved()
            await each.client.send(each.text, each.id)
            await each.client.saved()
        all_sent += sent

    for each in all_sent:
        stored = product.database.rows(
            f"SELECT id, text FROM conversations_message WHERE client_id = '{each.id}'"
        )
        assert [(message_id, each.text) for message_id in set(each.answers)] == stored
        await each.client.until(lambda each=each: _is_answered(each.client))  # type: ignore[misc]
    assert product.count("conversations_conversation") == len(all_sent)
    assert product.count("conversations_turn WHERE status NOT IN ('completed', 'interrupted')") == 0
    # Three messages and three answers for each kill, one of each before it.
    assert product.count("conversations_message WHERE role = 'visitor'") == 3 * KILLS
    assert product.count("conversations_message WHERE role = 'assistant'") == 3 * KILLS
    print(f"{KILLS} kills, {acknowledged_before} of {len(all_sent)} messages acknowledged before")


def _is_answered(client: Client) -> bool:
    newest = max(client.shown.messages.values(), key=lambda each: int(each["position"]))
    return bool(newest["role"] == "assistant")


async def test_a_message_that_comes_to_two_processes_is_stored_once(product: Product) -> None:
    """The first process stands still with it, as on a machine that is out of memory, and then goes on."""
    slow, other = product.web(), product.web()
    client = await product.client(slow.address, other.address).open()
    await (await product.client(other.address).open()).leave()  # it is up
    slow.freeze()
    await client.send("Where is my parcel?")

    client.cut()
    slow.thaw()
    await client.saved()

    await client.until(lambda: client.shown.answers)
    assert len(client.shown.messages) == 2
    assert product.count("conversations_message") == 2
    assert product.count("conversations_conversation") == 1


async def test_a_message_sent_again_shows_the_answer_it_got_meanwhile(product: Product) -> None:
    slow, other = product.web(), product.web()
    client = await product.client(slow.address, other.address).open()
    await (await product.client(other.address).open()).leave()  # it is up
    slow.freeze()
    client_id = await client.send("Where is my parcel?")
    client.unanswered.clear()

    client.cut()
    await client.ready()
    assert client.shown.conversation_id is None
    slow.thaw()
    await eventually(lambda: product.count("conversations_turn WHERE status = 'completed'") == 1)
    await client.send("Where is my parcel?", client_id)

    await client.until(lambda: client.shown.answers)
    assert len(client.shown.messages) == 2
