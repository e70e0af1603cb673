"""Calls with their holds, as the turn machine writes them, and prices to count with."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from conversations import billing, budgets, prices
from conversations.models import (
    NANOS,
    Assistant,
    Budget,
    Completion,
    CompletionStatus,
    Conversation,
    ExchangeRate,
    LedgerEntry,
    Message,
    Price,
    PromptVersion,
    Purpose,
    Role,
    Turn,
    TurnStatus,
    Visitor,
)

PROVIDER, MODEL = "openai", "gpt-5-mini"
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.get_default_timezone())


def price(**said: Any) -> Price:
    """Write a price: 1 USD a million tokens read, 4 written, unless something else is said."""
    row = Price(
        **{
            "provider": PROVIDER, "model": MODEL, "from_at": LONG_AGO, "currency": "USD",
            "input_nanos": 1 * NANOS, "output_nanos": 4 * NANOS, "source": "staff", **said,
        }
    )  # fmt: skip
    prices.add([row])
    prices.forget()
    return row


def rate(currency: str, into: str, units: float, *, from_at: datetime = LONG_AGO) -> ExchangeRate:
    """Write an exchange rate."""
    row = ExchangeRate(currency=currency, into=into, from_at=from_at, rate_nanos=round(units * NANOS))
    prices.add_rate(row)
    prices.forget()
    return row


def budget(limit: float, **said: Any) -> Budget:
    """Write a budget: the site's for a day, unless something else is said."""
    row = Budget(**{"scope": "site", "period": "day", "limit_nanos": round(limit * NANOS), **said})
    budgets.save(row, by="ada")
    budgets.forget()
    return row


def assistant(slug: str = "shop") -> Assistant:
    row, is_new = Assistant.objects.get_or_create(slug=slug, defaults={"name": slug, "house": "Northwind"})
    if is_new:
        row.live_version = PromptVersion.objects.create(assistant=row, number=1, instructions="Be kind.")
        row.save()
    return row


def turn(*, of: Assistant | None = None, visitor: Visitor | None = None, **said: Any) -> Turn:
    """Write a turn that runs, with its conversation."""
    of = of or assistant()
    visitor = visitor or Visitor.objects.create()
    conversation = Conversation.objects.create(visitor=visitor, assistant=of)
    assert of.live_version is not None
    return Turn.objects.create(
        **{
            "conversation": conversation, "visitor": visitor, "version": of.live_version, "after": 0,
            "through": 1, "status": TurnStatus.RUNNING, "process": "web", **said,
        }
    )  # fmt: skip


def call(
    of: Turn | None = None, *, number: int = 1, holds: tuple[int, int] = (1000, 500), **said: Any
) -> Completion:
    """Write a call of a turn, or of a trial, with its hold: the tokens guessed before it is made."""
    row = Completion(
        **{
            "turn": of, "number": number, "route": "default", "target": "quick", "provider": PROVIDER,
            "model": MODEL, **said,
        }
    )  # fmt: skip
    with transaction.atomic():
        row.save(force_insert=True)
        billing.hold(
            row,
            input_tokens=holds[0],
            output_tokens=holds[1],
            purpose=Purpose.VISITOR if of else Purpose.TEST,
            assistant_id=of.conversation.assistant_id if of else None,
            visitor_id=of.visitor_id if of else "",
        )
    return row


def end(row: Completion, **said: Any) -> Completion:
    """Write how a call ended: with 800 tokens read and 100 written, unless something else is said."""
    values: dict[str, Any] = {
        "status": CompletionStatus.COMPLETED, "input_tokens": 800, "output_tokens": 100,
        "usage_kind": "exact", **said,
    }  # fmt: skip
    Completion.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


UNKNOWN: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "usage_kind": "unknown"}


def answer(of: Turn, text: str, *, status: str = TurnStatus.COMPLETED) -> None:
    """Write a turn's end with its message."""
    Message.objects.create(
        id=of.message_id, conversation=of.conversation, turn=of, position=2, role=Role.ASSISTANT, text=text
    )
    Turn.objects.filter(pk=of.pk).update(status=status, finished_at=timezone.now())


def lines(row: Completion) -> list[LedgerEntry]:
    return list(LedgerEntry.objects.filter(completion=row).order_by("number"))


def cost(row: Completion) -> int | None:
    """Return what the ledger says a call cost."""
    amounts = [each.amount_nanos for each in lines(row) if each.kind in ("settle", "correction")]
    return None if None in amounts else sum(each for each in amounts if each is not None)


def save(row: Budget) -> None:
    """Change a budget."""
    budgets.save(row, by="ada")
    budgets.forget()


def today() -> date:
    return timezone.now().date()
