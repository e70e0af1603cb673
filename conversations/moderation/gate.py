"""One stream on its way out: what may be shown, as early as it may."""

from bisect import insort
from typing import Final, Literal, assert_never

from conversations.moderation.folding import Folded
from conversations.moderation.lookout import Watch
from conversations.moderation.masking import Spans
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule, Stage
from conversations.moderation.ruleset import Finding, Ruleset, place

KEPT_SYMBOLS: Final = 500  # folded text is dropped when this much of it is decided


class Gate:
    """Lets a text through without any part of a match that blocks or is masked.

    Only the longest tail is held back that could still become one. `findings` are all so far, by place. A
    gate that `is_blocked` lets nothing out any more: `blocked_by` is the rule, or `overflow` if more was
    held back than any rule may need. `known` are the values of detectors that this visitor knows: they pass.
    """

    def __init__(
        self, ruleset: Ruleset, stage: Stage = "output", *, known: frozenset[str] = frozenset()
    ) -> None:
        self._known: Final = known
        self._stage: Final[Stage] = stage
        self._fed: list[str] = []
        self._tail = ""  # what was fed and is not out
        self._out = 0  # how many characters are
        self.blocked_by: Rule | Literal["overflow"] | None = None
        self._begin(ruleset)

    @property
    def is_blocked(self) -> bool:
        """Whether the answer must be withdrawn."""
        return self.blocked_by is not None

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._tail)

    @property
    def out(self) -> int:
        """How many characters of what was fed are out, or stand masked."""
        return self._out

    @property
    def text(self) -> str:
        """What is out, as the present rules let it out: after a `swap`, more may be masked than was shown."""
        spans = Spans()
        for finding in self.findings:
            if finding.rule.action == "mask":
                spans.add(finding.start, finding.end)
        return spans.masked("".join(self._fed), 0, self._out)

    def feed(self, text: str) -> str:
        """Take a piece of the text, and return what may be shown now."""
        if self.blocked_by is not None or not text:
            return ""
        self._fed.append(text)
        if not self._watches:
            self._out += len(text)
            return text
        self._tail += text
        self._folded.feed(text)
        return self._let_out(is_whole=False)

    def finish(self) -> str:
        """The text is whole: return the rest of what may be shown."""
        if self.blocked_by is not None or not self._watches:
            return ""
        self._folded.finish()
        return self._let_out(is_whole=True)

    def swap(self, ruleset: Ruleset) -> str:
        """Go on with other rules, by which what is out is judged as well; return what may be shown now."""
        if self.blocked_by is not None:
            return ""
        self._begin(ruleset)
        self._folded.feed("".join(self._fed))
        return self._let_out(is_whole=False)

    def _begin(self, ruleset: Ruleset) -> None:
        rules = ruleset.stage(self._stage)
        self.findings: list[Finding] = []
        self._held_max = rules.held_max
        self._context = rules.context
        self._held = Watch(rules.holding) if rules.holding.searches else None
        noted = Watch(rules.noting) if rules.noting.searches else None
        self._watches = [watch for watch in (self._held, noted) if watch is not None]
        self._folded = Folded()
        self._spans = Spans()

    def _let_out(self, *, is_whole: bool) -> str:
        limit = max(self._out, self._search(is_whole=is_whole))
        if limit > self._out:
            shown = self._spans.masked(self._tail, self._out, limit)
            self._tail = self._tail[limit - self._out :]
            self._out = limit
        else:
            shown = ""
        if len(self._tail) > self._held_max and self.blocked_by is None:
            self.blocked_by = "overflow"
        if self.blocked_by is not None:
            self._tail = ""
        return shown

    def _search(self, *, is_whole: bool) -> int:
        """Search what is new, and return up to where the text is decided."""
        folded, first_blocked = self._folded, self._folded.size
        for watch in self._watches:
            if matches := watch.search(folded.symbols, is_whole=is_whole):
                for match in matches:
                    if match.value in self._known:
                        continue
                    first_blocked = min(first_blocked, self._found(match))
        limit = folded.size if self._held is None else folded.settled
        if self._held is not None and self._held.since < len(folded.starts):
            limit = folded.starts[self._held.since]
        decided = min((watch.since for watch in self._watches), default=0) - self._context
        if decided > KEPT_SYMBOLS:
            folded.forget(decided)
            for watch in self._watches:
                watch.forget(decided)
        return min(limit, first_blocked)

    def _found(self, found: Match) -> int:
        """Note a match; return where the text ends because of it."""
        start, end = self._folded.starts[found.start], self._folded.ends[found.end - 1]
        insort(self.findings, Finding(found.rule, start, end, found.value), key=place)
        match found.rule.action:
            case "block":
                if self.blocked_by is None:
                    self.blocked_by = found.rule
                return start
            case "mask":
                if end > self._out:
                    self._spans.add(start, end)
            case "flag":
                pass
            case never:
                assert_never(never)
        return self._folded.size
