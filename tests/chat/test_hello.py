"""The first frame says who is there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from conversations import access
from conversations.models import Assistant, Conversation, Message, PromptVersion, Visitor
from conversations.sockets import chat
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def stranger(process: Process) -> Tab:
    """A socket of which nobody knows whose it is."""
    tab = Tab(process)
    await tab.connect()
    return tab


async def test_a_new_visitor_gets_a_token_and_no_row(stranger: Tab) -> None:
    await stranger.say("hello", id="h-1")

    ready = await stranger.see("ready")
    assert access.visitor_of(ready["visitor"]["token"]) == ready["visitor"]["id"]
    assert ready["protocol"] == 1
    assert ready["assistant"] == {
        "slug": "northwind",
        "name": "Northwind Assistant",
        "greeting": "Hello",
        "starters": ["Where is my parcel?"],
    }
    assert ready["limits"] == {"message_max_chars": 4000}
    assert (ready["conversation"], ready["messages"], ready["more"], ready["turn"]) == (None, [], False, None)
    assert not await Visitor.objects.aexists()


async def test_a_token_is_known_again(stranger: Tab, tabs: Tabs) -> None:
    anna = await tabs()

    await stranger.say("hello", token=anna.token)

    assert (await stranger.see("ready"))["visitor"] == anna.seen("ready")[0]["visitor"]


@pytest.mark.parametrize("token", ["nonsense", "", "01hzzzzzzzzzzzzzzzzzzzzzzz:forged", "a:b:c"])
async def test_a_token_that_is_not_ours_closes_the_socket(stranger: Tab, token: str) -> None:
    await stranger.say("hello", token=token, id="h-1")

    if token:
        assert await stranger.closed() == 4401
        assert stranger.seen("error", code="unauthorized")[0]["id"] == "h-1"
    else:
        await stranger.see("ready")  # none at all


async def test_nothing_is_answered_after_the_socket_was_closed(stranger: Tab) -> None:
    await stranger.say("hello", token="nonsense")
    await stranger.say("hello")
    await stranger.say("message.send", id="c-1", text="Where is it?")

    assert await stranger.closed() == 4401
    assert await stranger.socket.receive_nothing(timeout=0.1)
    assert stranger.kinds() == ["error"]
    assert not await Message.objects.aexists()


async def test_whoever_says_no_hello_is_sent_away(
    stranger: Tab, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "HELLO_S", 0.05)
    silent, chatty, failed = Tab(process), Tab(process), Tab(process)
    for tab in (silent, chatty, failed):
        await tab.connect()
    await chatty.say("ping")
    await failed.say("hello", assistant="nobody")

    for tab in (silent, chatty, failed):
        assert await tab.closed() == 4408


async def test_whoever_says_hello_in_time_stays(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "HELLO_S", 0.05)
    tab = await Tab(process).open()

    later = Tab(process)
    await later.connect()
    await later.closed()
    await tab.pong()

    assert tab.close_code is None
    tab.cut()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("message.send", {"text": "hi"}),
        ("turn.stop", {"turn_id": "t"}),
        ("turn.retry", {"turn_id": "t"}),
        ("feedback.send", {"message_id": "m", "rating": 1}),
        ("conversation.open", {}),
        ("conversations.list", {}),
        ("messages.list", {"before": 1}),
        ("sync", {}),
        ("ping", {}),
    ],
)
async def test_every_other_frame_needs_hello_first(
    stranger: Tab, kind: str, fields: dict[str, object]
) -> None:
    error = await stranger.refused("unauthorized", kind, id="x-1", **fields)

    assert error["id"] == "x-1"
    await stranger.say("hello")
    await stranger.see("ready")


async def test_a_second_hello_is_a_conflict(anna: Tab) -> None:
    assert (await anna.refused("conflict", "hello", id="h-2"))["id"] == "h-2"

    await anna.pong()
    assert len(anna.seen("ready")) == 1


async def test_after_an_unknown_assistant_or_conversation_another_hello_may_follow(
    stranger: Tab, tabs: Tabs, puppet: Puppet
) -> None:
    anna = await tabs()
    await anna.send("Where is it?", "c-1")

    await stranger.refused("not_found", "hello", assistant="nobody")
    await stranger.refused("not_found", "hello", conversation_id="nothing")
    await stranger.refused("not_found", "hello", conversation_id=anna.conversation_id)
    await stranger.say("hello", token=anna.token, conversation_id=anna.conversation_id)

    assert (await stranger.see("ready"))["conversation"]["id"] == anna.conversation_id


async def test_an_assistant_is_chosen_by_its_slug(stranger: Tab, northwind: Assistant, tabs: Tabs) -> None:
    other = await Assistant.objects.acreate(slug="other", name="Other", house="Other", languages=["zh-hans"])
    version = await PromptVersion.objects.acreate(assistant=other, number=1, instructions="Help.")
    await Assistant.objects.filter(pk=other.pk).aupdate(live_version=version)
    anna = await tabs()
    await anna.send("Where is it?", "c-1")

    await stranger.say("hello", token=anna.token, assistant="other")

    ready = await stranger.see("ready")
    assert (ready["assistant"]["slug"], ready["conversation"]) == ("other", None)
    await stranger.refused("not_found", "conversation.open", conversation_id=anna.conversation_id)


async def test_the_newest_open_conversation_is_shown(anna: Tab, puppet: Puppet, tabs: Tabs) -> None:
    await anna.send("first", "c-1")
    earlier = anna.conversation_id
    await anna.say("conversation.open", conversation_id=None)
    await anna.send("second", "c-2")

    newest = await tabs(token=anna.token)
    chosen = await tabs(token=anna.token, conversation_id=earlier)

    assert (newest.conversation_id, chosen.conversation_id) == (anna.conversation_id, earlier)


@pytest.mark.parametrize("state", ["closed", "idle"])
async def test_a_conversation_that_is_over_is_not_shown_again_and_the_next_message_opens_another(
    anna: Tab, puppet: Puppet, tabs: Tabs, state: str
) -> None:
    await anna.send("first", "c-1")
    (await puppet.asked("first")).say("one").finish()
    await anna.see("turn.finished")
    earlier = anna.conversation_id
    if state == "closed":
        await Conversation.objects.aupdate(status="closed")
    else:
        await Conversation.objects.aupdate(last_message_at=timezone.now() - timedelta(hours=25))

    late = await tabs(token=anna.token)
    await anna.send("second", "c-2")
    (await puppet.asked("second")).say("two").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)

    assert late.conversation_id is None
    assert anna.conversation_id not in (None, earlier)
    assert anna.shown == [("visitor", "final", "second"), ("assistant", "final", "two")]
    assert [message.text for message in puppet.calls[-1].request.messages] == ["second"]
    rows = [row.status async for row in Conversation.objects.order_by("created_at")]
    assert rows == ["closed", "open"]


async def test_other_tabs_are_told_that_the_conversation_is_over(
    anna: Tab, puppet: Puppet, other: Process, tabs: Tabs
) -> None:
    await anna.send("first", "c-1")
    (await puppet.asked("first")).say("one").finish()
    await anna.see("turn.finished")
    everyone = [await tabs(token=anna.token), await tabs(other, token=anna.token)]
    await Conversation.objects.aupdate(last_message_at=timezone.now() - timedelta(hours=25))

    await anna.send("second", "c-2")

    for tab in everyone:
        await tab.until(lambda tab=tab: tab.seen("ready")[-1]["conversation"]["status"] == "closed")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("locale", "greeting"),
    [("en", "Hello"), ("zh-hans", "您好"), ("fr", "Hello"), ("EN", "Hello"), (None, "Hello")],
)
async def test_greeting_and_errors_speak_the_visitors_language(
    stranger: Tab, locale: str | None, greeting: str
) -> None:
    await stranger.say("hello", locale=locale)
    ready = await stranger.see("ready")
    error = await stranger.refused("not_found", "turn.stop", turn_id="t")

    assert ready["assistant"]["greeting"] == greeting
    assert error["text"] == (
        "该对话已不存在。" if locale == "zh-hans" else "This conversation is no longer here."
    )
