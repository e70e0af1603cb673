"""What was spent: figures, the days, where it went, and how far budgets are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from conversations import budgets, prices, rights, spending
from conversations.models import NANOS, Budget, BudgetPeriod, BudgetScope, Purpose
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.money import asked, charts
from conversations.pages.money.asked import Asked
from conversations.rights import Right
from conversations.spending import Choice, Spent

WIDE, NARROW = (984, 240), (350, 220)


@dataclass(frozen=True, slots=True)
class Amount:
    """Nano-units of a currency, and how they are written."""

    nanos: int
    currency: str

    @property
    def words(self) -> str:
        return numbers.money(self.nanos, self.currency)


def amounts(spent: Spent) -> list[Amount]:
    """Return a sum's amounts, by currency."""
    return [Amount(nanos, currency) for currency, nanos in sorted(spent.nanos.items())]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `series` is its colour in the chart, 0 without one."""

    name: str
    link: str
    series: int
    spent: Spent
    read: str
    written: str
    share: str
    amounts: list[Amount]


def only_readers(request: StaffRequest) -> None:
    """Turn away who may not read what is spent."""
    if not rights.may(request.user, Right.READ_MONEY):
        raise PermissionDenied


@require_safe
@staff_only
def usage(request: StaffRequest) -> HttpResponse:
    """Show what was spent in some time."""
    only_readers(request)
    today = timezone.now().date()
    said = asked.read(request.GET, today)
    by_day = spending.sums(said.choice, ("day", "provider", "model"))
    whole = spending.total(by_day)
    models = _series(by_day)
    other = [name for name, _value in said.where if name != "purpose"]
    tests = spending.sums(_without_purpose(said), ("purpose",))
    context = {
        "asked": said,
        "periods": _periods(said, today),
        "whole": whole,
        "read": numbers.short_count(whole.tokens["input_tokens"]),
        "written": numbers.short_count(whole.tokens["output_tokens"]),
        "amounts": amounts(whole),
        "figures": _figures(said, whole, today),
        "charts": [
            (kind, _chart(said, by_day, models, today, size))
            for kind, size in (("wide", WIDE), ("narrow", NARROW))
        ],
        "legend": [(number, name) for number, name in enumerate(_names(models), 1)],
        "tabs": [(name, _tab(name), said.query(by=name)) for name in asked.BY],
        "rows": _rows(said, whole, models),
        "filters": [(name, value, said.query(**{name: None})) for name, value in said.where if name in other],
        "purposes": _purposes(said, tests),
        "budgets": _budgets(today),
        "calls_link": reverse("money-calls") + said.query(),
        "csv_link": reverse("money-csv") + said.query(),
        "statement_link": reverse("money-statement", args=[f"{said.start:%Y-%m}"]),
        "may_change": rights.may(request.user, Right.CHANGE_MONEY),
        "currency": settings.BUDGET_CURRENCY,
        **shell(request),
    }
    return render(request, "console/money/usage.html", context)


def _without_purpose(said: Asked) -> Choice:
    kept = tuple(each for each in said.where if each[0] != "purpose")
    return Choice(start=said.start, end=said.end, where=kept)


def _periods(said: Asked, today: date) -> list[tuple[str, str, bool]]:
    last_month = today.replace(day=1) - timedelta(days=1)
    named = {
        "7": _("7 days"),
        "month": _("This month"),
        "30": _("30 days"),
        f"{last_month:%Y-%m}": date_format(last_month, "F"),
    }
    return [(words, said.query(period=key, day=None), key == said.period) for key, words in named.items()]


def _in_budget_currency(spent: Spent, day: date) -> float:
    """Return about what a sum is in the budget currency, for bars and shares: exact sums are elsewhere."""
    when = datetime.combine(day, time.max, UTC)
    found = 0
    for currency, nanos in spent.nanos.items():
        worth = prices.converted(abs(nanos), currency, settings.BUDGET_CURRENCY, when)
        found += (worth or 0) * (1 if nanos >= 0 else -1)
    return found / NANOS


def _worth(parts: Sequence[Spent]) -> float:
    return sum(_in_budget_currency(part, date.fromisoformat(part.key[0])) for part in parts)


def _series(by_day: Sequence[Spent]) -> dict[tuple[str, str], int]:
    """Return the series of the models that cost most; the last is for all others."""
    whole: dict[tuple[str, str], float] = {}
    for part in by_day:
        _day, provider, model = part.key
        whole[provider, model] = whole.get((provider, model), 0.0) + _worth([part])
    dearest = sorted(whole, key=lambda key: (-whole[key], key))
    return {key: min(number, charts.SERIES) for number, key in enumerate(dearest, 1)}


def _names(models: Mapping[tuple[str, str], int]) -> list[str]:
    names: dict[int, str] = {}
    for (_provider, model), number in models.items():
        names[number] = model if number not in names else _("others")
    return [names[number] for number in sorted(names)]


def _chart(
    said: Asked,
    by_day: Sequence[Spent],
    models: Mapping[tuple[str, str], int],
    today: date,
    size: tuple[int, int],
) -> charts.Chart:
    parts: dict[str, list[Spent]] = {}
    for part in by_day:
        parts.setdefault(part.key[0], []).append(part)
    days = []
    for day in said.days:
        values = [0.0] * charts.SERIES
        found = parts.get(day.isoformat(), [])
        for part in found:
            values[models[part.key[1], part.key[2]] - 1] += _in_budget_currency(part, day)
        words = " + ".join(each.words for each in amounts(spending.total(found)))
        days.append(charts.Day(day, values, words or numbers.money(0, settings.BUDGET_CURRENCY)))
    return charts.draw(days, width=size[0], height=size[1], today=today, limit=_day_limit(said))


def _day_limit(said: Asked) -> tuple[float, str] | None:
    row = Budget.objects.filter(
        is_active=True, scope=BudgetScope.SITE, period=BudgetPeriod.DAY, currency=settings.BUDGET_CURRENCY
    ).first()
    if row is None or len(said.where) > 1:
        return None
    return row.limit_nanos / NANOS, _("%(amount)s a day") % {
        "amount": numbers.money(row.limit_nanos, row.currency)
    }


def _figures(said: Asked, whole: Spent, today: date) -> list[tuple[str, str, str]]:
    """Return the strip: what, its figure, and what stands under it."""
    read, written = whole.tokens["input_tokens"], whole.tokens["output_tokens"]
    cached = whole.tokens["cached_input_tokens"]
    per_call = [
        numbers.money(round(nanos / whole.calls), currency)
        for currency, nanos in sorted(whole.nanos.items())
        if whole.calls
    ]
    return [
        (_("Calls"), numbers.count(whole.calls), said.words),
        (
            _("Tokens"),
            numbers.short_count(read + written),
            _("%(share)s of the input cached") % {"share": numbers.percent(cached / read if read else 0)},
        ),
        (_("Cost of a call"), " + ".join(per_call) or "–", _("on average")),
        (
            _("Estimated counts"),
            numbers.percent(whole.estimated / whole.calls if whole.calls else 0),
            _("cost unknown for %(number)s") % {"number": numbers.count(whole.unknown)}
            if whole.unknown
            else _("none unknown"),
        ),
    ]


def _tab(name: str) -> str:
    return {
        "model": _("Model"),
        "route": _("Route"),
        "assistant": _("Assistant"),
        "segment": _("Visitors"),
        "day": _("Day"),
    }[name]


def _rows(said: Asked, whole: Spent, models: Mapping[tuple[str, str], int]) -> list[Row]:
    by = ("provider", "model") if said.by == "model" else (said.by,)
    found = spending.sums(said.choice, by)
    last = said.end - timedelta(days=1)
    worth = {part.key: _in_budget_currency(part, last) for part in found}
    together = sum(worth.values())
    if said.by != "day":
        found.sort(key=lambda part: (-worth[part.key], part.key))
    return [
        Row(
            name=" · ".join(reversed(part.key)) or _("none"),
            link=reverse("money-calls") + said.query(**dict(zip(by, part.key, strict=True))),
            series=models.get((part.key[0], part.key[1]), 0) if said.by == "model" else 0,
            spent=part,
            read=numbers.short_count(part.tokens["input_tokens"]),
            written=numbers.short_count(part.tokens["output_tokens"]),
            share=numbers.percent(worth[part.key] / together) if together > 0 else "–",
            amounts=amounts(part),
        )
        for part in found
    ]


def _purposes(said: Asked, sums: Sequence[Spent]) -> list[tuple[str, list[Amount], str, bool]]:
    """Return what was spent for each purpose: words, amounts, the link, and whether it is shown."""
    names = {
        Purpose.VISITOR: _("Customers"),
        Purpose.TEST: _("Tests"),
        Purpose.BATCH: _("Batches"),
    }
    found = {part.key[0]: amounts(part) for part in sums}
    chosen = dict(said.where).get("purpose")
    return [
        (words, found.get(key, []), said.query(purpose=key), key == chosen) for key, words in names.items()
    ]


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget and how far it is; `width` is of a meter 200 wide."""

    name: str
    spent: str
    limit: str
    width: str
    share: str
    kind: str


