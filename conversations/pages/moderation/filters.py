"""What the queue is narrowed to, and the addresses that say so."""

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from conversations import verdicts
from conversations.models import Assistant
from conversations.pages.moderation import words


class FilterForm(forms.Form):
    """What the queue is narrowed to. What makes no sense asks for nothing."""

    rule = forms.CharField(required=False, max_length=120, strip=True)
    action = forms.ChoiceField(required=False)
    stage = forms.ChoiceField(required=False)
    source = forms.ChoiceField(required=False)
    assistant = forms.ChoiceField(required=False)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)

    def __init__(self, data: Mapping[str, str]) -> None:
        super().__init__(data)
        nothing = ("", _("All"))
        actions = [(action, words.done(action).word) for action in ("block", "mask", "flag", "hide")]
        self._choose("action", [nothing, *actions])
        self._choose("stage", [nothing, *words.SHORT_STAGES.items()])
        self._choose("source", [nothing, *words.SOURCES.items()])
        known = Assistant.objects.order_by("name").values_list("pk", "name")
        self._choose("assistant", [nothing, *((str(pk), name) for pk, name in known)])

    def _choose(self, name: str, choices: list[tuple[str, object]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def wanted(self, *, is_decided: bool) -> verdicts.Wanted:
        """Return what to list."""
        self.is_valid()
        said = self.cleaned_data
        return verdicts.Wanted(
            is_decided=is_decided,
            rule_name=said.get("rule", ""),
            action=said.get("action", ""),
            stage=said.get("stage", ""),
            source=said.get("source", ""),
            assistant_id=int(said["assistant"]) if said.get("assistant") else None,
            since=said.get("since"),
            until=said.get("until"),
        )

    def applied(self) -> dict[str, str]:
        """Return what is asked for, under its name in the address."""
        self.is_valid()
        return {
            name: value.isoformat() if isinstance(value, date) else str(value)
            for name, value in self.cleaned_data.items()
            if value
        }


def number(given: QueryDict, name: str) -> int | None:
    """Return a number of the address; None where there is none."""
    text = given.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def query(given: Mapping[str, str], **more: object) -> str:
    """Return the queue's query with its filters, and these values in place of where one is in it."""
    kept = {name: given[name] for name in ("state", *FilterForm.base_fields) if given.get(name)}
    return urlencode({**kept, **{name: str(value) for name, value in more.items() if value is not None}})


def address(given: Mapping[str, str], **more: object) -> str:
    """Return the queue's address with its filters, and these values."""
    said = query(given, **more)
    return f"{reverse('moderation')}?{said}" if said else reverse("moderation")


def chips(given: QueryDict, form: FilterForm) -> list[dict[str, str]]:
    """Return what is applied, each with the address without it."""
    labels = {
        "rule": _("Rule"),
        "action": _("Action"),
        "stage": _("Where"),
        "source": _("Found by"),
        "assistant": _("Assistant"),
        "since": _("From"),
        "until": _("Until"),
    }
    found = []
    for name, value in form.applied().items():
        field = form.fields[name]
        said = dict(field.choices).get(value, value) if isinstance(field, forms.ChoiceField) else value  # type: ignore[arg-type]
        without = {key: str(given[key]) for key in given if key != name}
        found.append({"label": labels[name], "value": str(said), "address": address(without)})
    return found
