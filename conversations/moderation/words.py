"""Words and phrases: one automaton, however many there are."""

from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick

from conversations.moderation.folding import fold
from conversations.moderation.letters import KINDS, NONE, is_border, is_extended
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule

HEAD: Final = 3  # symbols by which a term is known at a glance
FEW: Final = 32  # places that are quicker looked at one by one than given to the automaton


class Terms:
    """Texts to be found as they are, and whose they are."""

    def __init__(self, terms: Iterable[tuple[str, Rule]]) -> None:
        self._automaton: Final = ahocorasick.Automaton()
        self.longest = 0
        for term, rule in terms:
            length, rules = self._automaton.get(term, (len(term), ()))
            self._automaton.add_word(term, (length, (*rules, rule)))
            self.longest = max(self.longest, length)
        self._firsts: Final = frozenset(term[0] for term in self._automaton)
        self._size: Final = min([HEAD, *map(len, self._automaton)])
        self._heads: Final = frozenset(term[: self._size] for term in self._automaton)
        self._automaton.make_automaton()

    def __bool__(self) -> bool:
        return self.longest > 0

    def __contains__(self, text: str) -> bool:
        return bool(self._automaton.exists(text))

    def live(self, text: str, since: int, *, is_bordered: bool) -> int:
        """Return the first place from which on all that stands there begins a term; else the text's end."""
        begin = max(since, len(text) - self.longest)
        kind_before = KINDS[text[begin - 1]] if begin else NONE
        for at in range(begin, len(text)):
            symbol = text[at]
            kind = KINDS[symbol]
            is_border = kind != kind_before or kind == NONE
            if (is_border or not is_bordered) and symbol in self._firsts and self._automaton.match(text[at:]):
                return at
            kind_before = kind
        return len(text)

    def begins(self, text: str, at: int) -> bool:
        """Whether all that stands from `at` on is the beginning of a term, or one."""
        return text[at] in self._firsts and bool(self._automaton.match(text[at:]))

    def found(self, text: str, since: int, until: int) -> Iterator[Match]:
        """Yield every term that begins between two places, by its end."""
        if not self.longest or (until - since < FEW and not self._may_begin(text, since, until)):
            return
        # A piece, because the automaton copies what it is given.
        for last, (length, rules) in self._automaton.iter(text[since : until + self.longest]):
            end = since + last + 1
            if end - length < until:
                for rule in rules:
                    yield Match(end - length, end, rule)

    def _may_begin(self, text: str, since: int, until: int) -> bool:
        """Whether the first symbols of a term stand anywhere: a quick look that mostly says no."""
        heads, size = self._heads, self._size
        return any(text[at : at + size] in heads for at in range(since, until))


class Words:
    """The search for words and phrases."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        terms = [(fold(rule.pattern.strip()).symbols, rule) for rule in rules]
        self._bordered: Final = Terms(term for term in terms if term[1].boundary == "word")
        self._free: Final = Terms(term for term in terms if term[1].boundary == "none")
        self.longest = max(self._bordered.longest, self._free.longest) + 1

    def live(self, text: str, since: int) -> int:
        first = self._bordered.live(text, since, is_bordered=True) if self._bordered else len(text)
        return min(first, self._free.live(text, since, is_bordered=False)) if self._free else first

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        for terms in (self._bordered, self._free):
            for match in terms.found(text, since, until):
                start, end = match.start, match.end
                if end < len(text) and is_extended(text[end - 1], text[end]):
                    continue
                if terms is self._free or (is_border(text, start) and is_border(text, end)):
                    yield match
