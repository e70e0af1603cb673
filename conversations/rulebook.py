"""The rules of screening: kept by staff, changed with a history, and soon in force in every process.

Functions are synchronous; those that write are whole transactions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from conversations.models import RuleChange, ScreeningRule
from conversations.models.remembered import Remembered
from conversations.moderation import checking, rules
from conversations.moderation.rules import Rule, RuleError
from conversations.moderation.ruleset import Ruleset

MAX_RULES = 50_000
_BATCH = 1000

FIELDS = ("kind", "pattern", "action", "stages", "boundary", "spaced", "exceptions")


def _load() -> Ruleset:
    rows = ScreeningRule.objects.filter(is_active=True, removed_at__isnull=True).order_by("name")
    return Ruleset(as_rule(row) for row in rows).prepare()


_rules = Remembered("SELECT MAX(id) FROM conversations_rulechange", _load)


def current() -> Ruleset:
    """Return the rules in force; usually without a query. Raises whatever makes them unreadable."""
    return _rules.get()


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
    saved = put([rule], by=by, word_list=word_list, is_active=is_active)
    return saved[0]


def put(
    new: Sequence[Rule], *, by: str, word_list: str = "", is_active: bool = True, replaces_list: bool = False
) -> list[ScreeningRule]:
    """Write many rules as one change; those of the same name are changed.

    With `replaces_list` the other rules of `word_list` are taken out. Raises RuleError, naming the rule,
    where one cannot be used: then nothing is written.
    """
    for rule in new:
        _check(rule)
    with transaction.atomic():
        kept_rows = {row.name: row for row in kept()}
        before = {rule.id: _known(kept_rows[rule.id]) for rule in new if rule.id in kept_rows}
        made: list[ScreeningRule] = []
        changed: list[ScreeningRule] = []
        for rule in new:
            row = kept_rows.get(rule.id) or ScreeningRule(name=rule.id)
            for name, value in rules.as_json(rule).items():
                if name in FIELDS:
                    setattr(row, name, value)
            row.word_list, row.is_active = word_list, is_active
            (made if row.pk is None else changed).append(row)
        gone = []
        if replaces_list:
            names = {rule.id for rule in new}
            gone = [row for row in kept_rows.values() if row.word_list == word_list and row.name not in names]
            before |= {row.name: _known(row) for row in gone}
        if len(kept_rows) + len(made) - len(gone) > MAX_RULES:
            raise RuleError(f"These would be more than {MAX_RULES} rules.")
        _take_out(gone)
        ScreeningRule.objects.bulk_create(made, batch_size=_BATCH)
        if changed:
            ScreeningRule.objects.bulk_update(changed, [*FIELDS, "word_list", "is_active"], batch_size=_BATCH)
        after = {row.name: _known(row) for row in [*made, *changed]}
        _note(by, before, after)
    return [*made, *changed]


def _check(rule: Rule) -> None:
    try:
        checking.check(rule)
    except RuleError as error:
        raise RuleError(f"Rule `{rule.id}`: {error}") from error


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
        ScreeningRule.objects.filter(pk__in=[row.pk for row in rows]).update(is_active=is_active)
        if rows:
            _note(by, before, {row.name: _known(row) for row in rows})
    return len(rows)


def _take_out(rows: Iterable[ScreeningRule]) -> None:
    ScreeningRule.objects.filter(pk__in=[row.pk for row in rows]).update(
        removed_at=timezone.now(), is_active=False
    )


def _note(by: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    made, gone = after.keys() - before.keys(), before.keys() - after.keys()
    changed = [name for name in after.keys() & before.keys() if after[name] != before[name]]
    said = [
        f"{len(names)} {what}" if len(names) > 1 else f"`{next(iter(names))}` {what}"
        for names, what in ((made, "made"), (changed, "changed"), (gone, "taken out"))
        if names
    ]
    RuleChange.objects.create(
        by=by, summary=(", ".join(said) or "nothing changed")[:200], before=dict(before), after=dict(after)
    )
    transaction.on_commit(forget)


def export(word_list: str | None = None) -> list[dict[str, Any]]:
    """Return the rules that are in force as JSON, in the form `rules.read` takes."""
    return [rules.as_json(as_rule(row)) for row in kept(word_list=word_list) if row.is_active]
