"""A turn's story: what `explain` and the console tell of turns that really happened."""

import io
from datetime import timedelta
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatbot import database
from chatbot.providers.messages import Usage
from conversations import outbox, rulebook, story, storytelling, tasks
from conversations.models import (
    NANOS,
    Completion,
    HistoryWindow,
    Message,
    OutboxEntry,
    Turn,
)
from conversations.moderation import rules
from conversations.story import Story
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.puppet import Puppet
from tests.money import books

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "Write to ann@example.com about order 7431, please"


def _prepare() -> None:
    books.price(provider="puppet", model="m-1", input_nanos=NANOS, output_nanos=10 * NANOS)
    row = {"id": "mails", "kind": "pii", "pattern": "email", "action": "mask", "stages": ["input"]}
    rulebook.put(rules.read([row]), by="ann")
    rulebook.forget()


@pytest.fixture
async def prepared(northwind: object) -> None:
    """The model has a price, and e-mail addresses are hidden from it."""
    await database.run(_prepare)


@sync_to_async
def told(key: str) -> Story:
    return story.read(key)


@sync_to_async
def explained(key: str, *options: str) -> str:
    out = io.StringIO()
    call_command("explain", key, *options, stdout=out, skip_checks=True)
    return out.getvalue()


@sync_to_async
def after(turn_id: str) -> None:
    """Do what follows a turn."""
    tasks.log_turn([turn_id])
    tasks.bill_turn([turn_id])
    tasks.moderate_turn([turn_id])


async def a_turn(anna: Tab, puppet: Puppet) -> str:
    """Let a question be answered at the second attempt; return its turn's id."""
    await anna.send(QUESTION, "c-1")
    (await puppet.call(1)).fail("server")
    usage = Usage(input_tokens=40, output_tokens=8, kind="exact")
    (await puppet.call(2)).say("We write to [EMAIL_1].").finish(usage=usage)
    turn_id: str = (await anna.see("turn.finished"))["turn_id"]
    await after(turn_id)
    return turn_id


async def test_a_turn_is_told_from_its_first_message_to_its_last_task(
    prepared: None, anna: Tab, puppet: Puppet
) -> None:
    turn_id = await a_turn(anna, puppet)

    lines = storytelling.lines(await told(turn_id))
    words = [each.words for each in lines]

    def place(beginning: str) -> int:
        found = [at for at, each in enumerate(words) if each.startswith(beginning)]
        assert len(found) == 1, (beginning, words)
        return found[0]

    in_order = [
        "The visitor’s message 1 came: 49 characters; parts of it are hidden from the model.",
        "The turn was accepted: assistant northwind, prompt version v1, route default.",
        "Attempt 1 asked m-1 at puppet (target quick, route default).",
        "Attempt 1 ended as failed; error server",
        "Attempt 2 asked m-1 at puppet",
        "The first words were shown, ",
        "Attempt 2 ended as completed; finish stop; first delta after",
        "The turn ended as completed, ",
        "Ledger: attempt 2 settled at 0.00012 USD; 40 tokens read, 8 written (exact); price ",
        "Together it cost 0.00012 USD.",
    ]
    assert sorted(in_order, key=place) == in_order
    assert words.count("Hidden in message 1: the model saw [EMAIL_1].") == 2
    assert words.count("The request can be put together again: its HMAC matches.") == 2
    place("Ledger: what was held for attempt 1 is released; 0 tokens read, 0 written (estimated)")
    for name in ("log_turn", "bill_turn", "moderate_turn"):
        place(f"Task {name} was done")
    times = [each.at for each in lines if each.at]
    assert times == sorted(times)


async def test_the_command_tells_a_sentence_a_line_and_no_text(
    prepared: None, anna: Tab, puppet: Puppet
) -> None:
    turn_id = await a_turn(anna, puppet)

    said = await explained(turn_id)
    first, *lines = said.splitlines()

    assert first.startswith(f"Turn {turn_id} of conversation ")
    assert all(line[24:].strip().endswith(".") for line in lines)
    for secret in ("ann@example.com", "7431", "We write", "Northwind Outfitters"):
        assert secret not in said
        assert secret not in await explained(turn_id, "--json")
        assert secret in await explained(turn_id, "--text")


async def test_programs_get_one_object_with_stable_keys(prepared: None, anna: Tab, puppet: Puppet) -> None:
    turn_id = await a_turn(anna, puppet)

    found = orjson.loads(await explained(turn_id, "--json"))

    assert set(found) == {"turn", "messages", "attempts", "verdicts", "cost", "tasks", "lines"}
    assert set(found["turn"]) == {
        "id", "conversation_id", "visitor_id", "assistant", "version", "message_id", "after", "through",
        "status", "error", "generation", "takeovers", "process", "stop_requested", "accepted_at",
        "visible_at", "finished_at", "first_delta_ms", "duration_ms", "replaces", "replaced_by",
    }  # fmt: skip
    assert (found["turn"]["id"], found["turn"]["status"]) == (turn_id, "completed")
    assert [each["role"] for each in found["messages"]] == ["visitor", "assistant"]
    assert [each["chars"] for each in found["messages"]] == [49, len("We write to ann@example.com.")]
    first, second = found["attempts"]
    assert (first["error"], first["status"], second["error"]) == ("server", "failed", None)
    assert second["window"]["hidden"] == {"1": ["[EMAIL_1]"]}
    assert (second["window"]["sent"], second["window"]["matches"]) == ([1], True)
    assert [each["kind"] for each in first["ledger"]] == ["hold", "release"]
    assert [each["kind"] for each in second["ledger"]] == ["hold", "settle"]
    assert found["cost"] == {"nanos": {"USD": 120_000}, "unknown": 0, "held": 0}
    [verdict] = found["verdicts"]
    assert (verdict["stage"], verdict["rule_name"], verdict["action"]) == ("input", "mails", "mask")
    assert verdict["at"].endswith("Z")
    assert [each["state"] for each in found["tasks"]] == ["done"] * 3
    texts = orjson.loads(await explained(turn_id, "--json", "--text"))
    assert texts["messages"][0]["text"] == QUESTION
    assert "Northwind" in texts["attempts"][0]["window"]["system"]


