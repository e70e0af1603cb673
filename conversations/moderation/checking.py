"""What is asked of a rule before it is saved."""

from typing import Final

from conversations.moderation.detectors import DETECTORS
from conversations.moderation.expressions import parse
from conversations.moderation.folding import EMPHASIS, fold
from conversations.moderation.patterns import compiled, folded_pattern
from conversations.moderation.rules import Rule, RuleError

LENGTH_MAX: Final = (
    200  # symbols a match may take: as much of an answer is held back while it could become one
)


def check(rule: Rule) -> None:
    """Raise RuleError, with one sentence for who wrote it, if the rule cannot be used as it is."""
    if rule.kind == "detector":
        if rule.pattern not in DETECTORS:
            raise RuleError(f"There is no detector `{rule.pattern}`, only {', '.join(DETECTORS)}.")
    elif rule.kind == "pattern":
        _check_pattern(rule.pattern)
    else:
        _check_term(rule.pattern, "The term")
    for text in rule.exceptions:
        _check_term(text, "An exception")
        if rule.kind in {"word", "phrase"} and _symbols(rule.pattern) not in _symbols(text):
            raise RuleError(f"The exception `{text}` does not contain the term, so it would change nothing.")
    if not rule.stages:
        raise RuleError("The rule is for no stage, so it would never be asked.")


def _check_term(text: str, what: str) -> None:
    symbols = _symbols(text)
    if not symbols:
        raise RuleError(f"{what} is empty, or consists of nothing that can be seen.")
    if len(symbols) > LENGTH_MAX:
        raise RuleError(f"{what} is {len(symbols)} characters long; {LENGTH_MAX} are possible.")


def _check_pattern(pattern: str) -> None:
    if not pattern:
        raise RuleError("The pattern is empty.")
    expression = parse(folded_pattern(pattern))
    compiled(expression.source)
    compiled(expression.begun)
    if expression.longest is None:
        raise RuleError(
            "The pattern has matches of any length; put a limit to `*`, `+` and `{n,}`, as in `{0,20}`."
        )
    if expression.longest > LENGTH_MAX:
        raise RuleError(
            f"The pattern's longest match has {expression.longest} characters; {LENGTH_MAX} are possible."
        )
    if expression.shortest == 0:
        raise RuleError("The pattern matches the empty text, so it would be found everywhere.")
    for sign in sorted(EMPHASIS):
        if f"\\{sign}" in pattern:
            raise RuleError(f"The pattern asks for `{sign}`, which is left out of what is searched.")


def _symbols(text: str) -> str:
    return fold(text.strip()).symbols.strip()
