"""The window of a turn: what was sent is on record, and can be put together again."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from chatbot import database
from conversations import windows
from conversations.models import (
    Assistant,
    Completion,
    Conversation,
    HistoryWindow,
    Message,
    PromptVersion,
    Visitor,
    statements,
)
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def _talk(tab: Tab, puppet: Puppet, count: int) -> None:
    """Let `count` questions be asked and answered."""
    for number in range(count):
        known = len(tab.seen("turn.finished"))
        await tab.send(f"question {number}", f"c-{number}")
        (await puppet.asked(f"question {number}")).say(f"answer {number}").finish()
        await tab.until(lambda known=known: len(tab.seen("turn.finished")) > known)  # type: ignore[misc]


async def _version(assistant: Assistant, **changes: Any) -> PromptVersion:
    """Let another version of the assistant be live."""
    version = await PromptVersion.objects.acreate(
        assistant=assistant, number=2, instructions="You help.", **changes
    )
    await Assistant.objects.filter(pk=assistant.pk).aupdate(live_version=version)
    return version


async def _last() -> HistoryWindow:
    row = await HistoryWindow.objects.select_related("completion__turn").order_by("completion__id").alast()
    assert row is not None
    return row


def _unmarked(system: str) -> str:
    """Return a system text without its canary."""
    return system.partition("]\n")[2]


async def test_each_turn_stores_what_was_sent(anna: Tab, puppet: Puppet) -> None:
    await _talk(anna, puppet, 3)

    rows = [row async for row in HistoryWindow.objects.order_by("completion__id")]
    assert [row.sent for row in rows] == [[1], [1, 2, 3], [1, 2, 3, 4, 5]]
    assert [row.dropped for row in rows] == [[], [], []]
    assert {_unmarked(row.system) for row in rows} == {"You are the assistant of Northwind Outfitters."}
    assert all(0 < row.input_tokens < row.limit_tokens == 4800 for row in rows)


async def test_what_the_exchanges_do_not_hold_is_dropped(
    anna: Tab, puppet: Puppet, northwind: Assistant
) -> None:
    await _version(northwind, window_exchanges=2)
    await _talk(anna, puppet, 5)

    row = await _last()
    assert row.sent == [5, 6, 7, 8, 9]
    assert row.dropped == [{"from": 1, "to": 4, "reason": "exchanges"}]
    assert puppet.calls[-1].request.messages[0].text == "question 2"


async def test_what_the_tokens_do_not_hold_is_dropped(
    processes: Processes, tabs: Tabs, puppet: Puppet
) -> None:
    anna = await tabs(await processes(context_tokens=200, max_output_tokens=50))
    await _talk(anna, puppet, 12)

    row = await _last()
    assert row.limit_tokens == 120
    assert row.input_tokens <= 120
    assert row.sent == list(range(row.sent[0], 24))
    assert row.dropped == [{"from": 1, "to": row.sent[0] - 1, "reason": "tokens"}]
    assert row.sent[0] % 2 == 1  # an exchange begins with its question


async def test_the_version_says_with_which_parameters(
    anna: Tab, puppet: Puppet, northwind: Assistant
) -> None:
    await _version(northwind, parameters={"temperature": 0.3, "stop": ["END"]})
    await _talk(anna, puppet, 1)

    asked = puppet.calls[-1].request
    assert (asked.parameters.temperature, asked.parameters.stop) == (0.3, ("END",))
    assert _unmarked(asked.system) == "You help."
    assert (await _last()).parameters == {"temperature": 0.3, "max_output_tokens": 500, "stop": ["END"]}


async def test_a_window_is_put_together_again(anna: Tab, puppet: Puppet) -> None:
    await _talk(anna, puppet, 4)

    async for completion in Completion.objects.select_related("turn", "window"):
        request, is_same = await database.run(windows.rebuild, completion)
        assert is_same
        assert request in [call.request for call in puppet.calls]


async def test_a_changed_text_does_not_match(anna: Tab, puppet: Puppet) -> None:
    await _talk(anna, puppet, 2)
    await Message.objects.filter(position=2).aupdate(text="answer 0, in other words")

    first, second = [
        (await database.run(windows.rebuild, row))[1]
        async for row in Completion.objects.select_related("turn", "window").order_by("id")
    ]

    assert (first, second) == (True, False)


@pytest.mark.parametrize("change", ["system", "parameters", "sent", "salt", "model", "key"])
async def test_nothing_else_may_have_changed_either(
    anna: Tab, puppet: Puppet, settings: Settings, change: str
) -> None:
    await _talk(anna, puppet, 2)
    row = await _last()
    match change:
        case "system":
            row.system += " Be kind."
        case "parameters":
            row.parameters |= {"temperature": 1.0}
        case "sent":
            row.sent = row.sent[1:]
        case "salt":
            row.salt = "0" * 32
        case "model":
            row.completion.model = "m-2"
        case "key":
            settings.SECRET_KEY = "another key, as long as it has to be: another key"

    row.completion.window = row
    _, is_same = await database.run(windows.rebuild, row.completion)

    assert not is_same


async def test_an_erased_message_does_not_match(anna: Tab, puppet: Puppet) -> None:
    await _talk(anna, puppet, 2)
    row = await _last()
    await Message.objects.filter(position=2).aupdate(text="")

    assert not (await database.run(windows.rebuild, row.completion))[1]


async def _history(assistant: Assistant, visitor_id: str, roles: str) -> str:
    """Store a conversation, `v` a visitor's message, `a` an answer, `.` nothing there; return its id."""
    await Visitor.objects.acreate(pk=visitor_id)
    row = await Conversation.objects.acreate(
        visitor_id=visitor_id,
        assistant=assistant,
        last_position=len(roles),
        answered_through=len(roles),
    )
    await Message.objects.abulk_create(
        Message(
            conversation=row,
            position=position,
            role="visitor" if role == "v" else "assistant",
            text=f"line {position}",
        )
        for position, role in enumerate(roles, start=1)
        if role != "."
    )
    return row.pk


