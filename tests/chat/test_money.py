"""What turns cost: held before the model is asked, closed after, and refused where there is no money."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from chatbot.providers.fallback import Route
from chatbot.providers.messages import Usage
from conversations import billing
from conversations.models import (
    NANOS,
    Budget,
    BudgetSpend,
    Completion,
    Conversation,
    LedgerEntry,
    Message,
    OutboxEntry,
    Turn,
)
from tests.chat.cast import Tab, eventually
from tests.chat.conftest import Processes, Tabs
from tests.chat.puppet import Puppet
from tests.chat.routes import FixedRoutes
from tests.money import books

pytestmark = pytest.mark.django_db(transaction=True)

# An answer may have 500 tokens: half a dollar is held for it, and little more for the question.
PRICE: dict[str, Any] = {
    "provider": "puppet",
    "model": "m-1",
    "input_nanos": NANOS,
    "output_nanos": 1000 * NANOS,
}


@pytest.fixture
def priced(northwind: object) -> None:
    """The puppet has a price."""
    books.price(**PRICE)


@sync_to_async
def bill() -> list[tuple[str, str, str, int | None]]:
    """Do what follows turns; return how each hold was closed: kind, counts, reason, tokens written."""
    billing.bill(list(Turn.objects.values_list("pk", flat=True)))
    rows = LedgerEntry.objects.filter(number=1).order_by("completion__started_at")
    return [(row.kind, row.counts, row.reason, row.output_tokens) for row in rows]


async def test_an_answer_costs_what_the_service_says(
    priced: None, anna: Tab, puppet: Puppet, northwind: Any
) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.call()
    hold = await LedgerEntry.objects.aget()
    call.say("On its way.").finish()
    await anna.see("turn.finished")

    assert (hold.kind, hold.output_tokens, hold.purpose, hold.segment) == (
        "hold",
        500,
        "visitor",
        "anonymous",
    )
    assert hold.assistant_id == northwind.pk
    assert hold.amount_nanos is not None
    assert hold.amount_nanos > NANOS // 2
    assert await bill() == [("settle", "exact", "", 7)]
    settled = await LedgerEntry.objects.aget(number=1)
    assert settled.amount_nanos == 11_000 + 7_000_000
    assert await OutboxEntry.objects.filter(task="conversations.bill_turn").acount() == 1


async def test_billed_counts_reach_the_ledger(priced: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    usage = Usage(
        input_tokens=900, output_tokens=9, billed_input_tokens=20, billed_output_tokens=3, kind="exact"
    )
    (await puppet.call()).say("On its way.").finish(usage=usage)
    await anna.see("turn.finished")

    assert await bill() == [("settle", "exact", "", 3)]
    assert (await LedgerEntry.objects.aget(number=1)).amount_nanos == 20_000 + 3_000_000


async def test_what_a_stopped_answer_cost_is_estimated_and_not_nothing(
    priced: None, anna: Tab, puppet: Puppet
) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("It is on its way to you, and ")
    delta = await anna.see("turn.delta")
    await anna.say("turn.stop", turn_id=delta["turn_id"])
    await anna.see("turn.finished", status="stopped")

    ((kind, counts, reason, written),) = await bill()
    assert (kind, counts, reason) == ("settle", "estimated", "stopped")
    assert written
    assert written > 5


async def test_an_answer_without_usage_is_estimated(priced: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("It is on its way to you.").finish(usage=Usage())
    await anna.see("turn.finished")

    ((kind, counts, reason, written),) = await bill()
    assert (kind, counts, reason, bool(written)) == ("settle", "estimated", "no_usage", True)


async def test_each_attempt_is_held_and_closed_by_itself(priced: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call(1)).fail("server")
    (await puppet.call(2)).say("On its way.").finish()
    await anna.see("turn.finished")

    assert await bill() == [("release", "estimated", "server", 0), ("settle", "exact", "", 7)]


async def test_a_restarted_call_costs_too(priced: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    await puppet.call(1)
    await anna.send("My parcel, I mean.", "c-2")
    (await puppet.call(2)).say("On its way.").finish()
    await anna.see("turn.finished")

    assert await bill() == [("settle", "estimated", "stopped", 0), ("settle", "exact", "", 7)]


async def test_without_money_a_message_is_stored_and_answered_with_the_next(
    priced: None, anna: Tab, puppet: Puppet, settings: Settings
) -> None:
    budget = await sync_to_async(books.budget)(0)

    await anna.send("Where is it?", "c-1")
    error = await anna.see("error", code="budget_exhausted")

    assert anna.kinds()[-2:] == ["message.saved", "error"]
    assert error["id"] == "c-1"
    assert await Turn.objects.acount() == 0
    assert await Completion.objects.acount() == 0
    budget.limit_nanos = 10 * NANOS
    await sync_to_async(books.save)(budget)
    await anna.send("Hello?", "c-2")
    call = await puppet.call()
    assert [each.text for each in call.request.messages] == ["Where is it?\n\nHello?"]
    call.say("Here.").finish()
    await anna.see("turn.finished", status="completed")


async def test_a_turn_that_money_does_not_reach_for_fails_and_the_next_answers_it_too(
    priced: None, anna: Tab, puppet: Puppet
) -> None:
    budget = await sync_to_async(books.budget)(0.3)

    await anna.send("Where is it?", "c-1")
    finished = await anna.see("turn.finished", status="failed")
    error = await anna.see("error", code="budget_exhausted")

    assert error["turn_id"] == finished["turn_id"]
    assert (await Turn.objects.aget()).error == "budget_exhausted"
    assert await LedgerEntry.objects.acount() == await Completion.objects.acount() == 0
    assert (await Conversation.objects.aget()).answered_through == 0
    assert puppet.calls == []
    budget.limit_nanos = 10 * NANOS
    await sync_to_async(books.save)(budget)
    await anna.send("Hello?", "c-2")
    call = await puppet.call()
    assert "Where is it?" in call.question
    assert "Hello?" in call.question
    call.say("Here.").finish()
    await anna.see("turn.finished", status="completed")
    assert (await Conversation.objects.aget()).answered_through == 3
    assert await Message.objects.filter(role="assistant").acount() == 2


async def test_what_came_meanwhile_waits_too_and_no_turn_begins_for_ever(
    priced: None, anna: Tab, puppet: Puppet
) -> None:
    await sync_to_async(books.budget)(0.6)
    await anna.send("Where is it?", "c-1")
    call = await puppet.call()
    call.say("It is ")
    await anna.see("turn.delta")
    await anna.send("And my other parcel?", "c-2")  # its turn follows, and finds too little money
    call.say("on its way.").finish(usage=Usage(input_tokens=11, output_tokens=300, kind="exact"))

    await anna.see("turn.finished", status="completed")
    await anna.see("error", code="budget_exhausted")

    assert [turn.status async for turn in Turn.objects.order_by("created_at")] == ["completed", "failed"]


async def test_a_hundred_visitors_at_once_cannot_spend_more_than_there_is(
    priced: None, processes: Processes, tabs: Tabs, puppet: Puppet, no_limits: None
) -> None:
    await sync_to_async(books.budget)(5.1)  # ten answers, as each may cost half a dollar
    crowd = [await tabs(at, address=f"192.0.2.{number}") for number, at in
             enumerate(50 * [await processes(), await processes()])]  # fmt: skip
    answered = asyncio.create_task(_answer(puppet))

    await asyncio.gather(*(tab.send("Where is it?", f"c-{number}") for number, tab in enumerate(crowd)))
    await eventually(lambda: _all_ended(100))
    answered.cancel()

    assert len(puppet.calls) <= 10
    assert len(puppet.calls) == await Completion.objects.acount() == 10
    spend = await BudgetSpend.objects.aget()
    assert spend.spent_nanos <= 5.1 * NANOS


async def _answer(puppet: Puppet) -> None:
    """Leave every call without an end until all have been made that can be."""
    number = 0
    while True:
        number += 1
        call = await puppet.call(number)
        call.say("It is on its way.")
        if number == 10:
            for each in puppet.calls:
                each.finish(usage=Usage(input_tokens=10, output_tokens=500, kind="exact"))


async def _all_ended(count: int) -> bool:
    """Whether every message has its turn's end, or none."""
    refused = await Message.objects.filter(role="visitor").acount() == count
    return refused and not await Turn.objects.filter(finished_at__isnull=True).aexists()


async def test_from_95_percent_on_turns_go_the_cheaper_way(
    priced: None, anna: Tab, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = await sync_to_async(books.budget)(100, cheaper_route="concise")
    asked: list[str] = []
    named = FixedRoutes.named

    def noted(routes: FixedRoutes, name: str) -> Route:
        asked.append(name)
        return named(routes, name)

    monkeypatch.setattr(FixedRoutes, "named", noted)
    for number, spent in enumerate((94, 96), 1):
        await BudgetSpend.objects.aupdate_or_create(
            budget=budget, subject="", period_start=books.today(), defaults={"spent_nanos": spent * NANOS}
        )
        await anna.send("Where is it?", f"c-{number}")
        (await puppet.call(number)).say("Here.").finish()
        await anna.see("turn.finished", status="completed")

    assert asked == ["default", "concise"]


async def test_another_answer_is_refused_without_money(priced: None, anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("Here.").finish()
    finished = await anna.see("turn.finished")
    await sync_to_async(books.budget)(0)

    await anna.say("turn.retry", turn_id=finished["turn_id"])

    await anna.see("error", code="budget_exhausted")
    assert await Turn.objects.acount() == 1
    assert (await Budget.objects.aget()).limit_nanos == 0
