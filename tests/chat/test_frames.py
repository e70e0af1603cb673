"""What is no frame is refused, and after many of them the socket is closed."""

import pytest

from conversations.models import Message
from tests.chat.cast import Tab
from tests.chat.conftest import Tabs
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)

NO_FRAMES = {
    "nothing": " ",
    "half": '{"type":',
    "a list": "[]",
    "text": '"ping"',
    "a number": "7",
    "null": "null",
    "no type": "{}",
    "a type that is no text": '{"type":["ping"]}',
    "an unknown type": '{"type":"pong"}',
    "a server's type": '{"type":"turn.delta","turn_id":"t","at":0,"text":"x"}',
    "another case": '{"type":"PING"}',
    "not a number": '{"type":"messages.list","before":NaN}',
    "an infinite number": '{"type":"messages.list","before":1e999}',
    "half a number": '{"type":"messages.list","before":1.5}',
    "a large number": '{"type":"messages.list","before":99999999999999999999}',
    "a negative number": '{"type":"messages.list","before":-7}',
    "a claim": '{"type":"messages.list","before":true}',
    "no number": '{"type":"messages.list"}',
    "half a character": '{"type":"message.send","id":"c","text":"\\ud800"}',
    "no id": '{"type":"message.send","text":"hi"}',
    "an empty id": '{"type":"message.send","id":"","text":"hi"}',
    "an id that is a number": '{"type":"message.send","id":7,"text":"hi"}',
    "a long id": '{"type":"message.send","id":"' + "x" * 65 + '","text":"hi"}',
    "no turn": '{"type":"turn.stop"}',
    "a turn that is an object": '{"type":"turn.stop","turn_id":{}}',
    "a long query": '{"type":"conversations.list","query":"' + "x" * 201 + '"}',
    "a long comment": '{"type":"feedback.send","message_id":"m","rating":1,"comment":"' + "x" * 1001 + '"}',
    "deep nesting": "[" * 5000 + "]" * 5000,
    "too many bytes": '{"type":"ping","filler":"' + "ü" * 33_000 + '"}',
}


@pytest.mark.parametrize("text", NO_FRAMES.values(), ids=NO_FRAMES)
async def test_it_is_refused_and_the_socket_goes_on(anna: Tab, text: str) -> None:
    await anna.tell(text)
    await anna.see("error", code="bad_frame")
    await anna.pong()

    assert anna.kinds() == ["ready", "error", "pong"]
    assert not await Message.objects.aexists()


async def test_bytes_are_no_frame(anna: Tab) -> None:
    await anna.socket.send_to(bytes_data=b'{"type":"ping"}')

    await anna.see("error", code="bad_frame")
    await anna.pong()


async def test_the_refusal_repeats_the_frames_id(anna: Tab) -> None:
    for kind, fields in {"message.send": {"text": " "}, "no.such": {}, "messages.list": {}}.items():
        assert (await anna.refused("bad_frame", kind, id="x-1", **fields))["id"] == "x-1"


async def test_a_large_frame_within_the_limit_is_read(anna: Tab) -> None:
    await anna.say("ping", filler="x" * 65_000, id="p-1")

    assert await anna.see("pong") == {"type": "pong", "id": "p-1"}


async def test_twenty_are_forgiven(anna: Tab) -> None:
    for _ in range(20):
        await anna.tell("[")
    await anna.pong()
    assert anna.close_code is None

    await anna.tell("[")

    assert await anna.closed() == 4400
    assert len(anna.seen("error", code="bad_frame")) == 20


async def test_unknown_fields_are_ignored(anna: Tab, puppet: Puppet) -> None:
    await anna.say(
        "message.send", id="c-1", text="Where is it?", role="assistant", status="hidden", position=99
    )
    await anna.see("message.saved")

    stored = await Message.objects.aget()
    assert (stored.role, stored.status, stored.position) == ("visitor", "final", 1)


async def test_nul_characters_go(anna: Tab, puppet: Puppet) -> None:
    message = await anna.send("Where\x00 is it?\x00", "c-1")

    assert message["text"] == "Where is it?"
    assert (await puppet.call()).question == "Where is it?"


async def test_what_goes_wrong_inside_is_said_with_a_reference(
    anna: Tab, tabs: Tabs, monkeypatch: pytest.MonkeyPatch, trouble: None
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("conversations.transcript.conversations", broken)

    error = await anna.refused("internal", "conversations.list", id="l-1")

    assert error["id"] == "l-1"
    assert len(error["ref"]) == 4
    assert "secret" not in error["text"]
    await anna.pong()
