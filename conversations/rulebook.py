"""The rules of screening: kept by staff, changed with a history, and soon in force in every process.

Functions are synchronous; those that write are whole transactions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from conversations import audit
from conversations.audit import Kind, Verb
from conversations.models import RuleChange, ScreeningRule
from conversations.models.remembered import Remembered
from conversations.moderation import checking, rules
from conversations.moderation.masking import Spans
from conversations.moderation.rules import Rule, RuleError, Stage
from conversations.moderation.ruleset import Ruleset, Screening, place

MAX_RULES = 50_000
MAX_EXCEPTIONS = 200
PAGE = 50
_BATCH = 1000

NAME_CHARS, PATTERN_CHARS = 120, 1000  # what the columns take

FIELDS = ("kind", "pattern", "action", "stages", "boundary", "spaced", "exceptions")
_NAMES = ("id", *FIELDS)


def _load() -> Ruleset:
    rows = ScreeningRule.objects.filter(is_active=True, removed_at__isnull=True).order_by("name")
    values = rows.values_list("name", *FIELDS)
    return Ruleset(rules.read(dict(zip(_NAMES, row, strict=True)) for row in values)).prepare()


_rules = Remembered("SELECT MAX(id) FROM conversations_rulechange", _load)


def current() -> Ruleset:
    """Return the rules in force; usually without a query. Raises whatever makes them unreadable."""
    return _rules.get()


def newest() -> Ruleset | None:
    """Return the rules this process read last, without a query; None before the first time."""
    return _rules.last


def forget() -> None:
    """Read the rules anew the next time."""
    _rules.forget()


def as_rule(row: ScreeningRule) -> Rule:
    """Return a row as screening takes it."""
    [rule] = rules.read([{"id": row.name, **_fields(row)}])
    return rule


def _fields(row: ScreeningRule) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}


def _known(row: ScreeningRule) -> dict[str, Any]:
    """Return what a change shows of a rule."""
    return {**_fields(row), "word_list": row.word_list, "is_active": row.is_active}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rules to list; empty fields ask for nothing. `query` is looked for in names and terms."""

    query: str = ""
    word_list: str = ""
    action: str = ""
    stage: str = ""
    kind: str = ""
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rules by name, how many there are in all, and whether there are some before and after these."""

    items: Sequence[ScreeningRule]
    count: int
    has_before: bool
    has_after: bool


def page(wanted: Wanted, *, after: str = "", before: str = "") -> Page:
    """Return the first rules by name, or those next to a name."""
    rows = _rows(wanted)
    count = rows.count()
    if before:
        nearest = list(rows.filter(name__lt=before).order_by("-name")[: PAGE + 1])
        return Page(nearest[:PAGE][::-1], count, len(nearest) > PAGE, True)
    found = list((rows.filter(name__gt=after) if after else rows).order_by("name")[: PAGE + 1])
    return Page(found[:PAGE], count, bool(after), len(found) > PAGE)


def _rows(wanted: Wanted) -> QuerySet[ScreeningRule]:
    rows = ScreeningRule.objects.filter(removed_at__isnull=True)
    if wanted.query:
        rows = rows.filter(Q(name__icontains=wanted.query) | Q(pattern__icontains=wanted.query))
    for name in ("word_list", "action", "kind"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.stage:
        # A list in JSON: what it contains is asked in the same way on both databases.
        rows = rows.alias(written=Cast("stages", TextField())).filter(written__contains=f'"{wanted.stage}"')
    if wanted.is_active is not None:
        rows = rows.filter(is_active=wanted.is_active)
    return rows


def word_lists() -> list[tuple[str, int]]:
    """Return the lists there are by name, with how many rules each has; not those without a list."""
    rows = ScreeningRule.objects.filter(removed_at__isnull=True).exclude(word_list="")
    return list(
        rows.values("word_list")
        .annotate(Count("pk"))
        .order_by("word_list")
        .values_list("word_list", "pk__count")
    )


def kept(names: Collection[str] | None = None, *, word_list: str | None = None) -> list[ScreeningRule]:
    """Return the rules that staff keep, also those that rest, by name: all, these, or those of a list."""
    rows = ScreeningRule.objects.filter(removed_at__isnull=True).order_by("name")
    if names is not None:
        rows = rows.filter(name__in=names)
    if word_list is not None:
        rows = rows.filter(word_list=word_list)
    return list(rows)


def save(rule: Rule, *, by: str, word_list: str = "", is_active: bool = True) -> ScreeningRule:
    """Write a new rule, or change the one of its name. Raises RuleError where it cannot be used."""
    put([rule], by=by, word_list=word_list, is_active=is_active)
    return ScreeningRule.objects.get(name=rule.id, removed_at__isnull=True)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What putting rules would do: `changed` are rows as they are kept now, with what they would be."""

    made: Sequence[Rule]
    changed: Sequence[tuple[ScreeningRule, Rule]]
    same: Sequence[ScreeningRule]
    gone: Sequence[ScreeningRule]


def compare(
    new: Sequence[Rule], *, word_list: str = "", is_active: bool = True, replaces_list: bool = False
) -> Comparison:
    """Return what `put` would do, and do nothing. Raises RuleError as it does."""
    for rule in new:
        _check(rule)
    rows = {row.name: row for row in kept()}
    made: list[Rule] = []
    changed: list[tuple[ScreeningRule, Rule]] = []
    same: list[ScreeningRule] = []
    for rule in new:
        row = rows.get(rule.id)
        if row is None:
            made.append(rule)
        elif (row.word_list, row.is_active) == (word_list, is_active) and as_rule(row) == rule:
            same.append(row)
        else:
            changed.append((row, rule))
    names = {rule.id for rule in new}
    gone = [row for row in rows.values() if row.word_list == word_list and row.name not in names]
    if not replaces_list:
        gone = []
    if len(rows) + len(made) - len(gone) > MAX_RULES:
        raise RuleError(f"These would be more than {MAX_RULES} rules.")
    return Comparison(made, changed, same, gone)


