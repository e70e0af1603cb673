"""Budgets: what visitors' turns may cost in a day or a month, kept by guarded updates.

What is reserved before a call and what was settled after it stand in one number for each budget,
subject and period, and a call is refused where its reservation would bring that above the limit: so
parallel calls cannot overspend. All amounts are nano-units of the budget currency.

Rows are locked in the order (budget, subject, period) everywhere, so that nobody waits for each other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db import transaction
from django.forms.models import model_to_dict
from django.utils import timezone

from conversations import audit
from conversations.audit import Kind, Verb
from conversations.errors import BudgetExhaustedError, ConversationError
from conversations.models import (
    Budget,
    BudgetAlert,
    BudgetChange,
    BudgetPeriod,
    BudgetScope,
    BudgetSpend,
    Reservation,
    statements,
)
from conversations.models.remembered import Remembered

STEPS = (80, 95, 100)  # percent: an alert, a cheaper route, a refusal
CHEAPER_FROM = 95

_SPEND = "conversations_budgetspend"
_TAKE = (
    f"UPDATE {_SPEND} SET spent_nanos = spent_nanos + %s WHERE budget_id = %s AND subject = %s"  # noqa: S608
    " AND period_start = %s AND spent_nanos + %s <= %s RETURNING id"
)
_BEGIN = (
    f"INSERT INTO {_SPEND} (budget_id, subject, period_start, spent_nanos) VALUES (%s, %s, %s, 0)"  # noqa: S608
    " ON CONFLICT DO NOTHING"
)


class OverspentError(BudgetExhaustedError):
    """The call would cost more than a budget has left."""

    def __init__(self, budget: Budget, period_start: date, subject: str) -> None:
        super().__init__(f"The budget `{budget}` has too little left.")
        self.budget = budget
        self.period_start = period_start
        self.subject = subject


class BudgetError(ConversationError):
    """A budget that cannot be."""

    code = "bad_budget"


@dataclass(frozen=True, slots=True)
class Standing:
    """What budgets say of a turn to come. `cheaper_route` is empty where it may go by its own."""

    is_exhausted: bool = False
    cheaper_route: str = ""


FREE = Standing()


def _load() -> list[Budget]:
    return list(Budget.objects.filter(is_active=True, currency=settings.BUDGET_CURRENCY).order_by("pk"))


_budgets = Remembered("SELECT MAX(id) FROM conversations_budgetchange", _load)


def forget() -> None:
    """Read the budgets anew."""
    _budgets.forget()


def may_exist() -> bool:
    """Say whether a budget was in force when this process looked the last time: without a query."""
    known = _budgets.last
    return known is None or bool(known)


def exist() -> bool:
    """Say whether any budget is in force."""
    return bool(_budgets.get())


def period_start(period: str, at: datetime) -> date:
    """Return the first day of the period that holds this instant (UTC)."""
    day = at.astimezone(timezone.get_default_timezone()).date()
    return day.replace(day=1) if period == BudgetPeriod.MONTH else day


def _applying(assistant_id: int | None, visitor_id: str) -> list[tuple[Budget, str]]:
    """Return the budgets that hold for a turn, each with its subject, in the order of locking."""
    known = _budgets.get()
    segment = ""
    if any(each.scope == BudgetScope.VISITOR and each.segment for each in known):
        found = statements.fetch("SELECT segment FROM conversations_visitor WHERE id = %s", [visitor_id])
        segment = found[0] if found else ""
    return [
        (each, visitor_id if each.scope == BudgetScope.VISITOR else "")
        for each in known
        if each.scope == BudgetScope.SITE
        or (each.scope == BudgetScope.ASSISTANT and each.assistant_id == assistant_id)
        or (each.scope == BudgetScope.VISITOR and each.segment in ("", segment))
    ]


def reserve(
    completion_id: str, nanos: int, *, assistant_id: int | None, visitor_id: str, at: datetime
) -> None:
    """Take what a call may cost from every budget that holds for it, in the caller's transaction.

    Raises OverspentError where one has too little left: then nothing may be committed.
    """
    if not nanos or not exist():
        return
    for budget, subject in _applying(assistant_id, visitor_id):
        start = period_start(budget.period, at)
        taken = [nanos, budget.pk, subject, start.isoformat(), nanos, budget.limit_nanos]
        found = statements.fetch(_TAKE, taken)
        if found is None:
            statements.execute(_BEGIN, [budget.pk, subject, start.isoformat()])
            found = statements.fetch(_TAKE, taken)
        if found is None:
            raise OverspentError(budget, start, subject)
        statements.insert(Reservation(completion_id=completion_id, spend_id=found[0], nanos=nanos))


def settle(costs: Mapping[str, int | None]) -> list[BudgetAlert]:
    """Put what calls have cost in the place of what was reserved for them; return the new alerts.

    `costs` are of completions whose holds the caller has just closed; of an unknown cost (None) the
    reservation stays spent.
    """
    open_ones = list(Reservation.objects.filter(completion__in=list(costs)))
    if not open_ones:
        return []
    changes: defaultdict[int, int] = defaultdict(int)
    for each in open_ones:
        cost = costs[each.completion_id]
        changes[each.spend_id] += 0 if cost is None else cost - each.nanos
    Reservation.objects.filter(pk__in=[each.pk for each in open_ones]).delete()
    alerts = []
    spends = BudgetSpend.objects.filter(pk__in=changes).select_related("budget")
    for spend in spends.order_by("budget_id", "subject", "period_start"):
        found = statements.fetch(
            f"UPDATE {_SPEND} SET spent_nanos = spent_nanos + %s WHERE id = %s RETURNING spent_nanos",  # noqa: S608
            [changes[spend.pk], spend.pk],
        )
        assert found is not None
        alerts += _alerts(spend.budget, spend.period_start, spend.subject, found[0])
    return alerts


def refused(error: OverspentError) -> list[BudgetAlert]:
    """Note, in a transaction of its own, that a budget refused a call; return the new alert, if it is one."""
    row = BudgetSpend.objects.filter(
        budget=error.budget, subject=error.subject, period_start=error.period_start
    ).first()
    return _note(error.budget, error.period_start, error.subject, row.spent_nanos if row else 0, 100)


def _alerts(budget: Budget, start: date, subject: str, spent_nanos: int) -> list[BudgetAlert]:
    """Note each step that was reached for the first time; return the highest of them."""
    new: list[BudgetAlert] = []
    for step in STEPS:
        if spent_nanos * 100 >= budget.limit_nanos * step:
            new = _note(budget, start, subject, spent_nanos, step) or new
    return new


def _note(budget: Budget, start: date, subject: str, spent_nanos: int, step: int) -> list[BudgetAlert]:
    row = BudgetAlert(budget=budget, period_start=start, step=step, subject=subject, spent_nanos=spent_nanos)
    where = {"budget": budget, "period_start": start, "step": step}
    if BudgetAlert.objects.filter(**where).exists():
        return []
    BudgetAlert.objects.bulk_create([row], ignore_conflicts=True)
    return list(BudgetAlert.objects.filter(**where, at=row.at))


def standing(assistant_id: int, visitor_id: str) -> Standing:
    """Say whether a turn may begin, and by which route. One query where there are budgets."""
    if not exist():
        return FREE
    now = timezone.now()
    applying = {
        (budget.pk, subject, period_start(budget.period, now)): budget
        for budget, subject in _applying(assistant_id, visitor_id)
    }
    spent = {
        (row.budget_id, row.subject, row.period_start): row.spent_nanos
        for row in BudgetSpend.objects.filter(
            budget__in=[pk for pk, _, _ in applying],
            subject__in=["", visitor_id],
            period_start__in={start for _, _, start in applying},
        )
    }
    cheaper = ""
    for key, budget in applying.items():
        share = spent.get(key, 0) * 100
        if share >= budget.limit_nanos * 100:
            return Standing(is_exhausted=True)
        if budget.cheaper_route and share >= budget.limit_nanos * CHEAPER_FROM:
            cheaper = cheaper or budget.cheaper_route
    return Standing(cheaper_route=cheaper)


# Writing


def save(row: Budget, *, by: str) -> None:
    """Write a new budget or a changed one, and who did it. Raises BudgetError."""
    row.currency = settings.BUDGET_CURRENCY
    if row.limit_nanos < 0:
        raise BudgetError("A limit cannot be negative.")
    if (row.scope == BudgetScope.ASSISTANT) != (row.assistant_id is not None):
        raise BudgetError("Name an assistant where the budget is an assistant's, and only there.")
    if row.segment and row.scope != BudgetScope.VISITOR:
        raise BudgetError("Only a budget for each visitor can be for one sort of visitors.")
    with transaction.atomic():
        same = Budget.objects.filter(
            is_active=True, scope=row.scope, assistant=row.assistant, segment=row.segment, period=row.period
        ).exclude(pk=row.pk)
        if row.is_active and same.exists():
            raise BudgetError("There is such a budget already; change that one.")
        before = Budget.objects.filter(pk=row.pk).first() if row.pk else None
        row.save()
        change = BudgetChange.objects.create(
            budget=row, by=by, before=_fields(before) if before else None, after=_fields(row)
        )
        audit.write(
            Verb.CHANGED if before else Verb.ADDED, Kind.BUDGET, change.pk, by=by, label=f"{row.pk}: {row}"
        )
    transaction.on_commit(forget)


def _fields(row: Budget) -> dict[str, object]:
    return model_to_dict(row, exclude=["id", "created_at"])


def spends(budgets: Sequence[Budget], now: datetime) -> dict[int, int]:
    """Return what is spent in the present period, by budget; of one for each visitor the most of any."""
    wanted = {each.pk: period_start(each.period, now) for each in budgets}
    found: dict[int, int] = {}
    for row in BudgetSpend.objects.filter(budget__in=wanted, period_start__in=set(wanted.values())):
        if row.period_start == wanted[row.budget_id]:
            found[row.budget_id] = max(found.get(row.budget_id, 0), row.spent_nanos)
    return found
