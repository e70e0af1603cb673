"""Patterns taken apart: how long their matches are, and what a match looks like that has only begun.

What is understood is the common ground of RE2 and `re`: characters, classes, groups, alternatives,
repetitions and `\\b`. Source: https://github.com/google/re2/wiki/Syntax
"""

import re
from dataclasses import dataclass
from typing import Final

from conversations.moderation.rules import RuleError

REPEAT_MAX: Final = 1000  # RE2's own limit
DEPTH_MAX: Final = 20
_QUANTIFIER: Final = re.compile(r"\*|\+|\?|\{(\d{1,4})(,(\d{0,4}))?\}")
_ESCAPE: Final = re.compile(
    r"\\(?:[dDwWsSbB]|[pP](?:[A-Z]|\{\^?\w+\})|x(?:[0-9a-fA-F]{2}|\{[0-9a-fA-F]{1,6}\})|[tnrfv]|[^\w\s])",
    re.ASCII,
)
CLASS: Final = re.compile(
    r"\[\^?\]?(?:\[:\^?\w+:\]|\\[pP]\{\^?\w+\}|\\x\{[0-9a-fA-F]+\}|\\.|[^\]\\])*\]", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A part of a pattern: its source, the same only begun, and how many symbols it takes (None: any)."""

    source: str
    begun: str
    longest: int | None
    shortest: int


_NOTHING: Final = Expression("", "", 0, 0)


def parse(pattern: str) -> Expression:
    """Take a pattern apart. Raises RuleError with a sentence about what is not understood."""
    parser = _Parser(pattern)
    whole = parser.alternatives(depth=0)
    if parser.at < len(pattern):
        raise RuleError("The pattern closes a group that it never opened.")
    return whole


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def alternatives(self, *, depth: int) -> Expression:
        if depth > DEPTH_MAX:
            raise RuleError(f"The pattern has groups more than {DEPTH_MAX} deep.")
        branches = [self._sequence(depth)]
        while self._next() == "|":
            self.at += 1
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        lengths = [branch.longest for branch in branches]
        return Expression(
            _group("|".join(branch.source for branch in branches)),
            _group("|".join(branch.begun for branch in branches)),
            None if None in lengths else max(length or 0 for length in lengths),
            min(branch.shortest for branch in branches),
        )

    def _sequence(self, depth: int) -> Expression:
        parts: list[Expression] = []
        while self._next() not in {"", "|", ")"}:
            parts.append(self._repeated(self._one(depth)))
        if not parts:
            return _NOTHING
        begun = parts[-1].begun
        for part in reversed(parts[:-1]):
            begun = _group(f"{part.begun}|{part.source}{begun}")
        lengths = [part.longest for part in parts]
        return Expression(
            "".join(part.source for part in parts),
            begun,
            None if None in lengths else sum(length or 0 for length in lengths),
            sum(part.shortest for part in parts),
        )

    def _one(self, depth: int) -> Expression:
        match self._next():
            case "(":
                return self._bracketed(depth)
            case "[":
                found = CLASS.match(self.pattern, self.at)
                if found is None:
                    raise RuleError("The pattern has a `[` without its `]`.")
                return self._symbol(found[0])
            case "\\":
                found = _ESCAPE.match(self.pattern, self.at)
                if found is None:
                    shown = self.pattern[self.at : self.at + 2]
                    raise RuleError(f"`{shown}` in the pattern is not supported.")
                if found[0] in {"\\b", "\\B"}:
                    self.at = found.end()
                    return Expression(found[0], "", 0, 0)
                return self._symbol(found[0])
            case "^" | "$" as anchor:
                raise RuleError(
                    f"`{anchor}` is not supported: a stream has no lines; `\\b` is a word's border."
                )
            case "*" | "+" | "?" as sign:
                raise RuleError(f"There is nothing that `{sign}` in the pattern could repeat.")
            case char:
                return self._symbol(char)

    def _symbol(self, source: str) -> Expression:
        self.at += len(source)
        return Expression(source, f"{source}?", 1, 1)

    def _bracketed(self, depth: int) -> Expression:
        self.at += 1
        if self._next() == "?":
            if not self.pattern.startswith("?:", self.at):
                shown = self.pattern[self.at - 1 : self.at + 2]
                raise RuleError(f"`{shown}` in the pattern is not supported; groups are `(…)` or `(?:…)`.")
            self.at += 2
        inner = self.alternatives(depth=depth + 1)
        if self._next() != ")":
            raise RuleError("The pattern opens a group that it never closes.")
        self.at += 1
        return Expression(_group(inner.source), inner.begun, inner.longest, inner.shortest)

    def _repeated(self, one: Expression) -> Expression:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None:
            return one
        self.at = found.end()
        if self._next() in {"?", "+", "*"} or _QUANTIFIER.match(self.pattern, self.at):
            raise RuleError(
                f"`{found[0]}{self._next()}` in the pattern is not supported: the longest match counts."
            )
        least, most = _bounds(found)
        if most is not None and (least > most or most > REPEAT_MAX):
            raise RuleError(f"`{found[0]}` in the pattern is not a range up to {REPEAT_MAX}.")
        longest = None if one.longest is None or (most is None and one.longest) else one.longest * (most or 0)
        before = "*" if most is None else f"{{0,{most - 1}}}" if most else "{0}"
        return Expression(
            f"{one.source}{found[0]}", f"{one.source}{before}{one.begun}", longest, one.shortest * least
        )


def _bounds(quantifier: re.Match[str]) -> tuple[int, int | None]:
    match quantifier[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case _:
            least = int(quantifier[1])
            return least, int(quantifier[3]) if quantifier[3] else None if quantifier[2] else least


def _group(source: str) -> str:
    return f"(?:{source})"
