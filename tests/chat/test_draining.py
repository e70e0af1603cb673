"""A web process is asked to end: nothing is lost, and what it cannot finish the others do."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from conversations import intake, turns, windows
from conversations.live import Tab as WatchingTab
from conversations.models import Completion, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def test_tabs_are_told_to_come_back_and_then_closed(anna: Tab, process: Process) -> None:
    await process.drain(0)

    assert (await anna.see("draining"))["reconnect_after_ms"] > 0
    assert await anna.closed() == 4012


async def test_a_visible_answer_may_finish_within_the_limit(
    anna: Tab, process: Process, puppet: Puppet
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")
    draining = asyncio.create_task(process.drain(10))
    await anna.see("draining")
    call.say("its way.").finish()
    finished = await anna.see("turn.finished")
    await draining

    assert (finished["status"], finished["message"]["text"]) == ("completed", "On its way.")
    assert await anna.closed() == 4012


async def test_a_visible_answer_is_interrupted_after_the_limit(
    anna: Tab, process: Process, puppet: Puppet
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")

    await process.drain(0.02)

    finished = await anna.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("interrupted", "On ")
    assert call.is_closed
    assert await Turn.objects.filter(status="interrupted").acount() == 1
    assert await anna.closed() == 4012


async def test_a_turn_nobody_saw_goes_to_another_process(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    await puppet.asked("Where is it?")
    elsewhere = await tabs(other, token=anna.token)
    await process.drain(0)
    (await puppet.call(2)).say("On its way.").finish()

    finished = await elsewhere.see("turn.finished")
    assert (finished["status"], finished["message"]["text"]) == ("completed", "On its way.")
    assert elsewhere.gaps == 0
    turn = await Turn.objects.aget()
    assert (turn.takeovers, turn.status) == (0, "completed")
    rows = [(row.number, row.status) async for row in Completion.objects.order_by("number")]
    assert rows == [(1, "cancelled"), (2, "completed")]


async def test_what_follows_a_turn_that_ends_while_draining_goes_to_another_process(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.asked("Where is it?")
    call.say("On ")
    await anna.sees("On ")
    await anna.send("Hello?", "c-2")
    draining = asyncio.create_task(process.drain(10))
    await anna.see("draining")
    elsewhere = await tabs(other, token=anna.token)
    call.say("its way.").finish()
    await draining
    (await puppet.asked("Hello?")).say("Here I am.").finish()
    await elsewhere.until(lambda: len(elsewhere.messages) == 4)

    assert [text for _, _, text in elsewhere.shown] == [
        "Where is it?",
        "On its way.",
        "Hello?",
        "Here I am.",
    ]
    assert elsewhere.gaps == 0


async def test_a_message_to_a_draining_process_is_answered_by_another(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    berta = await tabs()
    await berta.send("Wait.", "b-1")
    waiting = await puppet.asked("Wait.")
    draining = asyncio.create_task(process.drain(10))
    await anna.see("draining")
    await anna.send("Where", "c-1")
    await anna.send("is it?", "c-2")
    (await puppet.asked("Where\n\nis it?")).say("On its way.").finish()
    finished = await anna.see("turn.finished")
    waiting.say("I did.").finish()
    await draining

    assert (finished["status"], finished["message"]["text"]) == ("completed", "On its way.")
    assert len(anna.seen("turn.started")) <= 1
    assert anna.gaps == 0


async def test_a_turn_begun_as_the_draining_begins_is_not_lost(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    """The draining begins at each moment of the sending."""
    for ticks in range(0, 40, 5):
        await anna.say("message.send", id=f"c-{ticks}", text=f"question {ticks}")
        for _ in range(ticks):
            await asyncio.sleep(0)
        process.is_draining = True
        for running in list(process._running.values()):
            running.interrupt("drain")
        (await puppet.asked(f"question {ticks}")).say("Answered.").finish()
        await anna.see("message.saved", id=f"c-{ticks}")
        await anna.until(lambda: anna.turn is None and anna.shown[-1][2] == "Answered.")
        process.is_draining = False

    assert await Turn.objects.filter(status="completed").acount() == 8
    assert await Turn.objects.filter(takeovers=0).acount() == 8


async def test_a_request_that_was_being_prepared_leaves_no_open_completion(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = windows.prepare
    is_preparing, may_go_on = threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        is_preparing.set()
        may_go_on.wait(10)
        return prepare(*arguments)  # type: ignore[arg-type]

    elsewhere = await tabs(other, token=anna.token)
    with monkeypatch.context() as patch:
        patch.setattr(windows, "prepare", slow)
        await anna.send("Where is it?", "c-1")
        await asyncio.to_thread(is_preparing.wait, 10)
    draining = asyncio.create_task(process.drain(0))
    await anna.see("draining")
    may_go_on.set()
    await draining
    (await puppet.asked("Where is it?")).say("On its way.").finish()
    await elsewhere.say("hello")
    elsewhere = await tabs(other, token=anna.token)
    await elsewhere.until(lambda: len(elsewhere.messages) == 2 and elsewhere.turn is None)

    rows = [
        (row.number, row.status, row.usage_kind, row.output_tokens)
        async for row in Completion.objects.order_by("number")
    ]
    assert rows == [(1, "cancelled", "exact", 0), (2, "completed", "exact", 7)]


async def test_an_answer_that_was_just_becoming_visible_goes_to_another_process(
    anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conversations import lifecycle

    become_visible = lifecycle.become_visible
    is_becoming, may_go_on = threading.Event(), threading.Event()

    def slow(turn: lifecycle.TakenTurn, *, first_delta_ms: int) -> int | None:
        position = become_visible(turn, first_delta_ms=first_delta_ms)
        is_becoming.set()
        may_go_on.wait(10)
        return position

    await anna.send("Where is it?", "c-1")
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "become_visible", slow)
        (await puppet.asked("Where is it?")).say("It is ")
        await asyncio.to_thread(is_becoming.wait, 10)
    draining = asyncio.create_task(process.drain(0))
    await anna.see("draining")
    may_go_on.set()
    await draining
    elsewhere = await tabs(other, token=anna.token)
    (await puppet.call(2)).say("On its way.").finish()
    await elsewhere.until(lambda: len(elsewhere.messages) == 2 and elsewhere.turn is None)

    assert elsewhere.shown[-1] == ("assistant", "final", "On its way.")
    assert not anna.seen("turn.delta")


class Held:
    """Holds up a function in its thread, after its work is done, until it may go on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._is_done, self._may_go_on = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = self._function(*arguments, **named)
        self._is_done.set()
        self._may_go_on.wait(10)
        return result

    async def is_done(self) -> None:
        await asyncio.to_thread(self._is_done.wait, 10)

    def go_on(self) -> None:
        self._may_go_on.set()


