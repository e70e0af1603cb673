"""Words whose letters stand apart: `j a c k p o t`, `j.a.c.k.p.o.t`, `博 彩`.

Of scripts with blanks between words every letter must stand alone, or `the rapist` would be one word.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from conversations.moderation.folding import fold
from conversations.moderation.letters import KINDS, LETTER, NONE, UNSPACED, is_border
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule
from conversations.moderation.words import Terms

GAP_MAX: Final = 3
_GAPS: Final = frozenset(" ._|/\\+·•・‧'–—-")
_GAP: Final = rf"[{re.escape(''.join(sorted(_GAPS)))}]{{0,{GAP_MAX}}}"
_LETTER: Final = rf"(?:(?!・)[{UNSPACED}]|(?<![^\W_{UNSPACED}])[^\W_{UNSPACED}](?![^\W_{UNSPACED}]))"
# Letters with gaps between them, and what may be a gap after them.
_RUN: Final = re.compile(rf"{_LETTER}(?:{_GAP}{_LETTER})*{_GAP}")
_HAS_GAP: Final = re.compile(rf"{_LETTER}{_GAP.replace('{0', '{1')}(?:{_LETTER}|\Z)")
# How far one must look back to know the letter before a place, and whether that stands alone.
CONTEXT: Final = GAP_MAX + 2


class Spaced:
    """The search for words that are spelled out."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        terms = [(letters_of(rule.pattern), rule) for rule in rules]
        terms = [(letters, rule) for letters, rule in terms if len(letters) > 1]
        self._bordered: Final = Terms(term for term in terms if term[1].boundary == "word")
        self._free: Final = Terms(term for term in terms if term[1].boundary == "none")
        most = max(self._bordered.longest, self._free.longest)
        self.longest = most * (GAP_MAX + 1) + CONTEXT

    def live(self, text: str, since: int) -> int:
        size = len(text)
        begin = max(since, size - self.longest, 0)
        if _HAS_GAP.search(text, max(0, begin - CONTEXT)) is None:
            return size
        for letters, places, end in _runs(text, begin):
            if end == size:
                return self._live_in(letters, places, since, size)
        return size

    def _live_in(self, letters: str, places: list[int], since: int, size: int) -> int:
        """Look through the run that reaches the end of the text."""
        # The last letter stands alone only so far: with another behind it, the run ends before it.
        is_open = places[-1] == size - 1 and KINDS[letters[-1]] == LETTER
        for at, place in enumerate(places):
            if place < since:
                continue
            if self._free and self._free.begins(letters, at):
                return place
            if not self._bordered or not is_border(letters, at):
                continue
            if self._bordered.begins(letters, at) or (is_open and letters[at:-1] in self._bordered):
                return place
        return size

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        if _HAS_GAP.search(text, max(0, since - CONTEXT)) is None:
            return
        for letters, places, _ in _runs(text, since, until):
            for terms in (self._bordered, self._free):
                for first, after, rule, *_ in terms.found(letters, 0, len(letters)):
                    start, end = places[first], places[after - 1] + 1
                    if not since <= start < until or end - start == after - first:
                        continue
                    if terms is self._free or (is_border(letters, first) and is_border(letters, after)):
                        yield Match(start, end, rule)


def letters_of(pattern: str) -> str:
    """Return the letters of a word as they stand in a run; none if it does not begin with one."""
    symbols = fold(pattern.strip()).symbols
    if not symbols or KINDS[symbols[0]] == NONE:
        return ""
    return "".join(symbol for symbol in symbols if symbol.isalnum())


def _runs(text: str, since: int, until: int | None = None) -> Iterator[tuple[str, list[int], int]]:
    """Yield the runs that touch a stretch: letters, where each stands, where the run ends."""
    for run in _RUN.finditer(text, max(0, since - CONTEXT)):
        if until is not None and run.start() >= until:
            return
        places = [at for at in range(run.start(), run.end()) if text[at] not in _GAPS]
        yield "".join(text[at] for at in places), places, run.end()
