"""What the scripted upstream is asked to say, and how each token says when it was sent.

A question is its own script, so the upstream keeps no state and any subject may stand between:

    bench tokens=300 rate=50 think_ms=200

Token 27 of the answer reads `bl-mkjcpgobh. `: its number and the microseconds of the monotonic clock,
which all processes of one machine share, when it was handed to the kernel. Both are written in
sixteen letters instead of digits, so that no rule takes them for a telephone or card number.
"""

import re
import time
from dataclasses import dataclass
from typing import Self

_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopabcdef")
_DIGITS = str.maketrans("ghijklmnop", "0123456789")
_QUESTION = re.compile(r"bench tokens=(\d+) rate=([\d.]+) think_ms=([\d.]+)")


def now_us() -> int:
    """Return the microseconds of the clock that all processes of this machine share."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class Script:
    """An answer of `tokens` tokens, `rate` a second, the first one after `think_ms`."""

    tokens: int
    rate: float
    think_ms: float = 0.0

    def question(self, remark: str = "") -> str:
        """Return the visitor's message that asks for this answer; `remark` makes it unlike others."""
        return f"bench tokens={self.tokens} rate={self.rate:g} think_ms={self.think_ms:g} {remark}".rstrip()

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the last script in `text`; raises ValueError when there is none."""
        found = _QUESTION.findall(text)
        if not found:
            raise ValueError(f"No script in {text[:80]!r}.")
        tokens, rate, think_ms = found[-1]
        return cls(int(tokens), float(rate), float(think_ms))

    @property
    def length_s(self) -> float:
        """How long the answer takes when nothing is in its way."""
        return self.think_ms / 1000 + max(self.tokens - 1, 0) / self.rate


def write_token(number: int, sent_us: int) -> str:
    """Return the text of token `number`, sent at `sent_us`."""
    return ("%x-%x. " % (number, sent_us)).translate(_LETTERS)  # noqa: UP031 (a third of the time of an f-string)


def read_token(text: str) -> tuple[int, int]:
    """Return number and send time of one token, given without its full stop; raises ValueError."""
    number, sent_us = text.translate(_DIGITS).split("-")
    return int(number, 16), int(sent_us, 16)
