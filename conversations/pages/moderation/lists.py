"""Lists of words: pasted or uploaded, looked at first, then put live."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from conversations import rulebook, rulehistory
from conversations.moderation.rules import RuleError
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.pages.moderation.forms import ListForm
from conversations.rights import Right

_SHOWN = 20  # rules of each kind in the preview


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
@needs(Right.CHANGE_RULES)
def word_list(request: StaffRequest) -> HttpResponse:
    """Show what a list would make, change and take out; do it when that is wanted."""
    context: dict[str, Any] = {"lists": rulebook.word_lists(), "note": ""}
    if request.method != "POST":
        name = request.GET.get("list", "").replace("\0", "")
        initial = {"word_list": name, "action": "block", "stages": ["input", "output", "review"]}
        return render(
            request,
            "console/moderation/list.html",
            {"form": ListForm(initial=initial), **context, **shell(request)},
        )
    form = ListForm(request.POST, request.FILES)
    if form.is_valid() and form.listed is not None:
        said = form.cleaned_data
        options = {"word_list": said["word_list"], "replaces_list": said["replaces"]}
        now = rulehistory.version()
        try:
            if request.POST.get("do") == "live" and said["seen"] == now and not said.get("file"):
                rulebook.put(form.listed.rules, by=request.user.get_username(), **options)
                return redirect(f"{reverse('rules')}?{urlencode({'list': said['word_list']})}")
            found = rulebook.compare(form.listed.rules, **options)
        except RuleError as error:
            form.add_error("text", str(error))
        else:
            context["preview"] = _preview(found, form)
            context["seen"] = now
            if request.POST.get("do") == "live":
                context["note"] = _(
                    "The rules have changed meanwhile. Nothing was done yet: please look again."
                )
    return render(request, "console/moderation/list.html", {"form": form, **context, **shell(request)})


def _preview(found: rulebook.Comparison, form: ListForm) -> dict[str, Any]:
    assert form.listed is not None
    groups = [
        (_("Made"), "good", [rule.pattern for rule in found.made]),
        (_("Changed"), "warn", [rule.pattern for _row, rule in found.changed]),
        (_("Taken out"), "bad", [row.pattern for row in found.gone]),
        (_("As they are"), "", [row.pattern for row in found.same]),
    ]
    mistakes = form.listed.mistakes
    return {
        "groups": [
            {
                "label": label,
                "kind": kind,
                "count": numbers.count(len(terms)),
                "terms": terms[:_SHOWN],
                "more": numbers.count(len(terms) - _SHOWN) if len(terms) > _SHOWN else "",
            }
            for label, kind, terms in groups
            if terms
        ],
        "does_something": bool(found.made or found.changed or found.gone),
        "mistakes": mistakes[:_SHOWN],
        "mistake_count": len(mistakes),
        "text": form.cleaned_data["text"],
        "is_table": form.cleaned_data["is_table"],
    }
