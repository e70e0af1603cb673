"""Parts of a text that must not be read, and what stands in their place."""

from typing import Final

from conversations.moderation.letters import is_mark

MASK: Final = "▮▮▮"  # always three: how long the text was is nobody's business


class Spans:
    """The masked parts of a text that is let out from its beginning to its end, piece by piece.

    Parts that touch are one, and an accent behind a part belongs to it, so that cuts make no difference.
    """

    __slots__ = ("_end", "_spans")

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._end = -1  # of the part whose mask was written last

    def add(self, start: int, end: int) -> None:
        """Mask a part more. It begins where nothing was let out yet, or later."""
        self._spans.append((start, end))

    def masked(self, text: str, start: int, stop: int) -> str:
        """Return how `text`, which stands from `start` on, reads up to `stop`. Ask for pieces in order."""
        if not self._spans and self._end < start:
            return text[: stop - start]
        pieces: list[str] = []
        at = start
        spans = sorted(self._spans)
        for first, end in spans:
            if first >= stop:
                break
            at = self._plain(pieces, text, start, at, first)
            if first > self._end:
                pieces.append(MASK)
            self._end = max(self._end, end)
        self._plain(pieces, text, start, at, stop)
        self._spans = [span for span in spans if span[0] >= stop]
        return "".join(pieces)

    def _plain(self, pieces: list[str], text: str, start: int, at: int, until: int) -> int:
        at = max(at, self._end)
        while at == self._end and at < until and is_mark(text[at - start]):
            at = self._end = at + 1
        if at < until:
            pieces.append(text[at - start : until - start])
        return max(at, until)
