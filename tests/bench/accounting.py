"""What one tab was shown of one answer: nothing lost, doubled, out of order, and how late."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.script import read_token


@dataclass(slots=True)
class Answer:
    """The shown text of one answer, put together by the rule for `at` (code points shown before)."""

    asked_us: int = 0
    length: int = 0
    gaps: int = 0
    overlaps: int = 0
    final: str | None = None
    status: str = ""
    pieces: list[tuple[int, str]] = field(default_factory=list)

    def add(self, at: int, text: str, received_us: int) -> None:
        """Append what is new in a delta; one that begins beyond what is shown is a gap."""
        if at > self.length:
            self.gaps += 1
        elif at < self.length:
            self.overlaps += 1
            text = text[self.length - at :]
        if text:
            self.pieces.append((received_us, text))
            self.length = max(self.length, at) + len(text)

    def replace(self, text: str, received_us: int) -> None:
        """Show the whole `text` of a snapshot; only what was not shown yet arrives now."""
        shown = self.text
        if text.startswith(shown):
            self.add(len(shown), text[len(shown) :], received_us)
        else:
            self.pieces, self.length = [(received_us, text)], len(text)

    @property
    def text(self) -> str:
        """Everything shown so far."""
        return "".join(text for _, text in self.pieces)


@dataclass(slots=True)
class Account:
    """Counts over any number of answers; `late_us` holds a number for each token that arrived."""

    answers: int = 0
    unfinished: int = 0
    tokens: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    garbled: int = 0
    gaps: int = 0
    unlike_stored: int = 0
    late_us: list[int] = field(default_factory=list)
    first_late_us: list[int] = field(default_factory=list)
    first_after_send_us: list[int] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How much went wrong; 0 in a sound run."""
        return (
            self.unfinished
            + self.lost
            + self.doubled
            + self.disordered
            + self.garbled
            + self.gaps
            + self.unlike_stored
        )

    def take(self, answer: Answer, expected: int, think_us: int) -> None:
        """Count one answer that should have had `expected` tokens after `think_us` of silence."""
        seen: set[int] = set()
        highest, tail, count = -1, "", 0
        for received_us, text in answer.pieces:
            *whole, tail = (tail + text).split(".")
            for part in whole:
                try:
                    number, sent_us = read_token(part.strip())
                except ValueError:
                    self.garbled += 1
                    continue
                count += 1
                self.disordered += number < highest
                highest = max(highest, number)
                if number in seen:
                    continue
                seen.add(number)
                self.late_us.append(received_us - sent_us)
                if number == 0:
                    self.first_late_us.append(received_us - sent_us)
                    self.first_after_send_us.append(received_us - answer.asked_us - think_us)
        self.answers += 1
        self.unfinished += answer.final is None
        self.unlike_stored += answer.final is not None and answer.final != answer.text
        self.tokens += count
        self.lost += expected - len(seen)
        self.doubled += count - len(seen)
        self.garbled += bool(tail.strip())
        self.gaps += answer.gaps


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; raises ValueError without values."""
    if not values:
        raise ValueError("No percentile of nothing.")
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]
