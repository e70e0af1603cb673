"""One turn as staff read it: what was said, what happened when, what was asked of whom, what it cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from conversations import rights, story, storytelling, storywords
from conversations.models import LedgerEntry, TurnStatus
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.rights import Right
from conversations.story import Attempt, Said, Story
from conversations.storytelling import Line

_BADGES: dict[str, tuple[str, str, str | Promise]] = {
    TurnStatus.QUEUED: ("", "clock", gettext_lazy("Queued")),
    TurnStatus.RUNNING: ("live", "bolt", gettext_lazy("Running")),
    TurnStatus.COMPLETED: ("good", "check", gettext_lazy("Answered")),
    TurnStatus.STOPPED: ("warn", "stop", gettext_lazy("Stopped")),
    TurnStatus.INTERRUPTED: ("warn", "cut", gettext_lazy("Interrupted")),
    TurnStatus.FAILED: ("bad", "close", gettext_lazy("Failed")),
    TurnStatus.BLOCKED: ("bad", "shield", gettext_lazy("Blocked")),
}
_SIGNS = {
    "message": "chat",
    "turn": "flow",
    "attempt": "bolt",
    "window": "columns",
    "money": "coin",
    "verdict": "shield",
    "task": "check",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A sentence of the story, and whether its time is another than that of the one before it."""

    at: datetime | None
    is_later: bool
    icon: str
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A message. `text` is None where its reader may not see any of it."""

    role: str
    at: datetime
    position: int
    text: str | None
    note: str


@require_safe
@staff_only
@needs(Right.READ_TRANSCRIPTS)
def turn(request: StaffRequest, key: str) -> HttpResponse:
    """Show a turn; the id of a message or completion leads to its turn."""
    try:
        found = story.read(key)
    except story.NoTurnError as error:
        raise Http404(str(error)) from error
    if key != found.turn.pk:
        return redirect("turn", found.turn.pk)
    sees_money = rights.may(request.user, Right.READ_MONEY)
    sees_masked = rights.may(request.user, Right.READ_MASKED)
    colour, icon, word = _BADGES[found.turn.status]
    context = {
        "turn": found.turn,
        "story": found,
        "badge": {"colour": colour, "icon": icon, "word": word},
        "figures": _figures(found, sees_money=sees_money),
        "steps": _steps(storytelling.lines(found), sees_money=sees_money),
        "said": [_shown(each, sees_masked=sees_masked) for each in found.said],
        "attempts": [(each, _window_words(each)) for each in found.attempts],
        "entries": [
            (each.row.number, entry, _amount(entry)) for each in found.attempts for entry in each.lines
        ],
        "sums": _sums(found),
        "sees_money": sees_money,
        **shell(request),
    }
    return render(request, "console/turn.html", context)


def _figures(found: Story, *, sees_money: bool) -> list[tuple[str, str, str]]:
    row = found.turn
    took = None if row.finished_at is None else (row.finished_at - row.created_at) / timedelta(milliseconds=1)
    rows = [each.row for each in found.attempts]
    failed = sum(bool(each.error) for each in rows)
    known = [each for each in rows if each.input_tokens is not None and each.output_tokens is not None]
    read = sum(each.input_tokens or 0 for each in known)
    written = sum(each.output_tokens or 0 for each in known)
    figures = [
        (
            _("First words"),
            "–" if row.first_delta_ms is None else numbers.seconds(row.first_delta_ms),
            _("after the turn was accepted"),
        ),
        (_("Whole turn"), "–" if took is None else numbers.seconds(took), _("until its end was saved")),
        (
            _("Attempts"),
            numbers.count(len(rows)),
            _("%(count)d with an error") % {"count": failed},
        ),
        (
            _("Tokens"),
            numbers.short_count(read + written),
            _("%(read)s read, %(written)s written") % {"read": read, "written": written}
            if len(known) == len(rows)
            else _("and an unknown number"),
        ),
    ]
    if sees_money:
        sums = [numbers.money(nanos, currency) for currency, nanos in sorted(found.cost.nanos.items())]
        cost = " + ".join(sums) or (_("unknown") if found.cost.unknown else "–")
        figures.append((_("Cost"), cost, _cost_note(found)))
    return figures


def _cost_note(found: Story) -> str:
    cost = found.cost
    if cost.held:
        return _("money is still held")
    if cost.unknown:
        return ngettext(
            "and %(count)d call of unknown cost", "and %(count)d calls of unknown cost", cost.unknown
        ) % {"count": cost.unknown}
    kinds = {entry.counts for each in found.attempts for entry in each.lines if entry.kind != "hold"}
    return _("estimated in part") if "estimated" in kinds else _("as the ledger says")


def _steps(lines: Iterable[Line], *, sees_money: bool) -> list[Step]:
    steps: list[Step] = []
    before: datetime | None = None
    for line in lines:
        if line.kind == "money" and not sees_money:
            continue
        icon = "clock" if line.kind == "task" and line.tone == "warn" else _SIGNS[line.kind]
        is_later = line.at is not None and line.at != before
        steps.append(Step(line.at, is_later, icon, line.tone, line.words))
        before = line.at or before
    return steps


def _shown(said: Said, *, sees_masked: bool) -> Shown:
    row = said.row
    if sees_masked:
        text: str | None = said.original
        note = _("The visitor does not see all of this.") if row.withheld else ""
    else:
        text = said.concealed
        note = _("What is masked is not shown to you.") if text is not None and text != said.text else ""
    if text is None:
        note = _("This text is withheld: you may not read it.")
    elif not text:
        note = note or _("There is no text, or it was erased.")
    return Shown(row.role, row.created_at, row.position, text, note)


def _window_words(attempt: Attempt) -> Sequence[str]:
    window = attempt.window
    if window is None:
        return ()
    words = [_("messages %(which)s") % {"which": storywords.ranges(window.sent)}]
    for drop in window.dropped:
        which = storywords.ranges(range(drop["from"], drop["to"] + 1))
        words.append(_("without %(which)s (%(reason)s)") % {"which": which, "reason": drop["reason"]})
    return words


def _amount(entry: LedgerEntry) -> str:
    return storywords.amount(entry)


def _sums(found: Story) -> list[str]:
    return [storywords.money(nanos, currency) for currency, nanos in sorted(found.cost.nanos.items())]
