"""Longer texts in which a word is allowed: no Scunthorpe."""

from collections.abc import Iterable

from conversations.moderation.folding import fold
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule


class Exceptions:
    """The exceptions of some rules. Those of detectors are values, and not looked for here."""

    def __init__(self, rules: Iterable[Rule], base: "Exceptions | None" = None) -> None:
        self._texts: dict[str, tuple[str, ...]] = dict(base._texts) if base else {}
        self._texts |= {
            rule.id: tuple(fold(text).symbols for text in rule.exceptions)
            for rule in rules
            if rule.exceptions and rule.kind != "detector"
        }
        self.longest = max((len(each) for texts in self._texts.values() for each in texts), default=0)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def covers(self, match: Match, text: str) -> bool:
        """Whether a match lies in an exception of its rule."""
        return any(
            text.startswith(each, at)
            for each in self._texts.get(match.rule.id, ())
            for at in range(max(0, match.end - len(each)), match.start + 1)
        )

    def may_cover(self, match: Match, text: str) -> bool:
        """Whether it would, if the text went on in the right way."""
        return any(
            each.startswith(text[at:])
            for each in self._texts.get(match.rule.id, ())
            for at in range(max(0, match.end - len(each), len(text) - len(each) + 1), match.start + 1)
        )
