"""Text as screening sees it, with the way back to the original.

Each character is folded by itself (`letters.folded`), so that cuts make no difference and nothing is held
back for their sake; only a character reference (`&#97;`) waits for its end. Signs of emphasis
are left out, and blanks in a row are one.
"""

from typing import Final

from conversations.moderation.letters import REMEMBERED, folded
from conversations.moderation.references import could_become_reference, reference

EMPHASIS: Final = frozenset("*~`")
EMPHASIS_RUN_MAX: Final = 3  # a longer run is a line or a fence, and parts words
_IRREGULAR: Final = "\0"


class _Symbols(dict[str, str]):
    """The folding of each character, found out once."""

    def __missing__(self, char: str) -> str:
        symbols = folded(char)
        if len(self) < REMEMBERED:
            self[char] = symbols
        return symbols


class _Regular(dict[int, str]):
    """For `str.translate`: the symbol of a character that is just one, else a mark that it is not."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        symbols = SYMBOLS[char]
        is_regular = len(symbols) == 1 and symbols not in EMPHASIS and char != "&"
        regular = symbols if is_regular else _IRREGULAR
        if len(self) < REMEMBERED:
            self[code] = regular
        return regular


SYMBOLS: Final = _Symbols()
_REGULAR: Final = _Regular()


class Folded:
    """A text that grows: its `symbols`, and for each where in the original it `starts` and `ends`.

    `size` counts the characters fed; `settled` of them are folded, the rest may begin a reference.
    """

    __slots__ = ("_blank", "_pending", "_run", "ends", "size", "starts", "symbols")

    def __init__(self) -> None:
        self.symbols = ""
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.size = 0
        self._pending = ""
        self._run = 0
        self._blank = False

    @property
    def settled(self) -> int:
        """How many characters are folded."""
        return self.size - len(self._pending)

    def feed(self, text: str) -> None:
        """Fold a piece more."""
        plain = text.translate(_REGULAR)
        if (
            _IRREGULAR in plain
            or "  " in plain
            or self._pending
            or not plain
            or (self._blank and plain[0] == " ")
        ):
            self._feed_slowly(text, is_last=False)
            return
        places = range(self.size, self.size + len(text))
        self.symbols += plain
        self.starts += places
        self.ends += range(places.start + 1, places.stop + 1)
        self.size = places.stop
        self._run = 0
        self._blank = plain[-1] == " "

    def finish(self) -> None:
        """There is no more: what began a reference is none."""
        self._feed_slowly("", is_last=True)

    def forget(self, count: int) -> None:
        """Drop the first symbols."""
        self.symbols = self.symbols[count:]
        del self.starts[:count]
        del self.ends[:count]

    def _feed_slowly(self, text: str, *, is_last: bool) -> None:
        base = self.settled
        text = self._pending + text
        self._pending = ""
        self.size = base + len(text)
        pieces: list[str] = []
        at = 0
        while at < len(text):
            char, end = text[at], at + 1
            symbols = SYMBOLS[char]
            if char == "&":
                if found := reference(text, at):
                    symbols, end = "".join(map(SYMBOLS.__getitem__, found[0])), found[1]
                elif not is_last and could_become_reference(text, at):
                    self._pending = text[at:]
                    break
            for symbol in symbols:
                if self._counts(symbol):
                    pieces.append(symbol)
                    self.starts.append(base + at)
                    self.ends.append(base + end)
            at = end
        self.symbols += "".join(pieces)

    def _counts(self, symbol: str) -> bool:
        if symbol in EMPHASIS:
            self._run += 1
            if self._run != EMPHASIS_RUN_MAX + 1:
                return False
            self._blank = False
            return True
        self._run = 0
        was_blank, self._blank = self._blank, symbol == " "
        return not (was_blank and self._blank)


def fold(text: str) -> Folded:
    """Fold a whole text."""
    whole = Folded()
    whole.feed(text)
    whole.finish()
    return whole
