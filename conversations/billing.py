"""What a call costs: held before it is made, closed when it has ended, whatever came of it.

Here completions, prices, budgets and the ledger meet. The functions write in their caller's
transaction; `settle` may be called for the same completions again, in any order and by anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chatbot.providers.errors import HUNG_UP
from chatbot.providers.messages import NOTHING, Usage, UsageKind
from conversations import budgets, ledger, outbox, prices, tokens
from conversations.budgets import OverspentError
from conversations.ledger import Posting
from conversations.models import (
    UNFINISHED,
    BudgetAlert,
    Completion,
    CompletionStatus,
    LedgerEntry,
    Message,
    Purpose,
    Turn,
)

SEND_ALERT = "conversations.send_budget_alert"

# Errors after which nothing can have been spent: the service refused before it began, or was never
# reached. What hung up after it had the request may well have begun.
SPENT_NOTHING = {
    "auth", "auth_expired", "permission", "not_found", "quota", "invalid_request", "context_length",
    "rate_limit", "overloaded", "limited", "unavailable", "not_configured", "budget",
}  # fmt: skip
# A service that breaks down does not charge for it, as far as anybody can know.
PROBABLY_NOTHING = {"server"}

SWEEP_AFTER = timedelta(seconds=30)  # younger holds are on their way
TURN_DIES_AFTER = timedelta(seconds=60)  # a web process, if there is one, ends it long before
TRIAL_DIES_AFTER = timedelta(minutes=15)  # a batch may wait 10 minutes for our own limits
SWEEP_BATCH = 500
LOOK_BACK = timedelta(minutes=5)  # before what the last sweep saw: clocks of machines differ


def hold(
    completion: Completion,
    *,
    input_tokens: int,
    output_tokens: int,
    purpose: str,
    assistant_id: int | None = None,
    visitor_id: str = "",
) -> None:
    """Hold what a call may cost, in the transaction that writes its completion.

    `input_tokens` are a guess, `output_tokens` the longest answer that is asked for. Raises
    OverspentError where a visitor's call would cost more than a budget has left.
    """
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, kind="estimated")
    posting = priced(completion, usage, reason="held")
    ledger.hold(completion, posting, purpose=purpose, assistant_id=assistant_id, visitor_id=visitor_id)
    if purpose != Purpose.VISITOR or not budgets.exist():
        return
    nanos = _in_budget(completion, posting)
    if nanos:
        budgets.reserve(
            completion.id,
            nanos,
            assistant_id=assistant_id,
            visitor_id=visitor_id,
            at=completion.started_at,
        )


def priced(completion: Completion, usage: Usage, *, reason: str) -> Posting:
    """Return billed counts with what they cost at the price that held when the call began."""
    price = prices.at(completion.provider, completion.model, completion.started_at)
    counts = prices.billed(usage)
    return Posting(
        nanos=prices.cost_nanos(price, counts),
        currency=price.currency if price else "",
        price_id=price.pk if price else None,
        reason=reason,
        usage=counts,
    )


def refused(error: OverspentError) -> None:
    """Note that a budget refused a call, once the call's own transaction is undone."""
    with transaction.atomic():
        _tell(budgets.refused(error))


@dataclass(frozen=True, slots=True)
class Closing:
    """How a hold is closed."""

    kind: Literal["settle", "release"]
    posting: Posting


def closing(completion: Completion, *, held_tokens: int | None, text: str) -> Closing:
    """Say what an ended call has cost. `text` is what is known of its answer.

    `held_tokens` is what was counted of the request before it was sent.
    """
    usage = usage_of(completion)
    error = completion.error
    if usage == NOTHING:
        return Closing("release", Posting(nanos=0, reason="not_asked", usage=NOTHING))
    if usage.input_tokens is not None and usage.output_tokens is not None:
        return Closing("settle", priced(completion, usage, reason=_why(completion)))
    if usage.kind == "unknown" and not text:
        if error in SPENT_NOTHING and completion.error_code != HUNG_UP:
            return Closing("release", Posting(nanos=0, reason=error, usage=NOTHING))
        if error in PROBABLY_NOTHING:
            nothing = replace(NOTHING, kind="estimated")
            return Closing("release", Posting(nanos=0, reason=error, usage=nothing))
    guessed = replace(
        usage,
        input_tokens=held_tokens if usage.input_tokens is None else usage.input_tokens,
        output_tokens=_count(completion.model, text) if usage.output_tokens is None else usage.output_tokens,
        kind="estimated",
    )
    return Closing("settle", priced(completion, guessed, reason=error or "no_usage"))


def usage_of(completion: Completion) -> Usage:
    """Return the counts of a completion's row."""
    kinds: dict[str, UsageKind] = {"exact": "exact", "estimated": "estimated"}
    return Usage(
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cached_input_tokens=completion.cached_input_tokens,
        reasoning_tokens=completion.reasoning_tokens,
        billed_input_tokens=completion.billed_input_tokens,
        billed_output_tokens=completion.billed_output_tokens,
        kind=kinds.get(completion.usage_kind, "unknown"),
    )


