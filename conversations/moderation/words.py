"""Words and phrases: one automaton, however many there are."""

from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick

from conversations.moderation.folding import fold
from conversations.moderation.letters import are_joined, is_extended
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule


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
        self._automaton.make_automaton()

    def __bool__(self) -> bool:
        return self.longest > 0

    def __contains__(self, text: str) -> bool:
        return bool(self._automaton.exists(text))

    def begins(self, text: str, at: int) -> bool:
        """Whether all that stands from `at` on is the beginning of a term, or one."""
        return text[at] in self._firsts and bool(self._automaton.match(text[at:]))

    def found(self, text: str, since: int, until: int) -> Iterator[Match]:
        """Yield every term that lies between two places, by its end."""
        if self.longest:
            # A piece, because the automaton copies what it is given.
            for last, (length, rules) in self._automaton.iter(text[since:until]):
                end = since + last + 1
                for rule in rules:
                    yield Match(end - length, end, rule)


class Words:
    """The search for words and phrases."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        terms = [(fold(rule.pattern.strip()).symbols, rule) for rule in rules]
        self._bordered: Final = Terms(term for term in terms if term[1].boundary == "word")
        self._free: Final = Terms(term for term in terms if term[1].boundary == "none")
        self.longest = max(self._bordered.longest, self._free.longest) + 1

    def live(self, text: str, since: int) -> int:
        size = len(text)
        bordered, free = self._bordered, self._free
        first = size
        if bordered:
            for at in range(max(since, size - bordered.longest), size):
                if bordered.begins(text, at) and _is_border(text, at):
                    first = at
                    break
        if free:
            for at in range(max(since, size - free.longest), first):
                if free.begins(text, at):
                    return at
        return first

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        for terms in (self._bordered, self._free):
            for match in terms.found(text, since, min(len(text), until + terms.longest)):
                start, end = match.start, match.end
                if start >= until or (end < len(text) and is_extended(text[end - 1], text[end])):
                    continue
                if terms is self._free or (_is_border(text, start) and _is_border(text, end)):
                    yield match


def _is_border(text: str, at: int) -> bool:
    return not 0 < at < len(text) or not are_joined(text[at - 1], text[at])
