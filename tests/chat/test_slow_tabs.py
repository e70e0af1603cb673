"""A tab that reads too slowly is left out, not waited for, and told everything anew."""

import pytest

from chatbot.providers.scripted import Prompter, Scripted, recital
from conversations.sockets import chat
from tests.chat.cast import Tab
from tests.chat.conftest import Processes

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_tab_that_does_not_read_gets_a_snapshot_when_it_reads_again(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_CATCH_UP_S", 0.02)
    process = await processes(Scripted(write=Prompter()))
    unsent = chat.MAX_UNSENT_BYTES + 1
    slow, quick = Tab(process), Tab(process)
    slow.socket.scope["unsent_bytes"] = lambda: unsent
    await slow.open()
    await quick.connect()
    await quick.say("hello", token=slow.token)
    await quick.see("ready")

    await slow.send("script: pieces=200 delay_ms=2", "c-1")
    await slow.until(lambda: bool(slow.conversation_id))
    await quick.say("conversation.open", conversation_id=slow.conversation_id)
    await quick.until(lambda: len(quick.shown) == 2)
    deltas = len(slow.seen("turn.delta"))
    unsent = 0
    await slow.until(lambda: len(slow.seen("ready")) > 1)

    assert deltas == 0
    assert slow.shown == quick.shown
    assert slow.shown[-1][2] == "".join(recital(200, 0))
    await slow.close()
    await quick.close()


async def test_a_tab_that_never_reads_is_closed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_CATCH_UP_S", 0.02)
    tab = Tab(await processes(Scripted(write=Prompter())))
    tab.socket.scope["unsent_bytes"] = lambda: chat.GIVE_UP_UNSENT_BYTES + 1
    await tab.open()

    await tab.send("hello", "c-1")

    await tab.until(lambda: tab.close_code is not None)
    assert tab.close_code == chat.CLOSE_TOO_SLOW
