"""A web process dies, or stands still too long: its turns are found, and each gets one end."""

import asyncio
import threading
from typing import Any

import pytest

from chatbot import database
from conversations import intake, lifecycle, live
from conversations.models import Completion, Message, Turn
from tests.chat.cast import Tab, eventually
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_turn_nobody_saw_is_taken_up_once(
    anna: Tab, process: Process, processes: Processes, puppet: Puppet, tabs: Tabs
) -> None:
    others = [await processes() for _ in range(3)]
    await anna.send("Where is it?", "c-1")
    await puppet.asked("Where is it?")
    await process.kill()
    watching = [await tabs(each, token=anna.token) for each in others]
    await process.is_missed()
    second = await puppet.call(2)
    second.say("On its way.").finish()

    for tab in watching:
        finished = await tab.see("turn.finished")
        assert (finished["status"], finished["message"]["text"]) == ("completed", "On its way.")
        assert tab.gaps == 0
    assert len(puppet.calls) == 2
    turn = await Turn.objects.aget()
    assert (turn.takeovers, turn.message_id) == (1, anna.seen("turn.started")[0]["message_id"])


async def test_the_dead_processs_request_stays_in_the_books(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    await puppet.asked("Where is it?")
    await process.kill()
    late = await tabs(other, token=anna.token)
    await process.is_missed()
    (await puppet.call(2)).say("On its way.").finish()
    await late.see("turn.finished")

    rows = [(row.number, row.status, row.error) async for row in Completion.objects.order_by("number")]
    assert rows == [(1, "cancelled", "incomplete_stream"), (2, "completed", "")]


async def test_a_turn_somebody_saw_is_interrupted_and_keeps_its_text(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    late = await tabs(other, token=anna.token)
    await anna.send("Where is it?", "c-1")
    await late.say("hello")
    await late.pong()
    late = await tabs(other, token=anna.token)
    (await puppet.asked("Where is it?")).say("On ", "its ")
    await late.sees("On its ")
    await process.kill()
    await process.is_missed()

    finished = await late.see("turn.finished")

    assert (finished["status"], finished["message"]["status"]) == ("interrupted", "interrupted")
    assert finished["message"]["text"] == "On its "
    assert (await Message.objects.aget(role="assistant")).text == "On its "
    completion = await Completion.objects.aget()
    assert (completion.status, completion.error) == ("cancelled", "incomplete_stream")
    assert len(puppet.calls) == 1


async def test_the_first_words_are_known_elsewhere_at_once_and_outlive_their_process(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FLUSH_S", 3600.0)
    await anna.send("Where is it?", "c-1")
    elsewhere = await tabs(other, token=anna.token)
    (await puppet.asked("Where is it?")).say("On ")
    await elsewhere.sees("On ")
    await process.kill()
    await process.is_missed()

    finished = await elsewhere.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("interrupted", "On ")


async def test_a_turn_its_visitor_had_stopped_is_stopped(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    started = await anna.see("turn.started")
    (await puppet.asked("Where is it?")).say("On ", "its ")
    await anna.sees("On its ")
    late = await tabs(other, token=anna.token)
    await late.sees("On its ")
    await process.kill()
    await late.say("turn.stop", turn_id=started["turn_id"])
    await late.pong()
    await process.is_missed()

    finished = await late.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("stopped", "On its ")


async def test_a_stop_of_a_turn_nobody_saw_is_kept_over_the_death(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    started = await anna.see("turn.started")
    await puppet.asked("Where is it?")
    late = await tabs(other, token=anna.token)
    await process.kill()
    await late.say("turn.stop", turn_id=started["turn_id"])
    await late.pong()
    await process.is_missed()

    assert (await late.see("turn.finished"))["status"] == "stopped"
    assert len(puppet.calls) == 1


async def test_a_stop_before_anybody_has_taken_it_up_closes_the_dead_processs_request(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    await puppet.asked("Where is it?")
    late = await tabs(other, token=anna.token)
    other.is_draining = True  # it takes nothing up
    await process.kill()
    turn = await Turn.objects.aget()
    assert await database.run(lifecycle.requeue_dead, turn)

    await late.say("turn.stop", turn_id=turn.pk)

    assert (await late.see("turn.finished"))["status"] == "stopped"
    completion = await Completion.objects.aget()
    assert (completion.status, completion.error) == ("cancelled", "incomplete_stream")


async def test_what_came_meanwhile_is_answered_by_the_survivor(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.asked("Where is it?")).say("On ")
    await anna.sees("On ")
    late = await tabs(other, token=anna.token)
    await late.sees("On ")
    await process.kill()
    await late.send("Hello?", "c-2")
    await process.is_missed()
    (await puppet.asked("Hello?")).say("Here I am.").finish()
    await late.until(lambda: len(late.seen("turn.finished")) == 2)

    assert late.shown == [
        ("visitor", "final", "Where is it?"),
        ("assistant", "interrupted", "On "),
        ("visitor", "final", "Hello?"),
        ("assistant", "final", "Here I am."),
    ]


async def test_a_message_to_a_dead_processs_turn_is_answered_with_it(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where", "c-1")
    await puppet.asked("Where")
    late = await tabs(other, token=anna.token)
    await process.kill()
    await late.send("is it?", "c-2")
    await process.is_missed()
    (await puppet.asked("Where\n\nis it?")).say("On its way.").finish()

    assert (await late.see("turn.finished"))["status"] == "completed"
    assert await Turn.objects.acount() == 1


async def test_a_turn_whose_processes_keep_dying_is_given_up(
    anna: Tab, process: Process, processes: Processes, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    dying, number = process, 1
    await puppet.call(number)
    for _ in range(lifecycle.MAX_TAKEOVERS):
        following = await processes()
        await dying.kill()
        await dying.is_missed()
        dying, number = following, number + 1
        await puppet.call(number)
    last = await processes()
    late = await tabs(last, token=anna.token)
    await dying.kill()
    await dying.is_missed()

    finished = await late.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("interrupted", "")
    assert len(puppet.calls) == 1 + lifecycle.MAX_TAKEOVERS


async def test_a_process_that_comes_back_writes_nothing_of_what_it_lost(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")
    late = await tabs(other, token=anna.token)
    await late.sees("On ")
    process.freeze()
    await process.is_missed()
    finished = await late.see("turn.finished")
    call.say("its way.").finish()
    process.thaw()
    await anna.until(lambda: anna.turn is None)

    assert (finished["status"], finished["message"]["text"]) == ("interrupted", "On ")
    assert (await Message.objects.aget(role="assistant")).text == "On "
    assert anna.shown == late.shown
    assert await Turn.objects.filter(status="interrupted").acount() == 1


async def test_a_process_that_comes_back_ends_a_stream_it_lost(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")
    late = await tabs(other, token=anna.token)
    process.freeze()
    await process.is_missed()
    await late.see("turn.finished")
    process.thaw()

    await puppet.until(lambda: call.is_closed)
    await anna.until(lambda: anna.turn is None)
    assert anna.shown == late.shown


async def test_a_process_that_comes_back_answers_nothing_that_another_has_taken_up(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    first = await puppet.asked("Where is it?")
    late = await tabs(other, token=anna.token)
    process.freeze()
    await process.is_missed()
    second = await puppet.call(2)
    first.say("It is lost.").finish()
    process.thaw()
    await puppet.until(lambda: first.is_closed)
    second.say("On its way.").finish()
    for tab in (anna, late):
        await tab.until(lambda tab=tab: tab.turn is None and len(tab.messages) == 2)  # type: ignore[misc]

    assert anna.shown == late.shown
    assert anna.shown[-1] == ("assistant", "final", "On its way.")
    assert not await Completion.objects.filter(status="running").aexists()


async def test_a_message_whose_socket_broke_while_it_was_stored_is_answered(
    anna: Tab, process: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch, trouble: None
) -> None:
    """The tab's own trouble must not keep its turn from being carried."""

    async def broken(*_: object) -> None:
        raise ConnectionError("the socket is gone")

    with monkeypatch.context() as patch:
        patch.setattr("conversations.sockets.chat.ChatConsumer.saved", broken)
        await anna.say("message.send", id="c-1", text="Where is it?")
        (await puppet.asked("Where is it?")).say("On its way.").finish()
    await eventually(Turn.objects.filter(status="completed").aexists)

    again = await tabs(token=anna.token)
    assert again.shown[-1] == ("assistant", "final", "On its way.")


async def test_turns_of_living_processes_are_left_alone(
    anna: Tab, process: Process, other: Process, puppet: Puppet
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    beats = {(await Turn.objects.aget()).beat_at}

    async def has_beaten() -> bool:
        beats.add((await Turn.objects.aget()).beat_at)
        return len(beats) > 3  # the reapers look as often

    await eventually(has_beaten)
    call.say("On its way.").finish()

    assert (await anna.see("turn.finished"))["status"] == "completed"
    assert (await Turn.objects.aget()).takeovers == 0


async def test_a_message_whose_socket_went_while_it_was_stored_is_answered_at_once(
    anna: Tab, process: Process, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = intake.accept
    is_storing, may_go_on = threading.Event(), threading.Event()

    def slow(**arguments: Any) -> intake.Accepted:
        is_storing.set()
        may_go_on.wait(10)
        return accept(**arguments)

    monkeypatch.setattr(intake, "accept", slow)
    await anna.say("message.send", id="c-1", text="Where is it?")
    await asyncio.to_thread(is_storing.wait, 10)
    anna.cut()
    await asyncio.sleep(0)
    may_go_on.set()
    (await puppet.asked("Where is it?")).say("On its way.").finish()

    await eventually(Turn.objects.filter(status="completed", takeovers=0).aexists)
    assert not process.live.is_watched((await Turn.objects.aget()).conversation_id)
