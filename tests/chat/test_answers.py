"""A visitor asks and sees the answer."""

import pytest

from chatbot.providers.scripted import recital
from conversations.models import Completion, HistoryWindow, Message, OutboxEntry, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Processes

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_question_gets_its_answer_and_both_are_stored(anna: Tab) -> None:
    answer = await anna.ask("script: pieces=30 seed=3")

    text = "".join(recital(30, 3))
    assert answer["text"] == anna.running_text == text
    assert (anna.gaps, anna.repeats) == (0, 0)
    kinds = [frame["type"] for frame in anna.frames]
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


async def test_ready_tells_everything_again(processes: Processes) -> None:
    runner = processes()
    first = await Tab(runner).open(locale="zh-hans")
    await first.ask("hello there")

    second = await Tab(runner).open(token=first.token)

    assert (
        second.shown
        == first.shown
        == [("visitor", "final", "hello there"), ("assistant", "final", "hello there")]
    )
    greeting = first.seen("ready")[0]["assistant"]
    assert (greeting["greeting"], greeting["starters"]) == ("您好", ["我的包裹在哪里？"])
    await first.close()
    await second.close()
