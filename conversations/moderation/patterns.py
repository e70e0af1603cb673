"""Patterns of staff, run by RE2: in time linear in the text, whatever the pattern."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import re2

from conversations.moderation.expressions import CLASS, parse
from conversations.moderation.folding import SYMBOLS
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule, RuleError

GROUP: Final = 32  # patterns that are tried as one
_RANGE: Final = re.compile(r"([^\[\\])-([^\]\\])")
MEMORY_BYTES: Final = 64 << 20  # for each compiled program, most of it only if needed


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.longest_match = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    return options


class Patterns:
    """The search for patterns."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: Final = tuple(rules)
        expressions = [parse(folded_pattern(rule.pattern)) for rule in self._rules]
        self._whole: Final = [compiled(expression.source) for expression in expressions]
        self._any: Final = _joined([expression.source for expression in expressions], "")
        self._begun: Final = _joined([expression.begun for expression in expressions], r"\z")
        self.longest = max((each.longest or 0 for each in expressions), default=0) + 1

    def live(self, text: str, since: int) -> int:
        size = len(text)
        # One symbol before, for `\b`.
        cut = max(since, size - self.longest)
        before = max(0, cut - 1)
        tail = text[before:]
        first = size
        for begun in self._begun:
            if (found := begun.search(tail, cut - before)) is not None:
                first = min(first, before + found.start())
        return first

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        before = max(0, since - 1)
        window = text[before : until + self.longest]
        for group, whole in enumerate(self._any):
            if whole.search(window, since - before) is None:
                continue
            for at in range(group * GROUP, min((group + 1) * GROUP, len(self._rules))):
                for start, end in _overlapping(self._whole[at], window, since - before, until - before):
                    yield Match(before + start, before + end, self._rules[at])


def _overlapping(whole: re2._Regexp, text: str, since: int, until: int) -> Iterator[tuple[int, int]]:
    while since < until and (found := whole.search(text, since)) is not None and found.start() < until:
        yield found.span()
        since = found.start() + 1


def _joined(sources: Sequence[str], end: str) -> list[re2._Regexp]:
    groups = [sources[at : at + GROUP] for at in range(0, len(sources), GROUP)]
    return [compiled(f"(?:{'|'.join(f'(?:{source})' for source in group)}){end}") for group in groups]


def compiled(source: str) -> re2._Regexp:
    """Compile with RE2. Raises RuleError with its reason."""
    try:
        return re2.compile(source, _options())
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise RuleError(f"The pattern cannot be used: {reason}.") from error


def folded_pattern(pattern: str) -> str:
    """Return a pattern that is matched against folded text: its letters folded, its signs as they are.

    Raises RuleError for a range whose ends folding moves: `[а-я]` would become one from a Latin letter on.
    """
    for each in CLASS.finditer(pattern):
        for found in _RANGE.finditer(each[0]):
            if any(_folded(end) != end for end in found.groups()):
                raise RuleError(
                    f"The range `{found[0]}` ends with letters that are read as other ones; try `\\pL`."
                )
    return "".join(_folded(char) for char in pattern)


def _folded(char: str) -> str:
    symbols = SYMBOLS[char]
    return symbols if not char.isascii() and len(symbols) == 1 and symbols.isalnum() else char
