"""What a search in folded text says, and what every kind of search can do."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from conversations.moderation.rules import Rule


class Match(NamedTuple):
    """Where a rule was found, in symbols; `is_allowed` where an exception covers it; a detector's `value`."""

    start: int
    end: int
    rule: Rule
    is_allowed: bool = False
    value: str = ""


class Search(Protocol):
    """Rules of one kind, made ready. Texts are folded; what stands before `since` is context."""

    longest: int
    """How many symbols a match, and what must be seen beside it, can take."""

    def live(self, text: str, since: int) -> int:
        """Return the first place from `since` on where a match may still begin, or grow; else the text's end.

        A match that touches the end of the text counts as one that may grow.
        """

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        """Yield the longest match of each rule at each place from `since` to before `until`."""
