"""Typed placeholders for what the model must not see of the visitor's words: `[EMAIL_1]`, and back again.

They are numbered as the conversation goes and found anew from its messages each time; no map is stored.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, cast

from conversations.moderation.detectors import DETECTORS
from conversations.moderation.expressions import parse
from conversations.moderation.folding import fold
from conversations.moderation.ruleset import Finding, Ruleset

TEXT: Final = "TEXT"  # what a word or a pattern found
QUOTE: Final = "QUOTE"  # what looks like a placeholder, and was typed
_LABELS: Final = "|".join(sorted({TEXT, QUOTE, *(detector.label for detector in DETECTORS.values())}))
# Models escape the underscore, as it is Markdown; and write in lower case what they quote in lower case.
_SHAPE: Final = rf"\[ ?(?:{_LABELS}) ?\\?_ ?\d{{1,4}} ?\]"
_PLACEHOLDER: Final = re.compile(_SHAPE, re.ASCII | re.IGNORECASE)
_BEGUN: Final = re.compile(rf"(?!\Z)(?:{parse(_SHAPE).begun})\Z", re.ASCII | re.IGNORECASE)
_NOISE: Final = re.compile(r"[\[\] \\]")

REMEMBERED: Final = 1024  # texts of conversations that go on

Span = tuple[int, int, str, str]
"""From where to where, the label, and the value in one form."""

Passage = tuple[int, int, str]
"""From where to where in a message, and the placeholder that stands there."""


class Placeholders:
    """What is hidden of one conversation. Give it all visitor messages first, oldest first."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset: Final = ruleset
        self._names: Final[dict[tuple[str, str], str]] = {}
        self._originals: Final[dict[str, str]] = {}

    def hide(self, text: str) -> str:
        """Return a visitor's message as the model may see it; what is new in it gets its number."""
        return replaced(text, self.passages(text))

    def hide_known(self, text: str) -> str:
        """Return another message without what is already hidden, such as an answer that repeats it."""
        return replaced(text, self.known_passages(text))

    def passages(self, text: str) -> list[Passage]:
        """Return what to hide of a visitor's message; what is new in it gets its number."""
        return self._passages(text, learns=True)

    def known_passages(self, text: str) -> list[Passage]:
        """Return what to hide of another message: what was hidden before."""
        return self._passages(text, learns=False) if self._names else []

    @property
    def originals(self) -> dict[str, str]:
        """What each placeholder stands for, as the visitor wrote it first."""
        return dict(self._originals)

    @property
    def values(self) -> frozenset[str]:
        """The values that a gate may let out to this visitor, who knows them."""
        return frozenset(value for label, value in self._names if label not in {TEXT, QUOTE})

    def _passages(self, text: str, *, learns: bool) -> list[Passage]:
        passages: list[Passage] = []
        for start, end, label, value in _remembered(text, self._ruleset):
            name = self._names.get((label, value))
            if name is None and learns:
                name = self._named(label, value, text[start:end])
            if name is not None:
                passages.append((start, end, name))
        return passages

    def _named(self, label: str, value: str, original: str) -> str:
        number = 1 + sum(known == label for known, _ in self._names)
        name = self._names[label, value] = f"[{label}_{number}]"
        self._originals[name] = original
        return name


def replaced(text: str, passages: Iterable[Passage]) -> str:
    """Return a message with its passages replaced."""
    pieces: list[str] = []
    at = 0
    for start, end, name in passages:
        pieces += text[at:start], name
        at = end
    return "".join([*pieces, text[at:]])


class Restorer:
    """Puts the visitor's words back into a stream, also where a placeholder comes in pieces."""

    def __init__(self, originals: dict[str, str]) -> None:
        self._originals: Final = originals
        self._held = ""

    def feed(self, text: str) -> str:
        """Take a piece of the model's text, and return what is whole of it."""
        if not self._originals:
            return text
        text = self._held + text
        begun = _BEGUN.search(text, max(0, text.rfind("[")))
        cut = len(text) if begun is None else begun.start()
        self._held = text[cut:]
        return self._restored(text[:cut])

    def finish(self) -> str:
        """The text is whole: return the rest."""
        rest, self._held = self._held, ""
        return self._restored(rest)

    def _restored(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._original, text) if "[" in text else text

    def _original(self, found: re.Match[str]) -> str:
        return self._originals.get(f"[{_NOISE.sub('', found[0]).upper()}]", found[0])


def _remembered(text: str, ruleset: Ruleset) -> tuple[Span, ...]:
    """Return what is to be hidden of a text, searched once."""
    memory = cast("dict[str, tuple[Span, ...]]", ruleset.memory)
    spans = memory.get(text)
    if spans is None:
        if len(memory) >= REMEMBERED:
            memory.clear()
        spans = memory[text] = tuple(_spans(text, ruleset))
    return spans


def _spans(text: str, ruleset: Ruleset) -> Iterator[Span]:
    """Yield what is to be hidden, apart from each other: what overlaps is one."""
    typed = ((found.start(), found.end(), None) for found in _PLACEHOLDER.finditer(text))
    masks = (
        (finding.start, finding.end, finding)
        for finding in ruleset.screen(text, "input").findings
        if finding.rule.action == "mask"
    )
    group: list[tuple[int, int, Finding | None]] = []
    for each in sorted(chain(typed, masks), key=lambda found: (found[0], -found[1])):
        if group and each[0] >= max(end for _, end, _ in group):
            yield _joined(text, group)
            group = []
        group.append(each)
    if group:
        yield _joined(text, group)


def _joined(text: str, group: Iterable[tuple[int, int, Finding | None]]) -> Span:
    (start, end, finding), *others = group
    whole = max([end, *(other for _, other, _ in others)])
    value = fold(text[start:whole]).symbols
    if finding is None:
        return start, whole, QUOTE, text[start:whole]
    if finding.rule.kind != "detector":
        return start, whole, TEXT, value
    detector = DETECTORS[finding.rule.pattern]
    return start, whole, detector.label, (finding.value if whole == end else value)
