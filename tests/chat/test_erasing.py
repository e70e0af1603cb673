"""Numbers never come from text: when it is erased, counters, ledger and log stay what they were."""

from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatbot import database
from chatbot.providers.messages import Usage
from conversations import ledger, rulebook, spending, tasks, verdicts
from conversations.models import (
    NANOS,
    HistoryWindow,
    HourlyCounter,
    Message,
    OutboxEntry,
    Turn,
    Verdict,
)
from conversations.moderation import rules
from conversations.spending import DIMENSIONS, Choice
from tests.chat.cast import Tab
from tests.chat.puppet import Puppet
from tests.money import books

pytestmark = pytest.mark.django_db(transaction=True)

RULES = (
    {"id": "mails", "kind": "pii", "pattern": "email", "action": "mask", "stages": ["input"]},
    {"id": "word", "kind": "word", "pattern": "jackpot", "action": "block", "stages": ["output"]},
    {"id": "code", "kind": "word", "pattern": "swordfish", "action": "mask", "stages": ["output"]},
)
ESTIMATED = Usage(input_tokens=30, output_tokens=None, kind="unknown")


def _prepare() -> None:
    books.price(provider="puppet", model="m-1", input_nanos=NANOS, output_nanos=10 * NANOS)
    rulebook.put(rules.read(RULES), by="ann")
    rulebook.forget()


async def some_turns(anna: Tab, puppet: Puppet) -> list[str]:
    """Let turns end in every way: answered, masked, blocked, stopped, cut off, failed."""
    await database.run(_prepare)

    async def ended(number: int) -> None:
        await anna.until(lambda: len(anna.seen("turn.finished")) == number)

    await anna.send("Write to ann@example.com", "c-1")
    (await puppet.call(1)).say("To [EMAIL_1], yes.").finish()
    await ended(1)
    await anna.send("And the code?", "c-2")
    (await puppet.call(2)).say("It is swordfish.").finish(usage=ESTIMATED)
    await ended(2)
    await anna.send("What did I win?", "c-3")
    (await puppet.call(3)).say("The jackpot !")
    await ended(3)
    await anna.send("Tell me more", "c-4")
    (await puppet.call(4)).say("Once upon a time")
    await anna.sees("Once upon a time")
    assert anna.turn is not None
    await anna.say("turn.stop", turn_id=anna.turn.id)
    await ended(4)
    await anna.send("Go on", "c-5")
    (await puppet.call(5)).say("There was").cut()
    await ended(5)
    await anna.send("And then?", "c-6")
    (await puppet.call(6)).fail("server")
    (await puppet.call(7)).fail("server")
    await ended(6)
    turns = [each["turn_id"] for each in anna.seen("turn.finished")]
    statuses = [each["status"] for each in anna.seen("turn.finished")]
    assert statuses == ["completed", "completed", "blocked", "stopped", "interrupted", "failed"]
    return turns


def erase() -> None:
    """Blank all that anybody said."""
    Message.objects.update(text="", withheld="", rating_comment="")
    Verdict.objects.update(withheld="")
    HistoryWindow.objects.update(system="")


def run_tasks(turn_ids: list[str]) -> None:
    for task in (tasks.log_turn, tasks.bill_turn, tasks.moderate_turn):
        task(turn_ids)
    tasks.sweep_ledger()


def numbers() -> dict[str, Any]:
    """Return every number that is kept or shown of these turns."""
    return {
        "counters": list(HourlyCounter.objects.order_by("pk").values()),
        "ledger": [orjson.dumps(line) for line in ledger.export()],
        "sums": [each.as_json(DIMENSIONS) for each in spending.sums(Choice(), DIMENSIONS)],
        "finders": verdicts.finders(),
        "turns": list(Turn.objects.order_by("pk").values("status", "error", "first_delta_ms")),
    }


def log_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the lines of log_turn without their times, and forget them."""
    records = [dict(each.msg) for each in caplog.records if isinstance(each.msg, dict)]
    caplog.clear()
    lines = [each for each in records if each["event"] == "turn logged"]
    return sorted(({**each, "at": None} for each in lines), key=lambda each: str(each["turn_id"]))


async def test_erasing_text_changes_no_number_and_tasks_after_it_none_either(
    anna: Tab, puppet: Puppet, caplog: pytest.LogCaptureFixture
) -> None:
    turns = await some_turns(anna, puppet)
    caplog.set_level("INFO")
    run, count = sync_to_async(run_tasks), sync_to_async(numbers)
    await run(turns)
    before, lines = await count(), log_lines(caplog)
    assert len(lines) == len(turns)
    assert len(before["ledger"]) == 14  # a hold for each call, and what closed it

    await sync_to_async(erase)()
    await run(turns)

    assert await count() == before
    assert log_lines(caplog) == []


async def test_what_is_logged_after_the_erasure_is_what_would_have_been_logged_before(
    anna: Tab, puppet: Puppet, caplog: pytest.LogCaptureFixture
) -> None:
    turns = await some_turns(anna, puppet)
    caplog.set_level("INFO")

    @sync_to_async
    def logged() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Log and count the turns as if for the first time."""
        HourlyCounter.objects.all().delete()
        OutboxEntry.objects.filter(task=tasks.LOG_TURN).update(done_at=None)
        tasks.log_turn(turns)
        counters = [{**row, "id": None} for row in HourlyCounter.objects.order_by("pk").values()]
        return counters, log_lines(caplog)

    before = await logged()
    await sync_to_async(erase)()

    assert await logged() == before
    assert len(before[1]) == len(turns)


async def test_logging_and_counting_read_no_table_with_text(anna: Tab, puppet: Puppet) -> None:
    turns = await some_turns(anna, puppet)

    @sync_to_async
    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            tasks.log_turn(turns)
        return [each["sql"] for each in queries.captured_queries]

    found = await asked()

    assert any("conversations_turn" in sql for sql in found)
    for table in ("conversations_message", "conversations_historywindow", "conversations_verdict"):
        assert not [sql for sql in found if table in sql]
