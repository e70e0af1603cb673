"""Redis is away, forgets everything, or comes back: nothing that was said is lost by it."""

import pytest

from conversations.models import Message
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet
from tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)


async def _answered(tab: Tab, puppet: Puppet, text: str) -> None:
    known = len(tab.seen("turn.finished"))
    await tab.send(text, text)
    call = await puppet.asked(text)
    call.say("An ", "answer ", "to ", text).finish()
    await tab.until(lambda: len(tab.seen("turn.finished")) > known)


async def test_without_redis_from_the_start_messages_are_stored_and_answers_stream(
    redis_server: RedisServer, processes: Processes, puppet: Puppet, tabs: Tabs
) -> None:
    redis_server.stop()
    process = await processes()
    anna = await tabs(process)
    second = await tabs(process, token=anna.token)

    await _answered(anna, puppet, "one")
    await second.say("conversation.open", conversation_id=anna.conversation_id)
    await second.until(lambda: len(second.messages) == 2)
    await _answered(anna, puppet, "two")
    await second.until(lambda: len(second.messages) == 4 and second.turn is None)

    assert "".join(frame["text"] for frame in second.seen("turn.delta")) == "An answer to two"
    assert anna.shown == second.shown
    assert [each.text async for each in Message.objects.order_by("position")] == [
        "one",
        "An answer to one",
        "two",
        "An answer to two",
    ]
    assert (anna.gaps, second.gaps) == (0, 0)


async def test_redis_that_comes_later_connects_the_processes(
    redis_server: RedisServer, processes: Processes, puppet: Puppet, tabs: Tabs
) -> None:
    redis_server.stop()
    anna = await tabs(await processes())
    await _answered(anna, puppet, "one")
    elsewhere = await tabs(await processes(), token=anna.token)
    await anna.send("two", "two")
    call = await puppet.asked("two")
    call.say("Almost ")
    await anna.sees("Almost ")

    redis_server.start()

    await elsewhere.until(lambda: elsewhere.turn is not None)
    call.say("there.")
    await elsewhere.sees("Almost there.")
    call.finish()
    for tab in (anna, elsewhere):
        await tab.until(lambda tab=tab: tab.turn is None and len(tab.messages) == 4)  # type: ignore[misc]
    assert anna.shown == elsewhere.shown


async def test_redis_that_goes_in_mid_answer_is_missed_by_the_other_process_only(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    call = await puppet.asked("one")
    call.say("An ")
    elsewhere = await tabs(other, token=anna.token)
    await elsewhere.sees("An ")

    redis_server.stop()
    call.say("answer ")
    await anna.sees("An answer ")
    call.say("to one.").finish()
    await anna.see("turn.finished")
    await elsewhere.see("turn.finished")  # the poll finds it in the database

    assert anna.shown == elsewhere.shown
    assert (anna.gaps, elsewhere.gaps) == (0, 0)


async def test_redis_that_forgets_everything_is_told_again(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    call = await puppet.asked("one")
    call.say("An ")
    elsewhere = await tabs(other, token=anna.token)
    await elsewhere.sees("An ")

    redis_server.command("FLUSHALL")
    call.say("answer ")
    await elsewhere.sees("An answer ")
    late = await tabs(other, token=anna.token)
    call.say("to one.")
    for tab in (late, elsewhere):
        await tab.sees("An answer to one.")
    call.finish()
    for tab in (anna, late, elsewhere):
        await tab.see("turn.finished")

    assert (anna.gaps, late.gaps, elsewhere.gaps) == (0, 0, 0)
    assert anna.shown == late.shown == elsewhere.shown


async def test_redis_that_starts_anew_in_mid_answer_is_told_again(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    call = await puppet.asked("one")
    call.say("An ")
    elsewhere = await tabs(other, token=anna.token)
    await elsewhere.sees("An ")

    redis_server.stop()
    call.say("answer ")
    await anna.sees("An answer ")
    await anna.send("two", "two")
    redis_server.start()
    await elsewhere.sees("An answer ")  # though nothing more was said since it is back
    call.say("to one.")
    await elsewhere.sees("An answer to one.")
    call.finish()
    (await puppet.asked("two")).say("And to two.").finish()
    for tab in (anna, elsewhere):
        await tab.until(lambda tab=tab: tab.turn is None and len(tab.messages) == 4)  # type: ignore[misc]

    assert (anna.gaps, elsewhere.gaps) == (0, 0)
    assert anna.shown == elsewhere.shown


async def test_what_was_said_while_redis_was_away_is_shown_elsewhere_when_it_is_back(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await _answered(anna, puppet, "one")
    elsewhere = await tabs(other, token=anna.token)
    redis_server.stop()
    await _answered(anna, puppet, "two")
    answer = anna.seen("turn.finished")[-1]["message"]["id"]
    await anna.say("feedback.send", message_id=answer, rating=1)
    await anna.see("message.changed")

    redis_server.start()

    await elsewhere.until(lambda: len(elsewhere.messages) == 4)
    assert anna.shown == elsewhere.shown
    assert elsewhere.messages[answer]["rating"] == 1


async def test_a_stop_through_another_process_is_heard_without_redis(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    call = await puppet.asked("one")
    call.say("An ")
    await anna.sees("An ")
    elsewhere = await tabs(other, token=anna.token)
    redis_server.stop()

    await elsewhere.say("turn.stop", turn_id=anna.seen("turn.started")[0]["turn_id"])

    for tab in (anna, elsewhere):
        assert (await tab.see("turn.finished"))["status"] == "stopped"
    assert call.is_closed


async def test_a_message_through_another_process_joins_the_turn_without_redis(
    redis_server: RedisServer, anna: Tab, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    await puppet.asked("one")
    elsewhere = await tabs(other, token=anna.token)
    redis_server.stop()

    await elsewhere.send("two", "two")
    (await puppet.asked("one\n\ntwo")).say("To both.").finish()

    for tab in (anna, elsewhere):
        assert (await tab.see("turn.finished"))["message"]["text"] == "To both."


async def test_a_dead_processs_turn_is_taken_up_without_redis(
    redis_server: RedisServer, anna: Tab, process: Process, other: Process, puppet: Puppet, tabs: Tabs
) -> None:
    await anna.send("one", "one")
    await puppet.asked("one")
    elsewhere = await tabs(other, token=anna.token)
    redis_server.stop()
    await process.kill()
    await process.is_missed()
    (await puppet.call(2)).say("An answer.").finish()

    assert (await elsewhere.see("turn.finished"))["message"]["text"] == "An answer."
