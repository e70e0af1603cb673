"""Earlier conversations and earlier messages, page by page."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.models import Assistant, Conversation, Message, Visitor
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def _conversations(visitor_id: str, assistant: Assistant, count: int, *, apart_s: float = 60) -> None:
    """Store conversations of one message each, `question 0` the oldest."""
    await Visitor.objects.aget_or_create(pk=visitor_id)
    now = timezone.now()
    for number in range(count):
        at = now - timedelta(seconds=apart_s * (count - number))
        row = await Conversation.objects.acreate(
            visitor_id=visitor_id,
            assistant=assistant,
            title=f"question {number}",
            last_line=f"answer {number}",
            last_position=2,
            last_message_at=at,
        )
        await Message.objects.acreate(
            conversation=row, visitor_id=visitor_id, position=1, role="visitor", text=f"question {number}"
        )
        await Message.objects.acreate(
            conversation=row, position=2, role="assistant", text=f"Antwort {number}"
        )


def _visitor(tab: Tab) -> str:
    visitor_id: str = tab.seen("ready")[0]["visitor"]["id"]
    return visitor_id


async def _list(tab: Tab, **fields: object) -> tuple[list[str], bool, list[dict[str, str]]]:
    """Ask for a page; return its titles, whether there are more, and the items."""
    known = len(tab.seen("conversations"))
    await tab.say("conversations.list", **fields)
    await tab.until(lambda: len(tab.seen("conversations")) > known)
    frame = tab.seen("conversations")[-1]
    return [item["title"] for item in frame["items"]], frame["more"], frame["items"]


@pytest.mark.parametrize("cursor", ["id", "last_message_at"])
async def test_conversations_come_in_pages_newest_first(anna: Tab, northwind: Assistant, cursor: str) -> None:
    await _conversations(_visitor(anna), northwind, 45)

    first, more_1, items = await _list(anna, id="list")
    second, more_2, items = await _list(anna, before=items[-1][cursor])
    third, more_3, _ = await _list(anna, before=items[-1][cursor])

    assert first + second + third == [f"question {number}" for number in reversed(range(45))]
    assert (more_1, more_2, more_3) == (True, True, False)
    assert anna.seen("conversations")[0]["id"] == "list"


async def test_an_item_says_what_its_line_shows(anna: Tab, northwind: Assistant) -> None:
    await _conversations(_visitor(anna), northwind, 1)

    _, _, (item,) = await _list(anna)

    row = await Conversation.objects.aget()
    assert item == {
        "id": row.id,
        "title": "question 0",
        "status": "open",
        "last_message_at": row.last_message_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "last_line": "answer 0",
    }


async def test_conversations_of_the_same_instant_are_not_skipped(anna: Tab, northwind: Assistant) -> None:
    await _conversations(_visitor(anna), northwind, 30, apart_s=0)
    await Conversation.objects.aupdate(last_message_at=timezone.now())

    first, _, items = await _list(anna)
    second, _, _ = await _list(anna, before=items[-1]["id"])

    assert sorted(first + second) == sorted(f"question {number}" for number in range(30))


async def test_conversations_are_found_by_title_and_by_what_was_said(anna: Tab, northwind: Assistant) -> None:
    await _conversations(_visitor(anna), northwind, 12)

    by_title, _, _ = await _list(anna, query="QUESTION 7")
    by_text, _, _ = await _list(anna, query=" antwort 11 ")
    by_nothing, _, _ = await _list(anna, query="%")

    assert (by_title, by_text, by_nothing) == (["question 7"], ["question 11"], [])


async def test_what_is_hidden_finds_nothing(anna: Tab, northwind: Assistant) -> None:
    await _conversations(_visitor(anna), northwind, 4)
    await Message.objects.filter(text="Antwort 1").aupdate(status="hidden")
    await Message.objects.filter(text="Antwort 2").aupdate(status="blocked")
    await Message.objects.filter(text="Antwort 3").aupdate(role="note")

    found, _, _ = await _list(anna, query="Antwort")

    assert found == ["question 0"]


async def test_nobody_sees_somebody_elses_conversations(anna: Tab, northwind: Assistant, tabs: Tabs) -> None:
    berta = await tabs()
    await _conversations(_visitor(anna), northwind, 3)
    theirs = await Conversation.objects.afirst()
    assert theirs is not None

    listed, _, _ = await _list(berta)
    found, _, _ = await _list(berta, query="question")
    error = await berta.refused("not_found", "conversations.list", before=theirs.pk)
    unknown = await berta.refused("not_found", "conversations.list", before="nothing")

    assert (listed, found) == ([], [])
    assert error == unknown


@pytest.mark.parametrize(
    "before", ["2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]
)
async def test_a_time_in_another_form_does_no_harm(anna: Tab, before: str) -> None:
    await anna.say("conversations.list", before=before)
    await anna.pong()

    assert anna.kinds()[1] in ("conversations", "error")
    assert not anna.seen("error", code="internal")


async def test_messages_come_in_pages_oldest_first(anna: Tab, northwind: Assistant) -> None:
    await _conversations(_visitor(anna), northwind, 1)
    row = await Conversation.objects.aget()
    for position in range(3, 131):
        await Message.objects.acreate(
            conversation=row, position=position, role="assistant", text=f"line {position}"
        )
    await Message.objects.filter(position=90).aupdate(role="note")

    await anna.say("conversation.open", conversation_id=row.pk)
    await anna.until(lambda: len(anna.seen("ready")) == 2)
    ready = anna.seen("ready")[-1]
    await anna.say("messages.list", before=ready["messages"][0]["position"], id="older")
    page = await anna.see("messages")
    await anna.say("messages.list", before=page["items"][0]["position"])
    await anna.until(lambda: len(anna.seen("messages")) == 2)
    last = anna.seen("messages")[-1]

    positions = [
        each["position"] for part in (last["items"], page["items"], ready["messages"]) for each in part
    ]
    assert positions == [each for each in range(1, 131) if each != 90]
    assert (len(ready["messages"]), ready["more"]) == (50, True)
    assert (len(page["items"]), page["more"], page["id"]) == (50, True, "older")
    assert (len(last["items"]), last["more"]) == (29, False)


async def test_there_are_no_older_messages_where_there_is_no_conversation(anna: Tab) -> None:
    await anna.say("messages.list", before=7)

    assert await anna.see("messages") == {"type": "messages", "items": [], "more": False}


async def test_an_earlier_conversation_can_be_opened_again(anna: Tab, puppet: Puppet, tabs: Tabs) -> None:
    await anna.send("first", "c-1")
    (await puppet.asked("first")).say("one").finish()
    await anna.see("turn.finished")
    earlier = anna.conversation_id

    await anna.say("conversation.open", conversation_id=None)
    await anna.until(lambda: len(anna.seen("ready")) == 2)
    assert (anna.conversation_id, anna.shown) == (None, [])
    await anna.send("second", "c-2")
    (await puppet.asked("second")).say("two").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)
    later = anna.conversation_id
    await anna.say("conversation.open", conversation_id=earlier)
    await anna.until(lambda: anna.conversation_id == earlier)

    assert later != earlier
    assert anna.shown == [("visitor", "final", "first"), ("assistant", "final", "one")]
    assert (await tabs(token=anna.token)).conversation_id == later


async def test_an_open_tab_hears_nothing_of_the_conversation_it_left(anna: Tab, puppet: Puppet) -> None:
    await anna.send("first", "c-1")
    call = await puppet.asked("first")
    call.say("one ")
    await anna.sees("one ")
    await anna.say("conversation.open", conversation_id=None)
    await anna.until(lambda: len(anna.seen("ready")) == 2)
    call.say("two").finish()
    await anna.pong()
    await anna.send("second", "c-2")
    (await puppet.asked("second")).say("three").finish()
    await anna.see("turn.finished")

    assert anna.shown == [("visitor", "final", "second"), ("assistant", "final", "three")]
    assert len(anna.seen("turn.finished")) == 1


async def test_an_unknown_conversation_and_somebody_elses_are_not_found(
    anna: Tab, northwind: Assistant, tabs: Tabs
) -> None:
    berta = await tabs()
    await _conversations(_visitor(anna), northwind, 1)
    row = await Conversation.objects.aget()

    unknown = await berta.refused("not_found", "conversation.open", conversation_id="nothing")
    foreign = await berta.refused("not_found", "conversation.open", conversation_id=row.pk)
    sent = await berta.refused("not_found", "message.send", id="b-1", text="hi", conversation_id=row.pk)

    assert unknown == foreign == {key: sent[key] for key in unknown}
    assert await Message.objects.acount() == 2