def put(
    new: Sequence[Rule], *, by: str, word_list: str = "", is_active: bool = True, replaces_list: bool = False
) -> Comparison:
    """Write many rules as one change; those of the same name are changed. Return what was done.

    With `replaces_list` the other rules of `word_list` are taken out. Raises RuleError, naming the rule,
    where one cannot be used: then nothing is written. What changes nothing is not in the history.
    """
    with transaction.atomic():
        found = compare(new, word_list=word_list, is_active=is_active, replaces_list=replaces_list)
        before = {row.name: _known(row) for row in [*(row for row, _ in found.changed), *found.gone]}
        made = [ScreeningRule(name=rule.id) for rule in found.made]
        changed = [row for row, _ in found.changed]
        for row, rule in zip(
            [*made, *changed], [*found.made, *(rule for _, rule in found.changed)], strict=True
        ):
            for name, value in rules.as_json(rule).items():
                if name in FIELDS:
                    setattr(row, name, value)
            row.kind, row.word_list, row.is_active = rule.kind, word_list, is_active
        _take_out(found.gone)
        ScreeningRule.objects.bulk_create(made, batch_size=_BATCH)
        if changed:
            ScreeningRule.objects.bulk_update(changed, [*FIELDS, "word_list", "is_active"], batch_size=_BATCH)
        _note(by, before, {row.name: _known(row) for row in [*made, *changed]})
    return found


def _check(rule: Rule) -> None:
    try:
        check(rule)
    except RuleError as error:
        raise RuleError(f"Rule `{rule.id}`: {error}") from error


def check(rule: Rule) -> None:
    """Raise RuleError, with one sentence, where a rule cannot be used or kept."""
    if not rule.id.strip() or len(rule.id) > NAME_CHARS:
        raise RuleError(f"A rule's name has 1 to {NAME_CHARS} characters.")
    if len(rule.pattern) > PATTERN_CHARS:
        raise RuleError(f"A rule's text has at most {PATTERN_CHARS} characters.")
    if len(rule.exceptions) > MAX_EXCEPTIONS:
        raise RuleError(f"A rule has at most {MAX_EXCEPTIONS} exceptions.")
    if any("\0" in text for text in (rule.id, rule.pattern, *rule.exceptions)):
        raise RuleError("The character U+0000 cannot be kept.")
    checking.check(rule)


def remove(names: Collection[str], *, by: str) -> int:
    """Take rules out; return how many there were."""
    with transaction.atomic():
        rows = kept(names)
        if rows:
            _take_out(rows)
            _note(by, {row.name: _known(row) for row in rows}, {})
    return len(rows)


def switch(names: Collection[str], *, is_active: bool, by: str) -> int:
    """Let rules rest, or be in force again; return how many that changed."""
    with transaction.atomic():
        rows = [row for row in kept(names) if row.is_active != is_active]
        before = {row.name: _known(row) for row in rows}
        for row in rows:
            row.is_active = is_active
        _update(rows, is_active=is_active)
        if rows:
            _note(by, before, {row.name: _known(row) for row in rows})
    return len(rows)


def _take_out(rows: Sequence[ScreeningRule]) -> None:
    _update(rows, removed_at=timezone.now(), is_active=False)


def _update(rows: Sequence[ScreeningRule], **values: Any) -> None:
    ids = [row.pk for row in rows]
    for at in range(0, len(ids), _BATCH):
        ScreeningRule.objects.filter(pk__in=ids[at : at + _BATCH]).update(**values)


def _note(by: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if before == after:
        return
    made, gone = after.keys() - before.keys(), before.keys() - after.keys()
    changed = [name for name in after.keys() & before.keys() if after[name] != before[name]]
    said = [
        f"{len(names)} {what}" if len(names) > 1 else f"`{next(iter(names))}` {what}"
        for names, what in ((made, "made"), (changed, "changed"), (gone, "taken out"))
        if names
    ]
    summary = ", ".join(said)[:200]
    change = RuleChange.objects.create(by=by, summary=summary, before=dict(before), after=dict(after))
    audit.write(Verb.CHANGED, Kind.RULES, change.pk, by=by, label=summary)
    transaction.on_commit(forget)


def export(word_list: str | None = None) -> list[dict[str, Any]]:
    """Return the rules that are in force as JSON, in the form `rules.read` takes."""
    return [rules.as_json(as_rule(row)) for row in kept(word_list=word_list) if row.is_active]


def try_out(text: str, stage: Stage, *, rule: Rule | None = None) -> Screening:
    """Return what a text would do by the rules in force; `rule` takes the place of the one of its name."""
    present = current().screen(text, stage).findings
    findings = [finding for finding in present if rule is None or finding.rule.id != rule.id]
    if rule is not None:
        findings += Ruleset([rule]).screen(text, stage).findings
    findings.sort(key=place)
    spans = Spans()
    for finding in findings:
        if finding.rule.action == "mask":
            spans.add(finding.start, finding.end)
    is_blocked = any(finding.rule.action == "block" for finding in findings)
    return Screening(tuple(findings), is_blocked, spans.masked(text, 0, len(text)))