@pytest.mark.parametrize(
    ("roles", "first"),
    [
        ("va" * 500, 961),
        ("va" * 20 + "v" * 12 + "a", 3),
        ("va" * 19 + "v" * 30 + "a" * 3, 1),
        ("v" * 400 + "a", None),
    ],
    ids=["long", "a burst", "a longer burst", "one burst alone"],
)
async def test_twenty_exchanges_are_found_however_they_were_spoken(
    anna: Tab, puppet: Puppet, northwind: Assistant, roles: str, first: int | None
) -> None:
    visitor_id = anna.seen("ready")[0]["visitor"]["id"]
    conversation_id = await _history(northwind, visitor_id, roles)
    await anna.say("conversation.open", conversation_id=conversation_id)
    await anna.until(lambda: anna.conversation_id == conversation_id)

    await anna.send("And now?", "c-1")
    await puppet.call()

    row = await _last()
    newest = len(roles) + 1
    assert row.sent[-1] == newest
    assert row.sent[0] == (first or newest)
    assert row.sent == list(range(row.sent[0], newest + 1))
    expected = [{"from": 1, "to": row.sent[0] - 1, "reason": "exchanges"}] if row.sent[0] > 1 else []
    assert row.dropped == expected


async def test_a_wide_gap_between_positions_hides_nothing(
    anna: Tab, puppet: Puppet, northwind: Assistant
) -> None:
    visitor_id = anna.seen("ready")[0]["visitor"]["id"]
    conversation_id = await _history(northwind, visitor_id, "va" * 30 + "." * 1000)
    await anna.say("conversation.open", conversation_id=conversation_id)
    await anna.until(lambda: anna.conversation_id == conversation_id)

    await anna.send("And now?", "c-1")
    await puppet.call()

    row = await _last()
    assert row.sent == [*range(21, 61), 1061]
    assert row.dropped == [{"from": 1, "to": 20, "reason": "exchanges"}]


async def test_of_a_long_past_only_the_end_is_read(
    anna: Tab, puppet: Puppet, northwind: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes every conversation for a short one that is sorted cheaply, until it has counted."""
    visitor_id = anna.seen("ready")[0]["visitor"]["id"]
    conversation_id = await _history(northwind, visitor_id, "va" * 5000)
    await anna.say("conversation.open", conversation_id=conversation_id)
    await anna.until(lambda: anna.conversation_id == conversation_id)
    asked: list[tuple[str, Sequence[Any]]] = []
    fetch_all = statements.fetch_all

    def noted(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        asked.append((sql, parameters))
        return fetch_all(sql, parameters)

    monkeypatch.setattr(statements, "fetch_all", noted)
    await anna.send("And now?", "c-1")
    await puppet.call()

    of_messages = [each for each in asked if "FROM conversations_message" in each[0]]
    assert of_messages
    for sql, parameters in of_messages:
        assert await database.run(_reads_few, sql, parameters), sql


def _reads_few(sql: str, parameters: Sequence[Any]) -> bool:
    """Say whether the database goes through few rows to answer."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            return "SCAN" not in (plan := str(cursor.fetchall())) and "TEMP B-TREE" not in plan
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        [[[found]]] = cursor.fetchall()
    return _rows(found["Plan"]) < 500


def _rows(node: dict[str, Any]) -> float:
    own: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return max([own, *(_rows(each) for each in node.get("Plans", ()))])


async def test_a_burst_longer_than_the_window_is_answered_whole(
    anna: Tab, puppet: Puppet, northwind: Assistant, no_limits: None
) -> None:
    await _version(northwind, window_exchanges=1)
    for number in range(70):
        await anna.send(f"part {number}", f"c-{number}")

    await puppet.asked("\n\n".join(f"part {number}" for number in range(70)))

    row = await _last()
    assert (row.sent, row.dropped) == (list(range(1, 71)), [])
