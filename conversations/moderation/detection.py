"""The search for personal data."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from conversations.moderation.detectors import DETECTORS, Detector
from conversations.moderation.expressions import parse
from conversations.moderation.folding import fold
from conversations.moderation.matches import Match
from conversations.moderation.rules import Rule


class Made(NamedTuple):
    """A detector made ready."""

    detector: Detector
    looks: re.Pattern[str]
    begun: str
    longest: int
    shortest: int


def _made(detector: Detector) -> Made:
    expression = parse(detector.looks)
    before = f"(?<![{detector.beside}])"
    return Made(
        detector,
        re.compile(before + expression.source, re.ASCII),
        before + expression.begun,
        expression.longest or 0,
        expression.shortest,
    )


MADE: Final = {name: _made(detector) for name, detector in DETECTORS.items()}


# What all of them begin with, and what all of them have in them.
_MAY_BEGIN: Final = re.compile("[!-~]")
_PART_OF_ALL: Final = re.compile("[0-9@]")


class Detection:
    """The search for everything that some rules' detectors know."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: Final = tuple((rule, MADE[rule.pattern], _Allowed(rule)) for rule in rules)
        made = list({id(each): each for _, each, _ in self._rules}.values())
        self.longest = max((each.longest for each in made), default=0) + 1
        self._any: Final = re.compile("|".join(each.looks.pattern for each in made), re.ASCII)
        # `(?!\Z)`: not the empty text, which is the beginning of everything.
        self._begun: Final = re.compile(rf"(?!\Z)(?:{'|'.join(each.begun for each in made)})\Z", re.ASCII)

    def live(self, text: str, since: int) -> int:
        if _MAY_BEGIN.search(text, since) is None:
            return len(text)
        found = self._begun.search(text, max(since, len(text) - self.longest))
        return len(text) if found is None else found.start()

    def matches(self, text: str, since: int, until: int) -> Iterator[Match]:
        if _PART_OF_ALL.search(text, since) is None:
            return
        first = self._any.search(text, since)
        if first is None or first.start() >= until:
            return
        for rule, made, allowed in self._rules:
            for start, end, value in spans(made, text, first.start(), until):
                yield Match(start, end, rule, value in allowed, value)


def spans(made: Made, text: str, since: int, until: int) -> Iterator[tuple[int, int, str]]:
    """Yield the longest at each place from `since` to before `until`, each with its value."""
    detector, looks = made.detector, made.looks
    while (candidate := looks.search(text, since)) is not None and candidate.start() < until:
        start = candidate.start()
        for end in range(candidate.end(), start + made.shortest - 1, -1):
            if end < len(text) and text[end] in _BESIDE[detector.beside] and not detector.is_open_ended:
                continue
            if looks.fullmatch(text, start, end) and (value := detector.value(text[start:end])) is not None:
                yield start, end, value
                break
        since = start + 1


_BESIDE: Final = {
    beside: frozenset(symbol for symbol in map(chr, range(128)) if re.match(f"[{beside}]", symbol))
    for beside in {detector.beside for detector in DETECTORS.values()}
}


class _Allowed:
    """The values that a rule's exceptions name; `@shop.example` names all addresses there."""

    def __init__(self, rule: Rule) -> None:
        texts = [fold(text).symbols.strip() for text in rule.exceptions]
        value = DETECTORS[rule.pattern].value
        self._domains: Final = tuple(text for text in texts if text.startswith("@"))
        self._values: Final = frozenset(value(text) or text for text in texts)

    def __contains__(self, value: str) -> bool:
        return value in self._values or value.endswith(self._domains)
