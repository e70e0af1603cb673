"""What one visitor, one address and one socket may ask for; each limit says when to come back."""

import asyncio

import pytest
from pytest_django import Settings

from conversations.models import Conversation, Message, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet
from tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)


async def _new_conversation(tab: Tab) -> None:
    known = len(tab.seen("ready"))
    await tab.say("conversation.open", conversation_id=None)
    await tab.until(lambda: len(tab.seen("ready")) > known)


async def _answered(tab: Tab, puppet: Puppet, text: str) -> None:
    """Send `text` and let it be answered."""
    known = len(tab.seen("turn.finished"))
    await tab.send(text, text)
    (await puppet.asked(text)).say("Yes.").finish()
    await tab.until(lambda: len(tab.seen("turn.finished")) > known)


# The length of a message


async def test_a_text_of_the_longest_length_is_taken(anna: Tab, settings: Settings) -> None:
    settings.MESSAGE_MAX_CHARS = 10

    message = await anna.send("🚚" * 10, "c-1")

    assert message["text"] == "🚚" * 10


async def test_a_longer_one_is_not_stored(anna: Tab, settings: Settings) -> None:
    settings.MESSAGE_MAX_CHARS = 10

    error = await anna.refused("too_long", "message.send", id="c-1", text="x" * 11)

    assert error == {
        "type": "error",
        "code": "too_long",
        "text": "Please shorten your message.",
        "id": "c-1",
    }
    assert not await Message.objects.aexists()


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u0000", "\u00a0 \u2003", None])
async def test_a_blank_one_is_no_frame(anna: Tab, text: str | None) -> None:
    await anna.refused("bad_frame", "message.send", id="c-1", text=text)

    assert not await Message.objects.aexists()


# Frames of one socket


async def test_frames_over_the_limit_are_refused_until_there_is_room(
    anna: Tab, settings: Settings, tabs: Tabs
) -> None:
    settings.LIMIT_FRAMES_PER_10S = 5
    busy = await tabs()
    for _ in range(4):
        await busy.pong()

    error = await busy.refused("rate_limited", "message.send", id="c-1", text="Where is it?")

    assert error["id"] == "c-1"
    assert 1 <= error["retry_after_s"] <= 10
    assert not await Message.objects.aexists()
    await anna.pong()


async def test_a_flood_closes_the_socket(settings: Settings, tabs: Tabs, puppet: Puppet) -> None:
    settings.LIMIT_FRAMES_PER_10S = 5
    anna = await tabs()

    for number in range(40):
        await anna.say("message.send", id=f"c-{number}", text="Where is it?")

    assert await anna.closed() == 4429
    assert await Message.objects.filter(role="visitor").acount() == 4
    assert len(anna.seen("error", code="rate_limited")) == 10


async def test_no_limit_is_no_limit(settings: Settings, tabs: Tabs, no_limits: None) -> None:
    anna = await tabs()
    for _ in range(400):
        await anna.say("ping")

    await anna.until(lambda: len(anna.seen("pong")) == 400)


# Turns per minute


