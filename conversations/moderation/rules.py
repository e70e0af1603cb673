"""What is looked for, and its JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Kind = Literal["word", "phrase", "pattern", "detector"]
Action = Literal["block", "mask", "flag"]
Stage = Literal["input", "output", "review"]
Boundary = Literal["word", "none"]

STAGES: Final[frozenset[Stage]] = frozenset(get_args(Stage))
FIELDS: Final = {"id", "kind", "pattern", "action", "stages", "boundary", "spaced", "exceptions"}


class RuleError(ValueError):
    """A rule cannot be used; the message is one sentence for who wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One term, pattern or detector, and what happens where it is found.

    `boundary` `word`: a letter or digit next to it makes it another word. `spaced`: its letters are also
    found with blanks or dots between them. `exceptions` are longer texts in which it is allowed; those of a
    detector are values that are not meant, like the shop's own number.
    """

    id: str
    kind: Kind
    pattern: str
    action: Action
    stages: frozenset[Stage] = STAGES
    boundary: Boundary = "word"
    spaced: bool = False
    exceptions: tuple[str, ...] = ()


def read(rows: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Read the rows of a JSON file. Raises RuleError at what is no rule, and at an id used twice."""
    rules = [_read(row, place) for place, row in enumerate(rows, 1)]
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"Two rules are called `{rule.id}`.")
        seen.add(rule.id)
    return rules


def as_json(rule: Rule) -> dict[str, Any]:
    """Return what `read` reads again."""
    return {
        "id": rule.id,
        "kind": "pii" if rule.kind == "detector" else rule.kind,
        "pattern": rule.pattern,
        "action": rule.action,
        "stages": sorted(rule.stages),
        "boundary": rule.boundary,
        "spaced": rule.spaced,
        "exceptions": list(rule.exceptions),
    }


def _read(row: Mapping[str, Any], place: int) -> Rule:
    if not isinstance(row, Mapping):
        raise RuleError(f"Rule {place} is not an object.")
    name = row.get("id")
    if not isinstance(name, str) or not name:
        raise RuleError(f"Rule {place} has no `id`.")
    if unknown := sorted(row.keys() - FIELDS):
        raise RuleError(f"Rule `{name}` has a field `{unknown[0]}` that no rule has.")
    pattern = row.get("pattern")
    if not isinstance(pattern, str):
        raise RuleError(f"Rule `{name}` has no `pattern`.")
    kind: Kind = "detector" if row.get("kind") == "pii" else _one_of(row, "kind", get_args(Kind), None, name)
    spaced = row.get("spaced", kind == "word")
    if not isinstance(spaced, bool):
        raise RuleError(f"`spaced` of rule `{name}` is neither true nor false.")
    stages = _texts(row, "stages", sorted(STAGES), name)
    if not stages or not STAGES.issuperset(stages):
        raise RuleError(f"`stages` of rule `{name}` names other stages than {', '.join(sorted(STAGES))}.")
    return Rule(
        id=name,
        kind=kind,
        pattern=pattern,
        action=_one_of(row, "action", get_args(Action), None, name),
        stages=_ALL if STAGES.issubset(stages) else frozenset(stages),  # type: ignore[arg-type]  # checked above
        boundary=_one_of(row, "boundary", get_args(Boundary), "word", name),
        spaced=spaced,
        exceptions=tuple(_texts(row, "exceptions", [], name)),
    )


_ALL: Final = STAGES  # one object for 20,000 rules


def _one_of(
    row: Mapping[str, Any], field: str, known: tuple[str, ...], default: str | None, name: str
) -> Any:
    value = row.get(field, default)
    if value not in known:
        raise RuleError(f"`{field}` of rule `{name}` is not one of {', '.join(known)}.")
    return value


def _texts(row: Mapping[str, Any], field: str, default: list[Any], name: str) -> list[str]:
    value = row.get(field, default)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RuleError(f"`{field}` of rule `{name}` is not a list of texts.")
    return value