async def test_ids_of_messages_and_completions_lead_to_their_turn(
    prepared: None, anna: Tab, puppet: Puppet
) -> None:
    turn_id = await a_turn(anna, puppet)
    keys = [each.pk async for each in Message.objects.all()]
    keys += [each.pk async for each in Completion.objects.all()]

    assert len(keys) == 4
    assert {(await told(key)).turn.pk for key in [turn_id, *keys]} == {turn_id}


async def test_what_is_no_turn_is_told_in_a_sentence(prepared: None, anna: Tab) -> None:
    trial = await Completion.objects.acreate(number=1, route="default", target="t", provider="p", model="m")

    for key, words in [
        ("nobody", "There is no turn `nobody`"),
        (trial.pk, f"Completion `{trial.pk}` belongs to no turn"),
        ("a\nb\x1b[31m", r"There is no turn `a\nb\x1b[31m`"),
    ]:
        with pytest.raises(CommandError) as refused:
            await explained(key)
        assert words in str(refused.value)
        assert refused.value.returncode == 1


async def test_bursts_stops_and_answers_again_are_told(prepared: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("one", "c-1")
    await puppet.call(1)
    await anna.send("two", "c-2")
    (await puppet.asked("one\n\ntwo")).say("Half of")
    await anna.sees("Half of")
    assert anna.turn is not None
    first = anna.turn.id
    await anna.say("turn.stop", turn_id=first)
    await anna.see("turn.finished")
    await anna.say("turn.retry", turn_id=first)
    (await puppet.asked("one\n\ntwo")).say("All of it.").finish()
    await anna.until(lambda: len(anna.seen("turn.finished")) == 2)
    second = anna.seen("turn.finished")[-1]["turn_id"]

    before, later = await told(first), await told(second)
    words = [each.words for each in storytelling.lines(before)]

    assert [each.row.text for each in before.questions] == ["one", "two"]
    assert "It was begun anew 1 time, for further messages or by another process." in words
    assert "The visitor stopped it." in words
    assert f"The visitor asked again: turn {second} replaces its answer." in words
    assert [each.pk for each in before.replaced_by] == [second]
    assert later.replaces == first
    assert [each.row.text for each in later.questions] == ["one", "two"]
    # the visitor's messages lead to the turn that answered them first
    assert (await told(before.questions[0].row.pk)).turn.pk == first


async def test_a_running_turn_is_told_as_far_as_it_is(prepared: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("one", "c-1")
    await puppet.call(1)
    turn_id = (await anna.see("turn.started"))["turn_id"]

    found = await told(turn_id)
    words = [each.words for each in storytelling.lines(found)]

    assert found.answer is None
    assert found.cost.held == 1
    assert any(each.startswith("It has not ended: it is running") for each in words)
    assert "Attempt 1 runs." in words
    assert not any(each.startswith("Task") for each in words)


async def test_takeovers_and_forgotten_tasks_are_told(prepared: None, anna: Tab, puppet: Puppet) -> None:
    turn_id = await a_turn(anna, puppet)
    long_ago = timezone.now() - outbox.KEEP_DONE - timedelta(hours=1)
    await Turn.objects.filter(pk=turn_id).aupdate(takeovers=2, generation=3, finished_at=long_ago)
    await OutboxEntry.objects.all().adelete()

    words = [each.words for each in storytelling.lines(await told(turn_id))]

    assert "It was taken over 2 times from processes that had died." in words
    assert "Task log_turn: its entry is no longer kept." in words


async def test_erased_text_is_told_by_the_hmac(prepared: None, anna: Tab, puppet: Puppet) -> None:
    turn_id = await a_turn(anna, puppet)
    before = storytelling.lines(await told(turn_id))
    await Message.objects.all().aupdate(text="", withheld="")
    await HistoryWindow.objects.all().aupdate(system="")

    words = [each.words for each in storytelling.lines(await told(turn_id))]

    assert words.count("The HMAC does not match: text of the request was changed or erased since.") == 2
    assert len(words) == len(before)


async def test_a_story_costs_the_same_whatever_there_is(
    prepared: None, tabs: Tabs, processes: Processes, puppet: Puppet, anna: Tab
) -> None:
    @sync_to_async
    def queries(key: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            story.read(key)
        return len(asked)

    short = await a_turn(anna, puppet)
    for number in range(4):
        await anna.send(f"ann@example.com and more of {number}", f"more-{number}")
        call = await puppet.asked(f"[EMAIL_1] and more of {number}")
        call.fail("server")
        again = await puppet.call(2 * number + 4)
        again.say("[EMAIL_1]").finish()
        await anna.until(lambda number=number: len(anna.seen("turn.finished")) == number + 2)  # type: ignore[misc]
    long: Any = anna.seen("turn.finished")[-1]["turn_id"]
    await after(long)

    assert await queries(long) == await queries(short) == 7
