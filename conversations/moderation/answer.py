"""One answer on its way from the model to the visitor: put in the visitor's words, and screened."""

from collections.abc import Mapping
from typing import Final

from conversations.moderation.gate import Gate
from conversations.moderation.placeholders import Restorer
from conversations.moderation.ruleset import Finding, Ruleset, place


class AnswerGate:
    """Lets out of an answer what may be shown, as early as it may; see Gate.

    `rules` are those in force, `guard` those of the prompt, which only block; `originals` are what
    placeholders stand for, `known` the values that this visitor has told.
    """

    def __init__(
        self,
        rules: Ruleset,
        guard: Ruleset,
        *,
        originals: Mapping[str, str] | None = None,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self.rules = rules
        self._restorer: Final = Restorer(dict(originals or {}))
        self._guard: Final = Gate(guard)
        self._gate: Final = Gate(rules, known=known)
        self._pieces: list[str] = []
        self._known: Final = known
        self._is_swapped = False
        self._is_open = False

    def feed(self, text: str) -> str:
        """Take a piece of the model's text, and return what may be shown now."""
        restored = self._restorer.feed(text)
        self._pieces.append(restored)
        if self._is_open:
            return restored
        return self._gate.feed(self._guard.feed(restored))

    def finish(self) -> str:
        """The text is whole: return the rest of what may be shown."""
        rest = self._restorer.finish()
        self._pieces.append(rest)
        if self._is_open:
            return rest
        rest = self._guard.feed(rest) + self._guard.finish()
        if self._guard.is_blocked:
            return ""
        return self._gate.feed(rest) + self._gate.finish()

    def open(self) -> str:
        """Screen no more; return what was held back."""
        self._is_open = True
        return self.original[self._gate.out :]

    def would_block(self, rules: Ruleset) -> bool:
        """Say whether other rules withdraw what was written so far."""
        gate = Gate(rules, known=self._known)
        gate.feed(self.original)
        return gate.is_blocked

    def swap(self, rules: Ruleset) -> str:
        """Go on with other rules, by which what is out is judged as well; return what may be shown now."""
        self.rules, self._is_swapped = rules, True
        return self._gate.swap(rules)

    @property
    def original(self) -> str:
        """The answer as it was written so far, with the visitor's own words in it."""
        return "".join(self._pieces)

    @property
    def is_blocked(self) -> bool:
        """Whether the answer must be withdrawn; it lets nothing out any more."""
        return self._guard.is_blocked or self._gate.is_blocked

    @property
    def is_overflown(self) -> bool:
        """Whether that is because more was held back than any rule may need."""
        return "overflow" in (self._guard.blocked_by, self._gate.blocked_by)

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, by place in the original."""
        return sorted([*self._guard.findings, *self._gate.findings], key=place)

    @property
    def text(self) -> str | None:
        """How what is out reads by rules that came in its midst; None where none came."""
        return self._gate.text if self._is_swapped else None
