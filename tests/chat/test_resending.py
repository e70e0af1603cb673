"""A message may be sent again without harm: it is stored once and answered once."""

import asyncio

import pytest

from conversations.models import Conversation, Message, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def test_the_same_id_again_gives_the_same_answer(anna: Tab, puppet: Puppet) -> None:
    for _ in range(3):
        await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its way.").finish()
    await anna.see("turn.finished")
    await anna.send("Where is it?", "c-1")

    first, *others = anna.seen("message.saved")
    assert all(each["message"] == first["message"] for each in others)
    assert len(others) == 3
    assert await Message.objects.filter(role="visitor").acount() == 1
    assert await Turn.objects.acount() == len(puppet.calls) == 1


async def test_the_same_id_with_other_text_is_a_conflict(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")

    error = await anna.refused("conflict", "message.send", id="c-1", text="Where is she?")

    assert error["id"] == "c-1"
    assert await Message.objects.acount() == 1


async def test_a_message_sent_again_after_a_reconnect_is_known(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    sent = await anna.send("Where is it?", "c-1")
    anna.cut()
    back = await tabs(other, token=anna.token)

    again = await back.send("Where is it?", "c-1")

    assert again == sent
    assert await Turn.objects.acount() == 1


async def test_the_message_that_opened_a_conversation_can_be_sent_twice(
    anna: Tab, puppet: Puppet, tabs: Tabs
) -> None:
    """The acknowledgement was lost, and the page does not know of the conversation."""
    sent = await anna.send("Where is it?", "c-1")
    back = await tabs(token=anna.token)
    await back.say("conversation.open", conversation_id=None)
    await back.until(lambda: back.conversation_id is None)

    again = await back.send("Where is it?", "c-1")

    assert again == sent
    assert back.conversation_id == anna.conversation_id
    await back.until(lambda: len(back.seen("ready")) == 2 or back.turn is not None)
    assert await Conversation.objects.acount() == 1


@pytest.mark.parametrize("round_", range(4))
async def test_two_tabs_that_send_it_at_once_store_it_once(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs, round_: int
) -> None:
    tab = await tabs(other, token=anna.token)

    await asyncio.gather(
        anna.say("message.send", id="c-1", text="Where is it?"),
        tab.say("message.send", id="c-1", text="Where is it?"),
    )
    for each in (anna, tab):
        await each.see("message.saved", id="c-1")
    (await puppet.call()).say("On its way.").finish()
    for each in (anna, tab):
        await each.until(lambda each=each: each.turn is None and len(each.messages) == 2)  # type: ignore[misc]

    assert anna.seen("message.saved")[0]["message"] == tab.seen("message.saved")[0]["message"]
    assert anna.shown == tab.shown
    assert await Conversation.objects.acount() == await Turn.objects.acount() == 1
    assert await Message.objects.acount() == 2


async def test_two_visitors_may_use_the_same_id(anna: Tab, puppet: Puppet, tabs: Tabs) -> None:
    berta = await tabs()

    first = await anna.send("Where is it?", "c-1")
    second = await berta.send("Where is mine?", "c-1")

    assert first["id"] != second["id"]
    assert await Conversation.objects.acount() == 2


async def test_a_known_message_is_answered_in_its_own_conversation(anna: Tab, puppet: Puppet) -> None:
    """The page sends what it kept while the visitor had already gone to a new conversation."""
    await anna.send("first", "c-1")
    (await puppet.asked("first")).say("one").finish()
    await anna.see("turn.finished")
    first = anna.conversation_id
    await anna.say("conversation.open", conversation_id=None)
    await anna.until(lambda: len(anna.seen("ready")) == 2)

    await anna.send("first", "c-1")
    await anna.until(lambda: len(anna.seen("ready")) == 3)

    assert anna.conversation_id == first
    assert anna.shown == [("visitor", "final", "first"), ("assistant", "final", "one")]