def _why(completion: Completion) -> str:
    """Say why counts are not exact; empty where they are."""
    if completion.usage_kind == "exact":
        return ""
    if completion.error:
        return completion.error
    return "stopped" if completion.status == CompletionStatus.CANCELLED else "no_usage"


def _count(model: str, text: str) -> int:
    return tokens.counter_for(model)[0](text) if text else 0


def settle(completions: Sequence[Completion]) -> dict[str, Closing]:
    """Close the holds of those that have ended; return what was closed here, by completion."""
    ended = {each.id: each for each in completions if each.status != CompletionStatus.RUNNING}
    lines = LedgerEntry.objects.filter(completion__in=ended, number__lte=1)
    held: dict[str, int | None] = {}
    closed: set[str] = set()
    for completion_id, number, count in lines.values_list("completion_id", "number", "input_tokens"):
        if number == 0:
            held[completion_id] = count
        else:
            closed.add(completion_id)
    todo = [ended[key] for key in sorted(held.keys() - closed)]  # in one order everywhere
    texts = _texts([each for each in todo if each.output_tokens is None])
    done: dict[str, Closing] = {}
    for row in todo:
        what = closing(row, held_tokens=held[row.id], text=texts.get(row.id, ""))
        if ledger.close(row.id, what.kind, what.posting):
            done[row.id] = what
    _tell(budgets.settle({key: _in_budget(ended[key], each.posting) for key, each in done.items()}))
    return done


def _in_budget(completion: Completion, posting: Posting) -> int | None:
    """Return a closed call's cost in the budget currency; None where it is unknown."""
    if not posting.nanos:
        return posting.nanos
    into = settings.BUDGET_CURRENCY
    return prices.converted(posting.nanos, posting.currency, into, completion.started_at)


def _texts(completions: Sequence[Completion]) -> dict[str, str]:
    """Return what is known of their answers: the turn's message belongs to the last that was asked."""
    turns = {str(each.turn_id) for each in completions if each.turn_id}
    last: dict[str, str] = {}
    for key, turn_id in (
        Completion.objects.filter(turn__in=turns).order_by("number").values_list("pk", "turn_id")
    ):
        last[str(turn_id)] = key
    answers = Message.objects.filter(turn__in=turns).values_list("turn_id", "withheld", "text")
    return {
        last[str(turn_id)]: withheld or text for turn_id, withheld, text in answers if str(turn_id) in last
    }


def _tell(alerts: Sequence[BudgetAlert]) -> None:
    for alert in alerts:
        outbox.add((SEND_ALERT,), str(alert.pk))


def bill(turn_ids: Sequence[str]) -> int:
    """Close the holds of ended turns; return how many were."""
    return len(settle(list(Completion.objects.filter(turn__in=turn_ids))))


# The sweep

_closed_before: datetime | None = None


def sweep() -> int:
    """Close the holds that nobody closed: of lost tasks, and of calls whose process died.

    Return how many were. A process looks at the holds since about the oldest it left open the last time.
    """
    global _closed_before
    now = timezone.now()
    since = _closed_before or ledger.oldest_at()
    if since is None:
        return 0
    count = 0
    left_at: list[datetime] = []
    while True:
        found = ledger.open_holds(since=since, before=now - SWEEP_AFTER, limit=SWEEP_BATCH)
        keys = [key for key, _at in found]
        with transaction.atomic():
            rows = Completion.objects.filter(pk__in=keys).select_related("turn")
            gone = {row.id: row for row in rows if _is_left_alone(row, now)}
            count += len(settle(list(gone.values())))
        left_at += [at for key, at in found if key not in gone]
        if len(found) < SWEEP_BATCH or found[-1][1] == since:
            break
        since = found[-1][1]
    _closed_before = min(left_at, default=now - SWEEP_AFTER) - LOOK_BACK
    return count


def _is_left_alone(row: Completion, now: datetime) -> bool:
    """Whether the call has ended; where its process died, that is written down first."""
    if row.status != CompletionStatus.RUNNING:
        return True
    turn: Turn | None = row.turn
    if turn is None:
        is_dead = row.started_at < now - TRIAL_DIES_AFTER
    else:
        is_dead = turn.status not in UNFINISHED or turn.beat_at < now - TURN_DIES_AFTER
    if not is_dead:
        return False
    row.status, row.error = CompletionStatus.CANCELLED, "incomplete_stream"
    moved = Completion.objects.filter(pk=row.pk, status=CompletionStatus.RUNNING)
    return bool(moved.update(status=row.status, error=row.error))


def forget() -> None:
    """Look at all holds again, and read prices and budgets anew."""
    global _closed_before
    _closed_before = None
    prices.forget()
    budgets.forget()
