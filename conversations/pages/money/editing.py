"""Changing what money is counted by: budgets, prices and exchange rates, each with its history."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from conversations import budgets, corrections, outbox, prices, rights
from conversations.models import (
    Assistant,
    Budget,
    BudgetChange,
    BudgetPeriod,
    BudgetScope,
    ExchangeRate,
    Price,
)
from conversations.models.visitor import ANONYMOUS
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.money.usage import budget_name, budget_row
from conversations.prices import CURRENCY_LETTERS, PriceError
from conversations.rights import Right

MOST_CHANGES = 50


def _may_read(request: StaffRequest) -> None:
    """Let those read who may; only those who may change get past here with a change."""
    right = Right.CHANGE_MONEY if request.method == "POST" else Right.READ_MONEY
    if not rights.may(request.user, right):
        raise PermissionDenied


class AmountField(forms.CharField):
    """An amount such as `0.25`, as nano-units."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, **options)
        self.widget.attrs |= {"class": "input", "inputmode": "decimal", "autocomplete": "off"}

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return prices.nanos(text)
        except PriceError as error:
            raise forms.ValidationError(str(error)) from error


class _Select(forms.Select):
    def __init__(self, **options: Any) -> None:
        super().__init__(attrs={"class": "input"}, **options)


def _text(**options: Any) -> forms.CharField:
    field = forms.CharField(**{"required": False, "max_length": 200, **options})
    field.widget.attrs |= {"class": "input"}
    return field


def _day(**options: Any) -> forms.DateField:
    widget = forms.DateInput(attrs={"class": "input", "type": "date"}, format="%Y-%m-%d")
    return forms.DateField(widget=widget, **options)


def _currency(initial: str = "USD") -> forms.CharField:
    return _text(label=_("Currency"), max_length=CURRENCY_LETTERS, required=True, initial=initial)


class BudgetForm(forms.Form):
    """A budget."""

    scope = forms.ChoiceField(
        label=_("Whose"),
        choices=[
            (BudgetScope.SITE.value, _("The site")),
            (BudgetScope.ASSISTANT.value, _("An assistant")),
            (BudgetScope.VISITOR.value, _("Each visitor")),
        ],
        widget=_Select(),
    )
    assistant = forms.ModelChoiceField(
        label=_("Assistant"),
        queryset=Assistant.objects.order_by("name"),
        required=False,
        empty_label=_("none"),
        widget=_Select(),
    )
    segment = forms.ChoiceField(
        label=_("Visitors"),
        choices=[("", _("all")), (ANONYMOUS, _("anonymous ones"))],
        required=False,
        widget=_Select(),
    )
    period = forms.ChoiceField(
        label=_("For"),
        choices=[(BudgetPeriod.DAY.value, _("a day")), (BudgetPeriod.MONTH.value, _("a month"))],
        widget=_Select(),
    )
    limit_nanos = AmountField(label=_("Limit"))
    cheaper_route = _text(label=_("Route from 95 % on"), max_length=64)
    is_active = forms.BooleanField(label=_("In force"), required=False, initial=True)

    def fill(self, row: Budget) -> Budget:
        """Put what was written into a row."""
        for name, value in self.cleaned_data.items():
            setattr(row, name, value)
        return row


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def edit_budgets(request: StaffRequest, pk: int | None = None) -> HttpResponse:
    """Show all budgets, and write a new one or change one."""
    _may_read(request)
    row = get_object_or_404(Budget, pk=pk) if pk is not None else None
    initial = {name: getattr(row, name) for name in BudgetForm.base_fields} if row else None
    if initial is not None and row is not None:
        initial["limit_nanos"] = prices.words(row.limit_nanos)
    form = BudgetForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            budgets.save(form.fill(row or Budget()), by=request.user.get_username())
        except budgets.BudgetError as error:
            form.add_error(None, str(error))
        else:
            return redirect("money-budgets")
    rows = list(Budget.objects.select_related("assistant").order_by("-is_active", "scope", "pk"))
    spent = budgets.spends(rows, timezone.now())
    changes = BudgetChange.objects.select_related("budget__assistant").order_by("-pk")[:MOST_CHANGES]
    context = {
        "form": form,
        "edited": row,
        "rows": [(each, budget_row(each, spent.get(each.pk, 0))) for each in rows],
        "changes": [(each, budget_name(each.budget), _words(each)) for each in changes],
        "currency": settings.BUDGET_CURRENCY,
        "may_change": rights.may(request.user, Right.CHANGE_MONEY),
        **shell(request),
    }
    return render(request, "console/money/budgets.html", context)