def _budgets(today: date) -> list[BudgetRow]:
    now = timezone.now()
    rows = list(
        Budget.objects.filter(is_active=True, currency=settings.BUDGET_CURRENCY)
        .select_related("assistant")
        .order_by("scope", "pk")
    )
    spent = budgets.spends(rows, now)
    return [budget_row(row, spent.get(row.pk, 0)) for row in rows]


def budget_row(row: Budget, spent_nanos: int) -> BudgetRow:
    """Say how far a budget is."""
    share = spent_nanos / row.limit_nanos if row.limit_nanos else 1.0
    kind = "bad" if share >= 1 else "warn" if share * 100 >= budgets.STEPS[0] else ""
    return BudgetRow(
        name=budget_name(row),
        spent=numbers.money(spent_nanos, row.currency),
        limit=numbers.money(row.limit_nanos, row.currency),
        width=f"{min(share, 1.0) * 200:.0f}",
        share=numbers.percent(share),
        kind=kind,
    )


def budget_name(row: Budget) -> str:
    """Say whose budget it is, and for how long."""
    whose = {
        BudgetScope.SITE.value: _("Site"),
        BudgetScope.ASSISTANT.value: row.assistant.name if row.assistant else "",
        BudgetScope.VISITOR.value: _("Each visitor (%(segment)s)") % {"segment": row.segment}
        if row.segment
        else _("Each visitor"),
    }[row.scope]
    period = _("a day") if row.period == BudgetPeriod.DAY else _("a month")
    return _("%(whose)s, %(period)s") % {"whose": whose, "period": period}
