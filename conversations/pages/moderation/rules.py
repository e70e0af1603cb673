"""The rules of screening: the list, switching them on and off, taking them along, and their history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from conversations import rulebook, rulehistory, verdicts, wordlists
from conversations.models import RuleChange, ScreeningRule
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.pages.moderation import words
from conversations.pages.moderation.words import Badge
from conversations.rights import Right, may
from conversations.verdicts import Hits

_FILTERS = ("q", "list", "action", "stage", "kind", "state")
_NO_HITS = Hits()


@dataclass(frozen=True, slots=True)
class Line:
    """One rule of the list."""

    pk: int
    name: str
    word_list: str
    pattern: str
    kind: str
    action: Badge
    stages: str
    is_active: bool
    hits: str
    overturned: str
    share: str


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def rules(request: StaffRequest) -> HttpResponse:
    """Show the rules by name, with how often they found something."""
    said = {name: request.GET.get(name, "").replace("\0", "")[:120] for name in _FILTERS}
    wanted = rulebook.Wanted(
        query=said["q"].strip(),
        word_list=said["list"],
        action=_known(said["action"], words.ACTIONS),
        stage=_known(said["stage"], words.STAGES),
        kind=_known(said["kind"], words.KINDS),
        is_active={"on": True, "off": False}.get(said["state"]),
    )
    cursor = {name: request.GET.get(name, "").replace("\0", "") for name in ("after", "before")}
    page = rulebook.page(wanted, **cursor)
    hits = verdicts.hits_of([row.pk for row in page.items])
    address = f"{reverse('rules')}?{urlencode({name: text for name, text in said.items() if text})}"
    return render(
        request,
        "console/moderation/rules.html",
        {
            "lines": [_line(row, hits.get(row.pk, _NO_HITS)) for row in page.items],
            "count": page.count,
            "count_words": numbers.count(page.count),
            "said": said,
            "is_filtered": any(said.values()),
            "lists": rulebook.word_lists(),
            "choices": {
                "action": [(action, words.action_badge(action).word) for action in words.ACTIONS],
                "stage": list(words.SHORT_STAGES.items()),
                "kind": list(words.KINDS.items()),
            },
            "previous": _beside(address, "before", page.items[0].name)
            if page.items and page.has_before
            else "",
            "next": _beside(address, "after", page.items[-1].name) if page.items and page.has_after else "",
            "may_change": may(request.user, Right.CHANGE_RULES),
            **shell(request),
        },
    )


def _known(value: str, said: Mapping[str, object]) -> str:
    return value if value in said else ""


def _beside(address: str, name: str, value: str) -> str:
    return f"{address}&{urlencode({name: value})}"


def _line(row: ScreeningRule, hits: Hits) -> Line:
    is_detector = row.kind == "detector"
    share = hits.overturned_share
    return Line(
        pk=row.pk,
        name=row.name,
        word_list=row.word_list,
        pattern=str(words.DETECTORS.get(row.pattern, row.pattern)) if is_detector else row.pattern,
        kind=str(words.KINDS.get(row.kind, row.kind)),
        action=words.action_badge(row.action),
        stages=_(", ").join(
            str(words.SHORT_STAGES[stage]) for stage in words.SHORT_STAGES if stage in row.stages
        ),
        is_active=row.is_active,
        hits=numbers.count(hits.count),
        overturned=numbers.count(hits.overturned),
        share="" if share is None else numbers.percent(share),
    )


@require_POST
@staff_only
@needs(Right.CHANGE_RULES)
def switch(request: StaffRequest, pk: int) -> HttpResponse:
    """Let a rule rest, or be in force again."""
    row = get_object_or_404(ScreeningRule, pk=pk, removed_at__isnull=True)
    is_active = request.POST.get("is_active") == "on"
    rulebook.switch([row.name], is_active=is_active, by=request.user.get_username())
    if request.htmx:
        line = {"pk": row.pk, "name": row.name, "is_active": is_active}
        return render(request, "console/moderation/_switch.html", {"line": line})
    return redirect(f"{reverse('rules')}?{urlencode({'q': row.name})}")


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def export(request: StaffRequest) -> HttpResponse:
    """Give the rules of a list, or all, as a file: JSON, or the bare terms."""
    word_list = request.GET.get("list", "").replace("\0", "") or None
    name = slugify(word_list or "rules") or "rules"
    match request.GET.get("format", "json"):
        case "json":
            data = orjson.dumps({"rules": rulebook.export(word_list)}, option=orjson.OPT_INDENT_2)
            return _file(data, f"{name}.json", "application/json")
        case "txt":
            kept = [rulebook.as_rule(row) for row in rulebook.kept(word_list=word_list)]
            return _file(wordlists.written(kept).encode(), f"{name}.txt", "text/plain; charset=utf-8")
        case _:
            raise Http404


def _file(data: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(data, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def history(request: StaffRequest) -> HttpResponse:
    """Show who changed what, newest first."""
    text = request.GET.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    name = request.GET.get("rule", "").replace("\0", "")
    found, has_older = rulehistory.page(rule_name=name, before=before)
    return render(
        request,
        "console/moderation/history.html",
        {
            "changes": found,
            "rule_name": name,
            "older": f"?{urlencode({'rule': name, 'before': str(found[-1].pk)})}" if has_older else "",
            **shell(request),
        },
    )


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def change(request: StaffRequest, pk: int) -> HttpResponse:
    """Show one change: each rule before and after."""
    found = get_object_or_404(RuleChange, pk=pk)
    shown, count = rulehistory.differences(found)
    return render(
        request,
        "console/moderation/change.html",
        {
            "change": found,
            "title": found.summary.replace("`", ""),
            "rules": [{"name": each.name, "state": _state(each), "fields": _fields(each)} for each in shown],
            "left_out": count - len(shown),
            **shell(request),
        },
    )


def _state(difference: rulehistory.Difference) -> Badge:
    if difference.before is None:
        return Badge("good", "plus", _("Made"))
    if difference.after is None:
        return Badge("bad", "trash", _("Taken out"))
    return Badge("", "pen", _("Changed"))


def _fields(difference: rulehistory.Difference) -> list[dict[str, str]]:
    said = {name: (before, after) for name, before, after in difference.fields}
    return [
        {"label": str(label), "before": value(name, said[name][0]), "after": value(name, said[name][1])}
        for name, label in words.FIELDS.items()
        if name in said
    ]


def value(name: str, given: Any) -> str:
    """Return the value of a rule's field as staff read it; empty where there is none."""
    match given:
        case None:
            return ""
        case bool():
            return _("yes") if given else _("no")
        case list():
            known = words.SHORT_STAGES if name == "stages" else {}
            return _(", ").join(str(known.get(each, each)) for each in given)
        case _:
            known = {"kind": words.KINDS, "action": words.ACTIONS, "boundary": words.BOUNDARIES}.get(name, {})
            return str(known.get(given, given))
