"""One rule: written, tried on a text, tried on the messages of the past, put live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from conversations import dryruns, rulebook, verdicts
from conversations.models import Message, ScreeningRule
from conversations.moderation.rules import Rule, Stage
from conversations.moderation.ruleset import Finding, Ruleset
from conversations.pages import numbers
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.guards import needs
from conversations.pages.moderation import words
from conversations.pages.moderation.forms import RuleForm
from conversations.pages.moderation.passages import Passage, Piece, excerpt, pieces
from conversations.pages.moderation.words import Badge
from conversations.rights import Right, may

log = structlog.get_logger(__name__)

TRIED_CHARS = 20_000
DRY_RUNS = (1_000, 5_000, 10_000)
_STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a text would do. `wrong` is why nothing can be said."""

    wrong: str = ""
    pieces: Sequence[Piece] = ()
    masked: str = ""
    outcome: Badge | None = None
    findings: Sequence[tuple[str, Badge, bool]] = ()  # the rule's name, what it does, whether it is this one


@dataclass(frozen=True, slots=True)
class DryRun:
    """How far a dry run is. `before` is where it goes on; empty when it has ended."""

    looked_at: int
    wanted: int
    hits: int
    examples: Sequence[dict[str, Any]]
    ids: str
    before: str
    wrong: str = ""

    @property
    def counts(self) -> dict[str, str]:
        """Return its numbers as staff read them."""
        share = numbers.percent(self.hits / self.looked_at) if self.looked_at else ""
        return {
            "looked_at": numbers.count(self.looked_at),
            "wanted": numbers.count(self.wanted),
            "hits": numbers.count(self.hits),
            "share": share,
        }


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
@needs(Right.READ_VERDICTS)
def rule(request: StaffRequest, pk: int | None = None) -> HttpResponse:
    """Show a rule, or a new one; try it, save it, take it out."""
    row = None if pk is None else get_object_or_404(ScreeningRule, pk=pk, removed_at__isnull=True)
    may_change = may(request.user, Right.CHANGE_RULES)
    does = request.POST.get("do", "") if request.method == "POST" else ""
    if not may_change and (row is None or does not in {"", "try"}):
        raise PermissionDenied
    form = RuleForm(request.POST if does and may_change else None, row=row)
    candidate = form.candidate if form.is_bound else None if row is None else rulebook.as_rule(row)
    by = request.user.get_username()
    context: dict[str, Any] = {}
    match does:
        case "":
            pass
        case "live" | "rest":
            if form.is_valid() and candidate is not None:
                word_list = form.cleaned_data["word_list"]
                saved = rulebook.save(candidate, by=by, word_list=word_list, is_active=does == "live")
                return redirect(f"{reverse('rule', args=[saved.pk])}?saved=1")
        case "remove":
            if row is not None:
                rulebook.remove([row.name], by=by)
            return redirect("rules")
        case "try":
            context["tried"] = _try(request.POST, candidate, form)
            if request.htmx:
                return render(request, "console/moderation/_tried.html", context)
        case "dry":
            context["dry_run"] = _dry_run(request.POST, candidate, form)
            if request.htmx:
                return render(request, "console/moderation/_dry_run.html", context)
        case _:
            raise Http404
    return render(request, "console/moderation/rule.html", {**_page(request, form, row), **context})


def _page(request: StaffRequest, form: RuleForm, row: ScreeningRule | None) -> dict[str, Any]:
    hits = verdicts.hits_of([row.pk]).get(row.pk, verdicts.Hits()) if row is not None else None
    return {
        "form": form,
        "row": row,
        "hits": hits,
        "hits_words": "" if hits is None else numbers.count(hits.count),
        "overturned_words": "" if hits is None else numbers.count(hits.overturned),
        "lists": rulebook.word_lists(),
        "stages": words.STAGES,
        "text": request.POST.get("text", ""),
        "stage": request.POST.get("stage", "output"),
        "is_saved": request.GET.get("saved") == "1" and request.method == "GET",
        "dry_runs": [(count, numbers.count(count)) for count in DRY_RUNS],
        "may_change": may(request.user, Right.CHANGE_RULES),
        "tried_chars": TRIED_CHARS,
        **shell(request),
    }


