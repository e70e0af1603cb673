"""The queue of moderation: what was found, with what stands around it, and what staff think of it."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from conversations import decisions, verdicts
from conversations.models import Decision, Verdict
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.pages.moderation import words
from conversations.pages.moderation.cases import Case, Row, case, row
from conversations.pages.moderation.filters import FilterForm, address, chips, number, query
from conversations.rights import Right, may

NOTE_CHARS = 500
_DAYS = (7, 30, 90)
_DECISIONS = (Decision.UPHELD, Decision.OVERTURNED)
_CURSORS = ("before", "after", "chosen")


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything the page shows."""

    rows: list[Row]
    case: Case | None
    is_decided: bool
    is_chosen: bool  # by the address: on a phone the case stands alone then
    newer: str
    older: str
    back: str
    query: str


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def queue(request: StaffRequest) -> HttpResponse:
    """Show the verdicts that wait, or those decided, and one of them with its context."""
    form = FilterForm(request.GET.dict())
    is_decided = request.GET.get("state") == "decided"
    before, after, chosen = (number(request.GET, name) for name in _CURSORS)
    page = verdicts.page(form.wanted(is_decided=is_decided), before=before, after=after)
    if not page.items and (before or after):
        return redirect(address(request.GET))
    sees = may(request.user, Right.READ_MASKED)
    current = _chosen(page, chosen)
    kept = {"before": before, "after": after}
    others = [] if sees else verdicts.of_messages([each.message_id for each in page.items])
    rows = [
        row(
            each,
            others=others,
            sees_masked=sees,
            address=address(request.GET, chosen=each.pk, **kept),
        )
        for each in page.items
    ]
    shown = Queue(
        rows=rows,
        case=None if current is None else case(current, sees_masked=sees),
        is_decided=is_decided,
        is_chosen=chosen is not None and current is not None,
        newer=address(request.GET, after=page.items[0].pk) if page.items and page.has_newer else "",
        older=address(request.GET, before=page.items[-1].pk) if page.items and page.has_older else "",
        back=address(request.GET, **kept),
        query=query(request.GET, **kept),
    )
    neighbours = _neighbours([each.pk for each in page.items], current)
    return render(
        request,
        "console/moderation/queue.html",
        {
            "queue": shown,
            "form": form,
            "applied": chips(request.GET, form),
            "neighbours": neighbours,
            "last": _last(request.GET),
            "note_chars": NOTE_CHARS,
            "may_decide": may(request.user, Right.DECIDE),
            "told": _told(request.GET.get("told", "")),
            **shell(request),
        },
    )


def _chosen(page: verdicts.Page, pk: int | None) -> Verdict | None:
    """Return the verdict of the address, also where it is on no page, else the first."""
    if pk is not None:
        for each in page.items:
            if each.pk == pk:
                return each
        found = verdicts.known(pk)
        if found is not None:
            return found
    return page.items[0] if page.items else None


def _neighbours(ids: list[int], current: Verdict | None) -> dict[str, int | None]:
    """Return which rows the keys move to."""
    if current is None or current.pk not in ids:
        return {"next": ids[0] if ids else None, "previous": None}
    at = ids.index(current.pk)
    return {
        "next": ids[at + 1] if at + 1 < len(ids) else None,
        "previous": ids[at - 1] if at else None,
    }


@require_POST
@staff_only
@needs(Right.DECIDE)
def decide(request: StaffRequest, pk: int) -> HttpResponse:
    """Write a decision, and go on to the next verdict."""
    decision = next((each for each in _DECISIONS if each == request.POST.get("decision")), None)
    if decision is None:
        raise Http404
    kept = {"before": number(request.GET, "before"), "after": number(request.GET, "after")}
    wanted = FilterForm(request.GET.dict()).wanted(is_decided=False)
    try:
        decisions.decide(
            pk,
            decision,
            by=request.user.get_username(),
            note=request.POST.get("note", "")[:NOTE_CHARS].replace("\0", ""),
        )
    except decisions.NoVerdictError as error:
        raise Http404 from error
    except decisions.DecisionError as error:
        told = "faster" if isinstance(error, decisions.AlreadyDecidedError) else "unreadable"
        return redirect(address(request.GET, chosen=pk, told=told, **kept))
    following = verdicts.page(wanted, before=pk).items[:1]
    chosen = following[0].pk if following else None
    return redirect(address(request.GET, chosen=chosen, done=pk, **kept))


@require_POST
@staff_only
@needs(Right.DECIDE)
def reopen(request: StaffRequest, pk: int) -> HttpResponse:
    """Take a decision back, and show what it was about."""
    try:
        decisions.reopen(pk, by=request.user.get_username())
    except decisions.NoVerdictError as error:
        raise Http404 from error
    except decisions.DecisionError:
        return redirect(address(request.GET, chosen=pk, told="unreadable"))
    return redirect(address({**request.GET.dict(), "state": ""}, chosen=pk))


@require_safe
@staff_only
@needs(Right.READ_VERDICTS)
def by_rule(request: StaffRequest) -> HttpResponse:
    """Show who found how much, and how much of it was overturned."""
    days = number(request.GET, "days")
    days = days if days in _DAYS else _DAYS[1]
    found = verdicts.finders(since=timezone.now() - timedelta(days=days))
    lines = [
        {
            "name": each.rule_name or words.SOURCES.get(each.source, each.source),
            "source": "" if each.source == "rule" else words.SOURCES.get(each.source, each.source),
            "rule_id": each.rule_id,
            "address": address({"rule": each.rule_name, "source": each.source}),
            "hits": numbers.count(each.hits.count),
            "open": numbers.count(each.hits.open),
            "overturned": numbers.count(each.hits.overturned),
            "share": None
            if each.hits.overturned_share is None
            else numbers.percent(each.hits.overturned_share),
        }
        for each in found
    ]
    return render(
        request,
        "console/moderation/by_rule.html",
        {"lines": lines, "days": days, "choices": _DAYS, **shell(request)},
    )


def _last(given: QueryDict) -> Verdict | None:
    """Return what was decided a moment ago, so that it can be taken back."""
    pk = number(given, "done")
    found = None if pk is None else verdicts.known(pk)
    return found if found is not None and found.decision else None


def _told(what: str) -> str:
    return {
        "faster": _("Somebody else decided this a moment ago, and otherwise. Nothing was changed."),
        "unreadable": _(
            "The rules cannot be read just now, so nothing can be shown again. Nothing was changed."
        ),
    }.get(what, "")