def _words(change: BudgetChange) -> str:
    """Say what a change changed: `limit 10 → 20`."""
    before: dict[str, Any] = change.before or {}
    parts = []
    for name, value in change.after.items():
        old = before.get(name)
        if change.before is not None and old == value:
            continue
        is_amount = name == "limit_nanos"
        old, new = (prices.words(each) if is_amount and each is not None else each for each in (old, value))
        label = name.removesuffix("_nanos").removeprefix("is_").replace("_", " ")
        if new not in ("", None) or old not in ("", None):
            parts.append(f"{label} {new}" if change.before is None else f"{label} {old} → {new}")
    return " · ".join(parts)


class PriceForm(forms.Form):
    """A price for a million tokens, from a day on."""

    input_nanos = AmountField(label=_("Input"), required=False)
    cached_input_nanos = AmountField(label=_("Cached input"), required=False)
    output_nanos = AmountField(label=_("Output"), required=False)
    reasoning_nanos = AmountField(label=_("Reasoning"), required=False)
    currency = _currency()
    from_date = _day(label=_("From (UTC)"), required=False)
    note = _text(label=_("Note"))


class RateForm(forms.Form):
    """An exchange rate, from a day on."""

    currency = _currency("CNY")
    rate_nanos = AmountField(label=_("Rate"))
    from_date = _day(label=_("From (UTC)"), required=False)
    note = _text(label=_("Note"))


def _since(day: date | None) -> datetime:
    """Return the instant from which something holds: now, if no day was named."""
    return timezone.now() if day is None else datetime.combine(day, time(), UTC)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def edit_prices(request: StaffRequest) -> HttpResponse:
    """Show what every model costs; with a model in the address, its history, and write a new price."""
    _may_read(request)
    key = (request.GET.get("provider", ""), request.GET.get("model", ""))
    past = prices.history(*key)
    known = past[0] if past else None
    names = ("input_nanos", "cached_input_nanos", "output_nanos", "reasoning_nanos")
    initial: dict[str, Any] = {"currency": known.currency if known else "USD"}
    for name in names if known else ():
        value = getattr(known, name)
        initial[name] = "" if value is None else prices.words(value)
    form = PriceForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        row = Price(
            provider=key[0],
            model=key[1],
            from_at=_since(said["from_date"]),
            currency=said["currency"].upper(),
            source="staff",
            note=said["note"],
            by=request.user.get_username(),
            **{name: said[name] for name in names},
        )
        try:
            if not all(key):
                raise PriceError("Name a provider and a model.")
            with transaction.atomic():
                prices.add([row])
                if row.from_at <= row.created_at:
                    outbox.add((corrections.REPRICE,), str(row.pk))
        except PriceError as error:
            form.add_error(None, str(error))
        else:
            return redirect(request.get_full_path())
    context = {
        "form": form,
        "chosen": key if all(key) else None,
        "past": past,
        "rows": sorted(prices.known().items()),
        "may_change": rights.may(request.user, Right.CHANGE_MONEY),
        **shell(request),
    }
    return render(request, "console/money/prices.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def edit_rates(request: StaffRequest) -> HttpResponse:
    """Show the exchange rates into the budget currency, and write a new one."""
    _may_read(request)
    form = RateForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        row = ExchangeRate(
            currency=said["currency"].upper(),
            into=settings.BUDGET_CURRENCY,
            rate_nanos=said["rate_nanos"],
            from_at=_since(said["from_date"]),
            note=said["note"],
            by=request.user.get_username(),
        )
        try:
            prices.add_rate(row)
        except PriceError as error:
            form.add_error(None, str(error))
        else:
            return redirect("money-rates")
    context = {
        "form": form,
        "rows": ExchangeRate.objects.order_by("-from_at", "-pk")[:MOST_CHANGES],
        "currency": settings.BUDGET_CURRENCY,
        "may_change": rights.may(request.user, Right.CHANGE_MONEY),
        **shell(request),
    }
    return render(request, "console/money/rates.html", context)
