"""Who did what: the entries of the audit, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from conversations import audit as entries
from conversations.audit import Kind, Verb
from conversations.models import AuditEntry
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.rights import Right

_VERBS: Mapping[str, tuple[str, str | Promise]] = {
    Verb.ADDED: ("good", gettext_lazy("Added")),
    Verb.CHANGED: ("", gettext_lazy("Changed")),
    Verb.DISABLED: ("bad", gettext_lazy("Disabled")),
    Verb.ENABLED: ("good", gettext_lazy("Enabled")),
    Verb.CHANGED_ROLES: ("warn", gettext_lazy("Roles changed")),
    Verb.CHANGED_PASSWORD: ("warn", gettext_lazy("Password changed")),
    Verb.SIGNED_IN: ("", gettext_lazy("Signed in")),
    Verb.LOCKED_OUT: ("bad", gettext_lazy("Locked out")),
    Verb.SIGNED_OUT: ("", gettext_lazy("Signed out")),
    Verb.DECIDED: ("", gettext_lazy("Decided")),
    Verb.REOPENED: ("warn", gettext_lazy("Reopened")),
}
_KINDS: Mapping[str, str | Promise] = {
    Kind.STAFF: gettext_lazy("Staff"),
    Kind.VERDICT: gettext_lazy("Finding"),
    Kind.RULES: gettext_lazy("Rules"),
    Kind.BUDGET: gettext_lazy("Budget"),
    Kind.PRICE: gettext_lazy("Price"),
    Kind.RATE: gettext_lazy("Exchange rate"),
}


class FilterForm(forms.Form):
    """What the list is narrowed to. What makes no sense asks for nothing."""

    by = forms.CharField(required=False, max_length=150)
    verb = forms.ChoiceField(required=False, choices=[(verb.value, "") for verb in Verb])
    kind = forms.ChoiceField(required=False, choices=[(kind.value, "") for kind in Kind])
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)

    def said(self) -> dict[str, Any]:
        """Return what is asked for, under its name in the address."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. `fields` are (name, before, after), each empty where there is nothing."""

    row: AuditEntry
    colour: str
    verb: str
    kind: str
    address: str
    fields: Sequence[tuple[str, str, str]]


@require_safe
@staff_only
@needs(Right.READ_AUDIT)
def audit(request: StaffRequest) -> HttpResponse:
    """Show who did what, narrowed by who, what and when."""
    said = FilterForm(request.GET.dict()).said()
    text = request.GET.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    found, has_older = entries.page(entries.Wanted(**said), before=before)
    query = {name: value.isoformat() if isinstance(value, date) else value for name, value in said.items()}
    return render(
        request,
        "console/audit.html",
        {
            "lines": [_line(row) for row in found],
            "said": query,
            "verbs": [(verb, word) for verb, (_colour, word) in _VERBS.items()],
            "kinds": list(_KINDS.items()),
            "is_later": before is not None,
            "newest": f"?{urlencode(query)}",
            "older": f"?{urlencode({**query, 'before': found[-1].pk})}" if has_older else "",
            **shell(request),
        },
    )


def _line(row: AuditEntry) -> Line:
    colour, verb = _VERBS.get(row.verb, ("", row.verb))
    before, after = row.before or {}, row.after or {}
    fields = [(name, _value(before.get(name)), _value(after.get(name))) for name in {**before, **after}]
    return Line(
        row=row,
        colour=colour,
        verb=str(verb),
        kind=str(_KINDS.get(row.kind, row.kind)),
        address=_address(row),
        fields=[(name.replace("_", " "), old, new) for name, old, new in fields if old != new],
    )


def _value(given: object) -> str:
    match given:
        case None | "":
            return ""
        case list():
            return _(", ").join(str(each) for each in given) or "–"
        case _:
            return str(given)


def _address(row: AuditEntry) -> str:
    """Return where the details of a change are, or an empty text."""
    match row.kind:
        case Kind.RULES:
            return reverse("rules-change", args=[row.key])
        case Kind.VERDICT:
            return f"{reverse('moderation')}?{urlencode({'chosen': row.key})}"
        case Kind.BUDGET:
            return reverse("money-budgets")
        case Kind.PRICE:
            return reverse("money-prices")
        case Kind.RATE:
            return reverse("money-rates")
        case _:
            return ""
