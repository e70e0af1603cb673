"""Several messages in a row are one turn, as long as nothing of its answer can be seen."""

import pytest

from conversations.models import Completion, Message, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_message_before_anything_is_visible_restarts_the_turn(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Do you ship", "c-1")
    first = await puppet.call(1)
    await anna.send("to Norway?", "c-2")
    second = await puppet.call(2)
    second.say("We do.").finish()
    finished = await anna.see("turn.finished")

    assert first.is_closed
    assert second.question == "Do you ship\n\nto Norway?"
    assert len(anna.seen("turn.started")) == 1
    started = anna.seen("turn.started")[0]
    assert (finished["turn_id"], finished["message"]["id"]) == (started["turn_id"], started["message_id"])
    assert anna.shown == [
        ("visitor", "final", "Do you ship"),
        ("visitor", "final", "to Norway?"),
        ("assistant", "final", "We do."),
    ]
    turn = await Turn.objects.aget()
    assert (turn.after, turn.through, turn.position, turn.generation) == (0, 2, 3, 2)


async def test_a_burst_of_many_messages_gets_one_answer_to_all(anna: Tab, puppet: Puppet) -> None:
    words = [f"word{number}" for number in range(8)]
    for number, word in enumerate(words):
        await anna.say("message.send", id=f"c-{number}", text=word)
    await anna.until(lambda: len(anna.seen("message.saved")) == 8)
    (await puppet.asked("\n\n".join(words))).say("All heard.").finish()
    await anna.see("turn.finished")

    assert len(anna.seen("turn.started")) == len(anna.seen("turn.finished")) == 1
    assert [message["position"] for message in anna.messages.values()] == list(range(1, 10))
    assert await Turn.objects.acount() == 1


async def test_what_a_burst_asked_before_is_closed_in_the_books(anna: Tab, puppet: Puppet) -> None:
    words = [f"word{number}" for number in range(6)]
    for number, word in enumerate(words):
        await anna.send(word, f"c-{number}")
    (await puppet.asked("\n\n".join(words))).say("Heard.").finish()
    await anna.see("turn.finished")

    rows = [row async for row in Completion.objects.order_by("number")]
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert {row.status for row in rows[:-1]} <= {"cancelled"}
    assert rows[-1].status == "completed"


async def test_a_message_after_the_first_delta_gets_the_next_turn(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Do you ship to Norway?", "c-1")
    first = await puppet.call(1)
    first.say("We ")
    await anna.sees("We ")
    await anna.send("And to Iceland?", "c-2")
    first.say("do.").finish()
    second = await puppet.call(2)
    second.say("There too.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert not first.question.endswith("Iceland?")
    assert second.question == "And to Iceland?"
    assert [(role, text) for role, _, text in anna.shown] == [
        ("visitor", "Do you ship to Norway?"),
        ("assistant", "We do."),
        ("visitor", "And to Iceland?"),
        ("assistant", "There too."),
    ]
    turns = [row async for row in Turn.objects.order_by("created_at")]
    assert [(row.after, row.through, row.position) for row in turns] == [(0, 1, 2), (1, 3, 4)]


async def test_two_messages_after_the_first_delta_share_the_next_turn(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Do you ship to Norway?", "c-1")
    first = await puppet.call(1)
    first.say("We do.")
    await anna.sees("We do.")
    await anna.send("And to Iceland?", "c-2")
    await anna.send("And to Greenland?", "c-3")
    first.finish()
    second = await puppet.call(2)
    second.say("To both.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert second.question == "And to Iceland?\n\nAnd to Greenland?"
    assert len(anna.seen("turn.started")) == 2
    assert anna.shown[-1] == ("assistant", "final", "To both.")


async def test_an_answer_without_a_word_stands_behind_its_question(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Do you ship to Norway?", "c-1")
    (await puppet.call(1)).fail("auth")
    await anna.see("turn.finished")

    message = await Message.objects.aget(role="assistant")
    assert (message.position, message.text, message.status) == (2, "", "failed")


async def test_the_position_of_an_answer_is_known_with_its_first_delta(
    anna: Tab, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Do you ship to Norway?", "c-1")
    call = await puppet.call(1)
    before = await tabs(token=anna.token)
    call.say("We do.")
    await anna.sees("We do.")
    after = await tabs(token=anna.token)

    assert before.seen("ready")[0]["turn"]["position"] is None
    assert anna.seen("turn.delta")[0]["position"] == 2
    assert after.seen("ready")[0]["turn"]["position"] == 2
    assert after.seen("ready")[0]["turn"]["text"] == "We do."


async def test_a_message_at_another_process_restarts_the_turn_too(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    await anna.send("Do you ship", "c-1")
    first = await puppet.call(1)
    elsewhere = await tabs(other, token=anna.token)
    await elsewhere.send("to Norway?", "c-2")
    second = await puppet.call(2)
    second.say("We do.").finish()
    for tab in (anna, elsewhere):
        await tab.see("turn.finished")

    assert first.is_closed
    assert second.question == "Do you ship\n\nto Norway?"
    assert anna.shown == elsewhere.shown
    assert anna.shown[-1] == ("assistant", "final", "We do.")
    assert len(anna.seen("turn.started")) == 1


async def test_a_restart_heard_late_does_not_touch_an_answer_that_can_be_seen(
    anna: Tab, process: Process, puppet: Puppet
) -> None:
    await anna.send("Do you ship", "c-1")
    await puppet.call(1)
    await anna.send("to Norway?", "c-2")
    second = await puppet.call(2)
    second.say("We do")
    await anna.sees("We do")
    turn = await Turn.objects.aget()
    process.live.announce(turn.conversation_id, "restart", turn.id)
    await process._heard(turn.conversation_id, "restart", turn.id)
    second.say(".").finish()

    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["text"]) == ("completed", "We do.")