async def test_turns_of_a_visitor_are_limited(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2
    for text in ("one", "two"):
        await _answered(anna, puppet, text)

    error = await anna.refused("rate_limited", "message.send", id="c-3", text="three")

    assert error["id"] == "c-3"
    assert 1 <= error["retry_after_s"] <= 60
    assert await Message.objects.filter(role="visitor").acount() == 2
    assert await Turn.objects.acount() == 2


async def test_another_visitor_of_another_address_is_not_limited_with_them(
    anna: Tab, settings: Settings, puppet: Puppet, tabs: Tabs
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = settings.LIMIT_TURNS_PER_MINUTE_ADDRESS = 1
    await _answered(anna, puppet, "one")
    neighbour, stranger = await tabs(), await tabs(address="198.51.100.9")

    error = await neighbour.refused("rate_limited", "message.send", id="c-1", text="two")
    await _answered(stranger, puppet, "three")

    assert error["retry_after_s"] >= 1


async def test_addresses_of_ipv6_are_limited_by_their_network(
    settings: Settings, puppet: Puppet, tabs: Tabs
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_ADDRESS = 1
    first = await tabs(address="2001:db8:1:2::1")
    same = await tabs(address="2001:db8:1:2:ffff::7")
    another = await tabs(address="2001:db8:1:3::1")
    await _answered(first, puppet, "one")

    await same.refused("rate_limited", "message.send", id="c-1", text="two")
    await _answered(another, puppet, "three")


async def test_the_limit_counts_over_all_processes(
    anna: Tab, settings: Settings, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2
    elsewhere = await tabs(other, token=anna.token)
    await _answered(anna, puppet, "one")
    await elsewhere.until(lambda: elsewhere.turn is None)
    await _answered(elsewhere, puppet, "two")

    for tab in (anna, elsewhere):
        await tab.refused("rate_limited", "message.send", id="c-3", text="three")


async def test_joining_a_turn_does_not_count(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2
    for number in range(5):
        await anna.send(f"part {number}", f"c-{number}")
    question = "\n\n".join(f"part {number}" for number in range(5))
    call = await puppet.asked(question)
    call.say("Yes")
    await anna.sees("Yes")
    for number in range(5, 8):
        await anna.send(f"part {number}", f"c-{number}")  # the first needs the second turn, the others join
    call.finish()
    (await puppet.asked("part 5\n\npart 6\n\npart 7")).say("Yes.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    await anna.refused("rate_limited", "message.send", id="c-9", text="part 9")


async def test_sending_again_does_not_count_and_is_not_refused(
    anna: Tab, settings: Settings, puppet: Puppet
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 1
    await _answered(anna, puppet, "one")
    for _ in range(3):
        await anna.send("one", "one")

    await anna.refused("rate_limited", "message.send", id="c-2", text="two")
    await anna.send("one", "one")

    assert await Turn.objects.acount() == 1


async def test_a_refused_message_may_be_sent_again_with_the_same_id(
    anna: Tab, settings: Settings, puppet: Puppet
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 1
    await _answered(anna, puppet, "one")
    await anna.refused("rate_limited", "message.send", id="two", text="two")
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2

    await _answered(anna, puppet, "two")

    assert await Turn.objects.acount() == 2


async def test_a_refused_message_opens_no_conversation(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 1
    await _answered(anna, puppet, "one")
    await _new_conversation(anna)

    await anna.refused("rate_limited", "message.send", id="c-2", text="two")

    assert await Conversation.objects.acount() == 1


async def test_a_retry_counts(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 1
    await _answered(anna, puppet, "one")

    turn_id = anna.seen("turn.finished")[-1]["turn_id"]
    error = await anna.refused("rate_limited", "turn.retry", turn_id=turn_id, id="r-1")

    assert error["id"] == "r-1"
    assert await Turn.objects.acount() == 1


async def test_a_refused_retry_does_not_count(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2
    await _answered(anna, puppet, "one")
    for _ in range(3):
        await anna.refused("not_found", "turn.retry", turn_id="nothing")
        await anna.pong()

    await _answered(anna, puppet, "two")


async def test_while_redis_is_away_each_process_counts_for_itself(
    anna: Tab, settings: Settings, puppet: Puppet, redis_server: RedisServer
) -> None:
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 2
    redis_server.stop()
    for text in ("one", "two"):
        await _answered(anna, puppet, text)

    error = await anna.refused("rate_limited", "message.send", id="c-3", text="three")

    assert 1 <= error["retry_after_s"] <= 60


# Turns at once


async def test_turns_at_once_are_limited(anna: Tab, settings: Settings, puppet: Puppet) -> None:
    settings.LIMIT_PARALLEL_TURNS_VISITOR = 2
    for text in ("one", "two"):
        await anna.send(text, text)
        await puppet.asked(text)
        await _new_conversation(anna)

    error = await anna.refused("busy", "message.send", id="three", text="three")
    assert error["id"] == "three"
    assert error["retry_after_s"] > 0
    assert await Message.objects.acount() == await Conversation.objects.acount() == 2

    (await puppet.asked("one")).say("Yes.").finish()
    await puppet.until(lambda: puppet.calls[0].is_closed)
    await _until_ended(1)
    await anna.send("three", "three")


async def test_the_next_question_in_a_conversation_is_not_one_more_at_once(
    anna: Tab, settings: Settings, puppet: Puppet
) -> None:
    """It is answered when the running answer has ended."""
    settings.LIMIT_PARALLEL_TURNS_VISITOR = 1
    await anna.send("one", "one")
    call = await puppet.asked("one")
    call.say("Yes")
    await anna.sees("Yes")

    await anna.send("two", "two")
    call.finish()
    (await puppet.asked("two")).say("That too.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)


async def test_many_tabs_at_once_do_not_get_past_the_limit(
    settings: Settings, process: Process, other: Process, tabs: Tabs, puppet: Puppet
) -> None:
    settings.LIMIT_PARALLEL_TURNS_VISITOR = 2
    first = await tabs()
    everyone = [first, *[await tabs(at, token=first.token) for at in (process, other) * 4]]

    await asyncio.gather(
        *(tab.say("message.send", id=f"c-{number}", text=f"{number}") for number, tab in enumerate(everyone))
    )
    for tab in everyone:
        await tab.until(lambda tab=tab: bool(tab.seen("message.saved") or tab.seen("error", code="busy")))  # type: ignore[misc]

    assert await Turn.objects.acount() == 2
    assert sum(len(tab.seen("message.saved")) for tab in everyone) == 2


async def _until_ended(count: int) -> None:
    async with asyncio.timeout(10):
        while await Turn.objects.filter(finished_at__isnull=False).acount() < count:
            await asyncio.sleep(0.01)
