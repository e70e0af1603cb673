"""Many rules made ready, for all gates and texts of a process."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from conversations.moderation.folding import fold
from conversations.moderation.lookout import Lookout, Watch
from conversations.moderation.masking import Spans
from conversations.moderation.rules import STAGES, Rule, Stage

HELD_MIN: Final = 512  # blanks and invisible characters within a match are not counted as symbols


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a rule was found, in code points of the original text. It does not show what."""

    rule: Rule
    start: int
    end: int
    value: str = field(default="", repr=False, compare=False)
    """What a detector found, in one form; else empty."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What a whole text would do: findings by place, whether one blocks it, and how it reads when masked."""

    findings: tuple[Finding, ...]
    is_blocked: bool
    masked: str

    @property
    def is_masked(self) -> bool:
        """Whether a part of it reads otherwise."""
        return any(finding.rule.action == "mask" for finding in self.findings)


class StageRules:
    """The rules of one stage: those that hold text back, and those that only note.

    `held_max` is how many characters may be held back: what is longer is no match, only stuffed to look like
    the beginning of one.
    """

    def __init__(self, rules: Iterable[Rule], base: "StageRules | None" = None) -> None:
        rules = tuple(rules)
        holding = [rule for rule in rules if rule.action != "flag"]
        noting = [rule for rule in rules if rule.action == "flag"]
        self.holding: Final[Lookout] = Lookout(holding, base.holding if base else None)
        self.noting: Final[Lookout] = Lookout(noting, base.noting if base else None)
        self.context: Final = max(self.holding.context, self.noting.context)
        self.held_max: Final = max(HELD_MIN, 2 * self.holding.longest)


class Ruleset:
    """Rules made ready, each stage when it is first asked for. Rules must have passed `checking.check`.

    With a `base`, its rules hold as well: a few rules of one prompt version cost nothing beside many of all.
    Ids must differ.
    """

    def __init__(self, rules: Iterable[Rule], base: "Ruleset | None" = None) -> None:
        self.rules: Final = tuple(rules)
        self.base: Final = base
        self._combinations: Final = {rule.stages for rule in self.rules}
        self._ready: Final[dict[tuple[StageRules | None, frozenset[frozenset[Stage]]], StageRules]] = {}
        self._masked: Final = {stage for rule in self.rules if rule.action == "mask" for stage in rule.stages}
        self.memory: Final[dict[str, tuple[object, ...]]] = {}
        """For who asks of the same texts again, as each turn does of its conversation's."""

    def stage(self, stage: Stage) -> StageRules:
        """Return what is looked for at one stage. Stages with the same rules share them."""
        wanted = frozenset(stages for stages in self._combinations if stage in stages)
        base = self.base.stage(stage) if self.base else None
        if (ready := self._ready.get((base, wanted))) is None:
            ready = StageRules((rule for rule in self.rules if rule.stages in wanted), base)
            self._ready[base, wanted] = ready
        return ready

    def masks(self, stage: Stage) -> bool:
        """Say whether any rule masks at a stage."""
        return stage in self._masked or (self.base is not None and self.base.masks(stage))

    def prepare(self) -> "Ruleset":
        """Make all stages ready now, so that no visitor waits for it; returns itself."""
        for stage in STAGES:
            self.stage(stage)
        return self

    def screen(self, text: str, stage: Stage) -> Screening:
        """Search a whole text."""
        rules, whole = self.stage(stage), fold(text)
        spans, findings = Spans(), []
        for lookout in (rules.holding, rules.noting):
            for start, end, rule, _, value in Watch(lookout).search(whole.symbols, is_whole=True):
                finding = Finding(rule, whole.starts[start], whole.ends[end - 1], value)
                findings.append(finding)
                if rule.action == "mask":
                    spans.add(finding.start, finding.end)
        findings.sort(key=place)
        is_blocked = any(finding.rule.action == "block" for finding in findings)
        return Screening(tuple(findings), is_blocked, spans.masked(text, 0, len(text)))


def place(finding: Finding) -> tuple[int, int]:
    """Order findings as the text goes."""
    return finding.start, -finding.end
