"""A visitor asks and sees the answer."""

import pytest

from chatbot.providers.scripted import Prompter, Scripted, recital
from conversations.models import Completion, HistoryWindow, Message, OutboxEntry, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_question_gets_its_answer_and_both_are_stored(processes: Processes, tabs: Tabs) -> None:
    anna = await tabs(await processes(Scripted(write=Prompter())))

    answer = await anna.ask("script: pieces=30 seed=3")

    text = "".join(recital(30, 3))
    assert answer["text"] == "".join(frame["text"] for frame in anna.seen("turn.delta")) == text
    assert (anna.gaps, anna.repeats) == (0, 0)
    kinds = anna.kinds()
    assert kinds.index("message.saved") < kinds.index("turn.started") < kinds.index("turn.delta")
    stored = await Message.objects.aget(pk=answer["id"])
    assert (stored.text, stored.role, stored.status, stored.position) == (text, "assistant", "final", 2)
    turn = await Turn.objects.aget()
    assert (turn.status, turn.after, turn.through, turn.position) == ("completed", 0, 1, 2)
    completion = await Completion.objects.aget()
    assert (completion.status, completion.finish, completion.usage_kind) == ("completed", "stop", "exact")
    window = await HistoryWindow.objects.aget()
    assert window.sent == [1]
    assert await OutboxEntry.objects.filter(key=turn.id).aexists()


async def test_ready_tells_everything_again(tabs: Tabs, puppet: Puppet) -> None:
    first = await tabs(locale="zh-hans")
    await first.send("hello there", "c-1")
    (await puppet.call()).say("hello", " Anna").finish()
    await first.see("turn.finished")

    second = await tabs(token=first.token)

    assert (
        second.shown
        == first.shown
        == [("visitor", "final", "hello there"), ("assistant", "final", "hello Anna")]
    )
    greeting = first.seen("ready")[0]["assistant"]
    assert (greeting["greeting"], greeting["starters"]) == ("您好", ["我的包裹在哪里？"])


async def test_a_second_question_shows_the_model_the_first_exchange(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is my parcel?", "c-1")
    (await puppet.call()).say("On its way.").finish()
    await anna.see("turn.finished")

    await anna.send("Since when?", "c-2")
    second = await puppet.call(2)

    said = [(message.role, message.text) for message in second.request.messages]
    assert said == [
        ("user", "Where is my parcel?"),
        ("assistant", "On its way."),
        ("user", "Since when?"),
    ]
    assert second.request.system.endswith("]\nYou are the assistant of Northwind Outfitters.")