def _mistake(form: RuleForm) -> str:
    """Return the first sentence that is wrong about the rule itself."""
    for field, sentences in form.errors.items():
        if field != "name":
            return str(sentences[0])
    return _("The rule is not complete.")


def _try(given: QueryDict, candidate: Rule | None, form: RuleForm) -> Tried:
    if form.is_bound and candidate is None:
        return Tried(wrong=_mistake(form))
    text = given.get("text", "")[:TRIED_CHARS]
    stage: Stage = next((each for each in _STAGES if each == given.get("stage")), "output")
    try:
        done = rulebook.try_out(text, stage, rule=candidate)
    except Exception as error:  # whatever makes the rules unreadable is for the operators, and in the log
        log.exception("rules unreadable", error=type(error).__name__)
        return Tried(wrong=_("The rules in force cannot be read just now."))
    this = None if candidate is None else candidate.id
    passages = [
        Passage(each.start, each.end, each.rule.id, is_chosen=each.rule.id == this) for each in done.findings
    ]
    found: dict[str, Finding] = {}
    for finding in done.findings:
        found.setdefault(finding.rule.id, finding)
    return Tried(
        pieces=pieces(text, passages),
        masked=done.masked if done.masked != text and not done.is_blocked else "",
        outcome=_outcome(done.is_blocked, done.masked != text, bool(done.findings)) if text.strip() else None,
        findings=[
            (name, words.action_badge(finding.rule.action), name == this) for name, finding in found.items()
        ],
    )


def _outcome(is_blocked: bool, is_masked: bool, is_found: bool) -> Badge:
    if is_blocked:
        return words.done("block")
    if is_masked:
        return words.done("mask")
    return words.done("flag") if is_found else Badge("good", "check", _("Passes"))


def _dry_run(given: QueryDict, candidate: Rule | None, form: RuleForm) -> DryRun:
    numbers_given = {name: _number(given.get(name, "")) for name in ("wanted", "looked_at", "hits")}
    wanted = min(numbers_given["wanted"] or DRY_RUNS[-1], dryruns.MAX_MESSAGES)
    looked_at, hits = min(numbers_given["looked_at"], wanted), numbers_given["hits"]
    if candidate is None:
        return DryRun(0, wanted, 0, (), "", "", wrong=_mistake(form))
    known = [each for each in given.get("ids", "").split(",") if each][: dryruns.MAX_EXAMPLES]
    batch = dryruns.step(
        [candidate],
        before=given.get("before", "")[:26],
        at_most=wanted - looked_at,
        examples=dryruns.MAX_EXAMPLES - len(known),
    )
    ids = [*known, *(each.message.pk for each in batch.examples)]
    return DryRun(
        looked_at=looked_at + batch.looked_at,
        wanted=wanted,
        hits=hits + batch.hits,
        examples=[_example(each) for each in _again(candidate, known)]
        + [_example(each) for each in batch.examples],
        ids=",".join(ids),
        before=batch.before,
    )


def _again(candidate: Rule, ids: Sequence[str]) -> list[dryruns.Example]:
    """Return the examples that earlier steps found."""
    ruleset = Ruleset([candidate])
    rows = Message.objects.filter(pk__in=ids).select_related("conversation__assistant").order_by("-pk")
    return [found for row in rows if (found := dryruns.look(ruleset, row)) is not None]


def _example(found: dryruns.Example) -> dict[str, Any]:
    return {
        "at": found.message.created_at,
        "assistant": found.message.conversation.assistant.name,
        "conversation": found.message.conversation_id,
        "role": _("Visitor") if found.message.role == "visitor" else _("Answer"),
        "pieces": excerpt(found.text, [Passage(each.start, each.end) for each in found.findings]),
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
