"""Thumbs up, thumbs down, taken back: seen by every tab."""

import pytest

from conversations.models import Message
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet
from tests.faults.shown import Frame

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def answer(anna: Tab, puppet: Puppet) -> Frame:
    """An answer to Anna."""
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its way.").finish()
    message: Frame = (await anna.see("turn.finished"))["message"]
    return message


async def test_a_rating_reaches_every_tab_of_both_processes(
    anna: Tab, answer: Frame, other: Process, tabs: Tabs
) -> None:
    everyone = [anna, await tabs(token=anna.token), await tabs(other, token=anna.token)]

    await anna.say("feedback.send", message_id=answer["id"], rating=-1, comment="It is not.")

    for tab in everyone:
        assert (await tab.see("message.changed"))["message"] == answer | {"rating": -1}
    stored = await Message.objects.aget(pk=answer["id"])
    assert (stored.rating, stored.rating_comment) == (-1, "It is not.")


async def test_a_rating_can_be_changed_and_taken_back(anna: Tab, answer: Frame) -> None:
    for rating in (1, -1, None):
        await anna.say("feedback.send", message_id=answer["id"], rating=rating)
        await anna.until(lambda rating=rating: anna.messages[answer["id"]]["rating"] == rating)  # type: ignore[misc]
        await anna.pong()

    assert (await Message.objects.aget(pk=answer["id"])).rating is None


async def test_a_rating_says_so_in_ready(anna: Tab, answer: Frame, tabs: Tabs) -> None:
    await anna.say("feedback.send", message_id=answer["id"], rating=1)
    await anna.see("message.changed")

    late = await tabs(token=anna.token)

    assert late.messages[answer["id"]]["rating"] == 1


@pytest.mark.parametrize("rating", [0, 2, -2, 1.5, "1", True, [], {}])
async def test_other_ratings_are_no_frames(anna: Tab, answer: Frame, rating: object) -> None:
    await anna.refused("bad_frame", "feedback.send", message_id=answer["id"], rating=rating)

    assert (await Message.objects.aget(pk=answer["id"])).rating is None


async def test_ones_own_message_cannot_be_rated(anna: Tab, answer: Frame) -> None:
    question = next(each for each in anna.messages.values() if each["role"] == "visitor")

    await anna.refused("not_found", "feedback.send", message_id=question["id"], rating=1)


async def test_an_unknown_answer_and_somebody_elses_are_not_found(answer: Frame, tabs: Tabs) -> None:
    berta = await tabs()

    unknown = await berta.refused("not_found", "feedback.send", message_id="nothing", rating=1, id="f-1")
    foreign = await berta.refused("not_found", "feedback.send", message_id=answer["id"], rating=1, id="f-1")

    assert unknown == foreign
    assert (await Message.objects.aget(pk=answer["id"])).rating is None
