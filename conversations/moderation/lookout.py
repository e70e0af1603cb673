"""Rules made ready to be looked for together, and where the search stands in one text."""

from collections.abc import Iterable
from typing import Final

from conversations.moderation.detection import Detection
from conversations.moderation.exceptions import Exceptions
from conversations.moderation.matches import Match, Search
from conversations.moderation.patterns import Patterns
from conversations.moderation.rules import Rule
from conversations.moderation.spaced import CONTEXT, Spaced
from conversations.moderation.words import Words


class Lookout:
    """Rules made ready, for any number of texts, and with them those of `base`, which are not made anew.

    `context` is how far it looks back, in symbols.
    """

    def __init__(self, rules: Iterable[Rule], base: "Lookout | None" = None) -> None:
        rules = tuple(rules)
        self.searches: Final[list[Search]] = list(base.searches) if base else []
        if words := [rule for rule in rules if rule.kind in {"word", "phrase"}]:
            self.searches.append(Words(words))
        if spaced := [rule for rule in words if rule.spaced]:
            self.searches.append(Spaced(spaced))
        if patterns := [rule for rule in rules if rule.kind == "pattern"]:
            self.searches.append(Patterns(patterns))
        if detectors := [rule for rule in rules if rule.kind == "detector"]:
            self.searches.append(Detection(detectors))
        self.exceptions: Final[Exceptions] = Exceptions(rules, base.exceptions if base else None)
        self.context: Final = max(CONTEXT, self.exceptions.longest)
        self.longest: Final = max((search.longest for search in self.searches), default=0) + self.context


class Watch:
    """One text being searched: what begins before `since` is decided."""

    __slots__ = ("_lookout", "_reach", "since")

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._reach: dict[str, int] = {}
        self.since = 0

    def search(self, text: str, *, is_whole: bool) -> list[Match]:
        """Return what is newly decided, by place, without what lies within another match of its rule."""
        since, lookout = self.since, self._lookout
        until = len(text)
        if not is_whole:
            for search in lookout.searches:
                until = min(until, search.live(text, since))
        if until == since:
            return []
        matches = [match for search in lookout.searches for match in search.matches(text, since, until)]
        if matches:
            if lookout.exceptions and not is_whole:
                until = min(
                    [until, *(each.start for each in matches if lookout.exceptions.may_cover(each, text))]
                )
            matches = self._decided(sorted(matches, key=_place), text, until)
        self.since = until
        return matches

    def forget(self, count: int) -> None:
        """Follow a text that lost its first symbols."""
        self.since -= count
        self._reach = {rule: end - count for rule, end in self._reach.items() if end > count}

    def _decided(self, matches: list[Match], text: str, until: int) -> list[Match]:
        decided = []
        for match in matches:
            name = match.rule.id
            if match.start < until and match.end > self._reach.get(name, 0):
                self._reach[name] = match.end
                if not match.is_allowed and not self._lookout.exceptions.covers(match, text):
                    decided.append(match)
        return decided


def _place(match: Match) -> tuple[int, int]:
    return match.start, -match.end