async def test_a_message_that_is_being_stored_when_the_draining_ends_is_queued_first(
    anna: Tab, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(intake.accept)
    monkeypatch.setattr(intake, "accept", held)
    await anna.say("message.send", id="c-1", text="Where is it?")
    await held.is_done()
    draining = asyncio.create_task(process.drain(0))
    await asyncio.wait([draining], timeout=0.1)
    assert not draining.done()
    held.go_on()
    await draining

    assert (await Turn.objects.aget()).status == "queued"


async def test_a_turn_that_is_being_claimed_when_the_draining_ends_is_queued_again(
    process: Process, other: Process, tabs: Tabs, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(turns.claim)
    monkeypatch.setattr(turns, "claim", held)
    anna = await tabs(other)
    await anna.send("Where is it?", "c-1")
    await puppet.asked("Where is it?")
    await other.drain(0)
    await held.is_done()
    draining = asyncio.create_task(process.drain(0))
    await asyncio.wait([draining], timeout=0.1)
    assert not draining.done()
    held.go_on()
    await draining

    assert (await Turn.objects.aget()).status == "queued"


async def test_a_process_that_drains_waits_for_a_turn_that_is_not_launched_yet(
    anna: Tab, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = process.live.watch
    may_watch = asyncio.Event()

    async def late(conversation_id: str, tab: WatchingTab) -> None:
        await may_watch.wait()
        await watch(conversation_id, tab)

    monkeypatch.setattr(process.live, "watch", late)
    await anna.say("message.send", id="c-1", text="Where is it?")
    async with asyncio.timeout(10):
        while not process._running:
            await asyncio.sleep(0)
    draining = asyncio.create_task(process.drain(0))
    await anna.see("draining")
    may_watch.set()
    await draining

    assert (await Turn.objects.aget()).status == "queued"
    assert await anna.closed() == 4012
