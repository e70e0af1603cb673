"""Stopping an answer: from any tab, through any process, and exactly where the visitor saw it."""

import asyncio

import pytest

from conversations import lifecycle
from conversations.models import Completion, Message, Turn
from tests.chat.cast import Tab, eventually
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def _running(tab: Tab, puppet: Puppet, said: str = "One two ") -> str:
    """Let an answer run of which `said` is visible; return its turn's id."""
    await tab.send("Count.", "c-1")
    call = await puppet.asked("Count.")
    if said:
        call.say(said)
        await tab.sees(said)
    turn_id: str = (await tab.see("turn.started"))["turn_id"]
    return turn_id


async def test_a_stopped_turn_keeps_what_the_visitor_saw(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet)

    await anna.say("turn.stop", turn_id=turn_id)
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["status"]) == ("stopped", "stopped")
    assert finished["message"]["text"] == "One two "
    assert puppet.calls[0].is_closed
    assert (await Message.objects.aget(role="assistant")).text == "One two "


async def test_a_stopped_turns_tokens_are_estimated(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet)

    await anna.say("turn.stop", turn_id=turn_id)
    await anna.see("turn.finished")

    completion = await Completion.objects.aget()
    assert (completion.status, completion.usage_kind) == ("cancelled", "estimated")
    assert completion.input_tokens is not None
    assert completion.input_tokens > 10
    assert completion.output_tokens is not None
    assert 2 <= completion.output_tokens <= 5


async def test_a_turn_stopped_before_its_first_word_has_an_empty_message(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet, said="")

    await anna.say("turn.stop", turn_id=turn_id)
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["text"], finished["message"]["position"]) == (
        "stopped",
        "",
        2,
    )


async def test_another_tab_can_stop_it(anna: Tab, puppet: Puppet, tabs: Tabs) -> None:
    turn_id = await _running(anna, puppet)
    second = await tabs(token=anna.token)

    await second.say("turn.stop", turn_id=turn_id)

    for tab in (anna, second):
        finished = await tab.see("turn.finished")
        assert (finished["status"], finished["message"]["text"]) == ("stopped", "One two ")


async def test_it_can_be_stopped_through_another_process(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    turn_id = await _running(anna, puppet)
    elsewhere = await tabs(other, token=anna.token)

    await elsewhere.say("turn.stop", turn_id=turn_id)

    async with asyncio.timeout(1.0):
        await puppet.until(lambda: puppet.calls[0].is_closed)
    for tab in (anna, elsewhere):
        finished = await tab.see("turn.finished")
        assert (finished["status"], finished["message"]["text"]) == ("stopped", "One two ")


async def test_a_stop_that_nobody_announced_is_found_with_the_next_beat(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet)

    await Turn.objects.filter(pk=turn_id).aupdate(stop_requested=True)

    assert (await anna.see("turn.finished"))["status"] == "stopped"


async def test_a_queued_turn_is_stopped_at_once(
    anna: Tab, puppet: Puppet, process: Process, other: Process, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "queued", lambda: [])  # nobody takes it up
    turn_id = await _running(anna, puppet, said="")
    elsewhere = await tabs(other, token=anna.token)
    await process.kill()
    await process.is_missed()
    await eventually(Turn.objects.filter(pk=turn_id, status="queued").aexists)

    await elsewhere.say("turn.stop", turn_id=turn_id)

    finished = await elsewhere.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("stopped", "")
    assert await Message.objects.filter(turn_id=turn_id, status="stopped").aexists()


async def test_a_stop_that_crosses_with_the_taking_up_is_heard(
    anna: Tab, puppet: Puppet, process: Process, other: Process, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _running(anna, puppet, said="")
    elsewhere = await tabs(other, token=anna.token)
    await process.kill()
    await process.is_missed()
    claim = lifecycle.claim

    def claim_after_a_stop(turn_id: str, by: str) -> lifecycle.TakenTurn | None:
        lifecycle.request_stop(turn_id, Turn.objects.get(pk=turn_id).visitor_id)
        return claim(turn_id, by)

    monkeypatch.setattr(lifecycle, "claim", claim_after_a_stop)

    finished = await elsewhere.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("stopped", "")
    assert len(puppet.calls) == 1


async def test_a_turn_that_has_ended_is_not_running(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet)
    puppet.calls[0].finish()
    await anna.see("turn.finished")

    error = await anna.refused("not_running", "turn.stop", turn_id=turn_id, id="s-1")

    assert error["id"] == "s-1"
    assert len(anna.seen("turn.finished")) == 1


async def test_an_unknown_turn_and_somebody_elses_are_not_found(
    anna: Tab, puppet: Puppet, tabs: Tabs
) -> None:
    turn_id = await _running(anna, puppet)
    berta = await tabs()

    unknown = await berta.refused("not_found", "turn.stop", turn_id="01hzzzzzzzzzzzzzzzzzzzzzzz")
    foreign = await berta.refused("not_found", "turn.stop", turn_id=turn_id)

    assert unknown == foreign
    puppet.calls[0].say("three.").finish()
    assert (await anna.see("turn.finished"))["message"]["text"] == "One two three."


async def test_a_message_after_the_stop_gets_a_turn_of_its_own(anna: Tab, puppet: Puppet) -> None:
    turn_id = await _running(anna, puppet, said="")

    await anna.say("turn.stop", turn_id=turn_id)
    await anna.send("Rather not.", "c-2")
    (await puppet.asked("Count.\n\nRather not.")).say("Fine.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert [(role, status) for role, status, _ in anna.shown if role == "assistant"] == [
        ("assistant", "stopped"),
        ("assistant", "final"),
    ]
    assert anna.shown[-1] == ("assistant", "final", "Fine.")


async def test_many_stops_at_any_moment_end_one_turn_once(
    tabs: Tabs, puppet: Puppet, processes: Processes, no_limits: None
) -> None:
    """The stop comes at each moment between the first delta and the end."""
    first, second = await processes(), await processes()
    for ticks in range(0, 30, 3):
        anna = await tabs(first)
        elsewhere = await tabs(second, token=anna.token)
        await anna.send(f"Count {ticks}.", "c-1")
        started = await anna.see("turn.started")
        call = await puppet.asked(f"Count {ticks}.")
        call.say("One ", "two ", "three.").finish()
        for _ in range(ticks):
            await asyncio.sleep(0)
        await anna.say("turn.stop", turn_id=started["turn_id"])
        await elsewhere.say("turn.stop", turn_id=started["turn_id"])
        finished = await anna.see("turn.finished")

        await anna.pong()
        text = "".join(frame["text"] for frame in anna.seen("turn.delta"))
        assert finished["message"]["text"] == text
        assert len(anna.seen("turn.finished")) == 1
        assert (await Message.objects.aget(turn_id=started["turn_id"])).text == text
    assert not await Completion.objects.filter(status="running").aexists()
