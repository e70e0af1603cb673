"""One conversation, tabs at two processes: both see the same."""

from typing import Any

import pytest

from conversations import intake
from conversations.models import Message
from conversations.sockets import chat
from tests.chat.cast import Tab, eventually
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def elsewhere(anna: Tab, puppet: Puppet, other: Process, tabs: Tabs) -> Tab:
    """The same visitor's tab at the other process, after a first answered question."""
    await anna.send("Hello?", "c-0")
    (await puppet.asked("Hello?")).say("Hello.").finish()
    await anna.see("turn.finished")
    return await tabs(other, token=anna.token)


async def test_a_message_is_added_in_every_other_tab(
    anna: Tab, elsewhere: Tab, puppet: Puppet, tabs: Tabs
) -> None:
    second = await tabs(token=anna.token)

    message = await anna.send("Where is it?", "c-1")

    for tab in (second, elsewhere):
        assert (await tab.see("message.added"))["message"] == message
    assert not anna.seen("message.added")


async def test_an_answer_streams_to_tabs_of_both_processes(anna: Tab, elsewhere: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await elsewhere.sees("On ")
    call.say("its ", "way")
    await elsewhere.sees("On its way")
    call.say(".").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)
    await elsewhere.until(lambda: len(elsewhere.messages) == 4)

    turn_id = anna.seen("turn.started")[-1]["turn_id"]
    told = [frame["type"] for frame in elsewhere.frames if frame.get("turn_id") == turn_id]
    assert told == ["turn.started", *["turn.delta"] * (len(told) - 2), "turn.finished"]
    assert elsewhere.seen("turn.delta")[0]["position"] == 4
    assert elsewhere.shown == anna.shown
    assert elsewhere.seen("turn.finished")[-1] == anna.seen("turn.finished")[-1]
    assert (elsewhere.gaps, elsewhere.repeats) == (anna.gaps, anna.repeats) == (0, 0)


async def test_a_tab_that_comes_in_mid_answer_sees_what_was_and_what_follows(
    anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ", "its ")
    await anna.sees("On its ")
    late = await tabs(other, token=anna.token)
    await late.sees("On its ")
    call.say("way.")
    await late.sees("On its way.")
    call.finish()
    await late.see("turn.finished")

    assert late.messages.keys() == {each.pk async for each in Message.objects.all()}
    assert late.shown == [("visitor", "final", "Where is it?"), ("assistant", "final", "On its way.")]
    assert (late.gaps, late.repeats) == (0, 0)


async def test_the_second_tab_of_a_process_does_not_disturb_the_first(
    anna: Tab, elsewhere: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await elsewhere.sees("On ")
    late = await tabs(other, token=anna.token)
    call.say("its way.").finish()
    for tab in (late, elsewhere):
        await tab.until(lambda tab=tab: tab.turn is None and len(tab.messages) == 4)  # type: ignore[misc]

    assert late.shown == elsewhere.shown
    assert (elsewhere.gaps, elsewhere.repeats, late.gaps, late.repeats) == (0, 0, 0, 0)


async def test_a_tab_told_by_nobody_that_a_turn_began_is_told_everything_at_its_first_delta(
    anna: Tab, elsewhere: Tab, other: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*notice: object) -> None:
        """Hear nothing."""

    monkeypatch.setattr(other, "_answer_notice", deaf)
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    late = await tabs(other, token=anna.token)  # from now on the process follows the answer
    call.say("On its way.")
    await late.sees("On its way.")
    await elsewhere.sees("On its way.")

    assert (elsewhere.gaps, late.gaps) == (0, 0)


async def test_everybody_in_a_conversation_sees_each_question_and_answer_once(
    anna: Tab, elsewhere: Tab, puppet: Puppet
) -> None:
    for number in range(5):
        asking = (anna, elsewhere)[number % 2]
        await asking.send(f"question {number}", f"q-{number}")
        (await puppet.asked(f"question {number}")).say("answer ", str(number)).finish()
        for tab in (anna, elsewhere):
            await tab.until(lambda tab=tab, number=number: len(tab.messages) == 4 + 2 * number)  # type: ignore[misc]

    assert anna.shown == elsewhere.shown
    assert [text for _, _, text in anna.shown[2:]] == [
        f"{word} {number}" for number in range(5) for word in ("question", "answer")
    ]
    assert (elsewhere.gaps, elsewhere.repeats, anna.gaps, anna.repeats) == (0, 0, 0, 0)


async def test_a_notice_that_goes_wrong_does_not_end_the_listening(
    anna: Tab, elsewhere: Tab, other: Process, puppet: Puppet, monkeypatch: pytest.MonkeyPatch, trouble: None
) -> None:
    answer = other._answer_notice

    async def failing(conversation_id: str, what: str, which: str) -> None:
        if what == "added":
            raise RuntimeError("this one is broken")
        await answer(conversation_id, what, which)

    monkeypatch.setattr(other, "_answer_notice", failing)
    await anna.send("Where is it?", "c-1")
    (await puppet.asked("Where is it?")).say("On its way.").finish()

    await elsewhere.until(lambda: ("assistant", "final", "On its way.") in elsewhere.shown)


async def test_a_start_heard_late_is_told_with_what_was_shown_meanwhile(
    anna: Tab, elsewhere: Tab, other: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the answer first, each tab gets the whole of it."""
    answer = other._answer_notice
    held: list[tuple[str, str, str]] = []

    async def hold(conversation_id: str, what: str, which: str) -> None:
        held.append((conversation_id, what, which))

    monkeypatch.setattr(other, "_answer_notice", hold)
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")
    late = await tabs(other, token=anna.token)
    await late.sees("On ")
    monkeypatch.setattr(other, "_answer_notice", answer)
    for notice in held:
        await answer(*notice)
    call.say("its way.")
    for tab in (late, elsewhere):
        await tab.sees("On its way.")

    assert (elsewhere.gaps, elsewhere.repeats, late.gaps, late.repeats) == (0, 0, 0, 0)


async def test_what_came_while_the_first_message_was_held_up_is_shown(
    anna: Tab, process: Process, processes: Processes, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens for a conversation that a standing process has stored and does not know of."""
    monkeypatch.setattr(chat, "_LATE_S", 0.0)
    accept = intake.accept

    def and_stand_still(**arguments: Any) -> intake.Accepted:
        accepted = accept(**arguments)
        process.fate.runs.clear()
        return accepted

    with monkeypatch.context() as patch:
        patch.setattr(intake, "accept", and_stand_still)
        await anna.say("message.send", id="c-1", text="Where is it?")
        await eventually(Message.objects.aexists)
    elsewhere, watching = [await tabs(await processes(), token=anna.token) for _ in range(2)]
    await elsewhere.send("Hello?", "c-2")
    await watching.see("message.added")  # so the others have been told
    process.thaw()

    await anna.until(lambda: [text for _, _, text in anna.shown][:2] == ["Where is it?", "Hello?"])
