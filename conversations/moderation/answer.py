"""One answer on its way from the model to the visitor: put in the visitor's words, and screened."""

from collections.abc import Mapping
from typing import Final

from conversations.moderation.gate import Gate
from conversations.moderation.placeholders import Restorer
from conversations.moderation.ruleset import Finding, Ruleset


class AnswerGate:
    """Lets out of an answer what may be shown, as early as it may; see Gate.

    `guarded` are the rules in force and, on top of them, those that guard the prompt; `originals` are what
    placeholders stand for, `known` the values that this visitor has told.
    """

    def __init__(
        self,
        guarded: Ruleset,
        *,
        originals: Mapping[str, str] | None = None,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self._guarded = guarded
        self._restorer: Final = Restorer(dict(originals or {}))
        self._gate: Final = Gate(guarded, known=known)
        self._pieces: list[str] = []
        self._known: Final = known
        self._is_swapped = False
        self._is_open = False

    def feed(self, text: str) -> str:
        """Take a piece of the model's text, and return what may be shown now."""
        restored = self._restorer.feed(text)
        self._pieces.append(restored)
        return restored if self._is_open else self._gate.feed(restored)

    def finish(self) -> str:
        """The text is whole: return the rest of what may be shown."""
        rest = self._restorer.finish()
        self._pieces.append(rest)
        return rest if self._is_open else self._gate.feed(rest) + self._gate.finish()

    def open(self) -> str:
        """Screen no more; return what was held back."""
        self._is_open = True
        return self.original[self._gate.out :]

    def would_block(self, guarded: Ruleset) -> bool:
        """Say whether other rules withdraw what was written so far."""
        gate = Gate(guarded, known=self._known)
        gate.feed(self.original)
        return gate.is_blocked

    def swap(self, guarded: Ruleset) -> str:
        """Go on with other rules, by which what is out is judged as well; return what may be shown now."""
        self._guarded, self._is_swapped = guarded, True
        return self._gate.swap(guarded)

    @property
    def rules(self) -> Ruleset:
        """The rules in force when it was looked at last."""
        return self._guarded.base or self._guarded

    @property
    def original(self) -> str:
        """The answer as it was written so far, with the visitor's own words in it."""
        return "".join(self._pieces)

    @property
    def is_blocked(self) -> bool:
        """Whether the answer must be withdrawn; it lets nothing out any more."""
        return self._gate.is_blocked

    @property
    def is_overflown(self) -> bool:
        """Whether that is because more was held back than any rule may need."""
        return self._gate.blocked_by == "overflow"

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, by place in the original."""
        return self._gate.findings

    @property
    def text(self) -> str | None:
        """How what is out reads by rules that came in its midst; None where none came."""
        return self._gate.text if self._is_swapped else None
