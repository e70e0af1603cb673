"""Asking for another answer: it replaces the old one, which stays on record."""

import pytest

from conversations.models import Conversation, HistoryWindow, Message, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet
from tests.faults.shown import Frame

pytestmark = pytest.mark.django_db(transaction=True)


async def _answered(tab: Tab, puppet: Puppet, question: str, answer: str) -> Frame:
    """Let a question be asked and answered; return its `turn.finished`."""
    known = len(tab.seen("turn.finished"))
    await tab.send(question, f"q-{question}")
    (await puppet.asked(question)).say(answer).finish()
    await tab.until(lambda: len(tab.seen("turn.finished")) > known)
    return tab.seen("turn.finished")[-1]


async def test_a_retry_answers_the_same_question_anew(anna: Tab, puppet: Puppet) -> None:
    first = await _answered(anna, puppet, "Where is it?", "I do not know.")

    await anna.say("turn.retry", turn_id=first["turn_id"])
    await anna.until(lambda: len(anna.seen("turn.started")) == 2)
    (await puppet.asked("Where is it?")).say("On its way.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    second = anna.seen("turn.finished")[-1]
    assert second["turn_id"] != first["turn_id"]
    assert second["message"]["replaces"] == first["message"]["id"]
    assert anna.seen("turn.started")[1]["replaces"] == first["message"]["id"]
    assert anna.shown == [
        ("visitor", "final", "Where is it?"),
        ("assistant", "final", "I do not know."),
        ("assistant", "final", "On its way."),
    ]
    assert [message.role for message in puppet.calls[1].request.messages] == ["user"]
    turns = [(row.after, row.through) async for row in Turn.objects.order_by("created_at")]
    assert turns == [(0, 1), (0, 1)]


async def test_what_was_replaced_is_not_shown_to_the_model_again(anna: Tab, puppet: Puppet) -> None:
    first = await _answered(anna, puppet, "Where is it?", "I do not know.")
    await anna.say("turn.retry", turn_id=first["turn_id"])
    (await puppet.call(2)).say("On its way.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    await anna.send("Since when?", "c-2")
    third = await puppet.asked("Since when?")

    said = [message.text for message in third.request.messages]
    assert said == ["Where is it?", "On its way.", "Since when?"]
    window = await HistoryWindow.objects.order_by("completion__started_at").alast()
    assert window is not None
    assert (window.sent, window.dropped) == ([1, 3, 4], [{"from": 2, "to": 2, "reason": "replaced"}])


async def test_a_retry_of_a_retry_replaces_the_retry(anna: Tab, puppet: Puppet) -> None:
    turn = await _answered(anna, puppet, "Where is it?", "answer 1")
    for number in (2, 3):
        await anna.say("turn.retry", turn_id=turn["turn_id"])
        (await puppet.call(number)).say(f"answer {number}").finish()
        await anna.until(lambda number=number: len(anna.seen("turn.finished")) == number)  # type: ignore[misc]
        assert anna.seen("turn.finished")[-1]["message"]["replaces"] == turn["message"]["id"]
        turn = anna.seen("turn.finished")[-1]

    assert [text for _, _, text in anna.shown] == ["Where is it?", "answer 1", "answer 2", "answer 3"]


async def test_a_failed_turn_can_be_tried_again(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).fail("auth")
    failed = await anna.see("turn.finished")

    await anna.say("turn.retry", turn_id=failed["turn_id"])
    (await puppet.call(2)).say("On its way.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert anna.shown[-1] == ("assistant", "final", "On its way.")


async def test_a_message_during_a_retry_is_joined_to_it(anna: Tab, puppet: Puppet) -> None:
    first = await _answered(anna, puppet, "Where is it?", "I do not know.")

    await anna.say("turn.retry", turn_id=first["turn_id"])
    await puppet.call(2)
    await anna.send("My parcel, I mean.", "c-2")
    await puppet.until(lambda: "My parcel" in puppet.calls[-1].question and not puppet.calls[-1].is_closed)
    puppet.calls[-1].say("On its way.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert len(anna.seen("turn.started")) == 2
    assert anna.seen("turn.finished")[-1]["message"]["replaces"] == first["message"]["id"]


async def test_a_running_turn_cannot_be_tried_again(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    await puppet.call()
    started = await anna.see("turn.started")

    error = await anna.refused("conflict", "turn.retry", turn_id=started["turn_id"], id="r-1")

    assert error["id"] == "r-1"


async def test_only_the_last_turn_can_be_tried_again(anna: Tab, puppet: Puppet) -> None:
    first = await _answered(anna, puppet, "Where is it?", "On its way.")
    await _answered(anna, puppet, "Since when?", "Since Monday.")

    await anna.refused("conflict", "turn.retry", turn_id=first["turn_id"])

    assert await Turn.objects.acount() == 2


async def test_two_retries_at_once_give_one_turn(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    first = await _answered(anna, puppet, "Where is it?", "I do not know.")
    elsewhere = await tabs(other, token=anna.token)

    await anna.say("turn.retry", turn_id=first["turn_id"])
    await elsewhere.say("turn.retry", turn_id=first["turn_id"])
    (await puppet.call(2)).say("On its way.").finish()
    for tab in (anna, elsewhere):
        await tab.until(lambda tab=tab: len(tab.messages) == 3 and tab.turn is None)  # type: ignore[misc]

    assert await Turn.objects.acount() == 2
    assert len(anna.seen("error", code="conflict") + elsewhere.seen("error", code="conflict")) == 1
    assert anna.shown == elsewhere.shown


async def test_nothing_is_tried_again_in_a_closed_conversation(anna: Tab, puppet: Puppet) -> None:
    first = await _answered(anna, puppet, "Where is it?", "On its way.")
    await Conversation.objects.aupdate(status="closed")

    await anna.refused("conflict", "turn.retry", turn_id=first["turn_id"])


async def test_an_unknown_turn_and_somebody_elses_are_not_found(
    anna: Tab, puppet: Puppet, tabs: Tabs
) -> None:
    first = await _answered(anna, puppet, "Where is it?", "On its way.")
    berta = await tabs()

    unknown = await berta.refused("not_found", "turn.retry", turn_id="01hzzzzzzzzzzzzzzzzzzzzzzz")
    foreign = await berta.refused("not_found", "turn.retry", turn_id=first["turn_id"])

    assert unknown == foreign
    assert await Message.objects.acount() == 2
