"""Texts cut where something was found in them, for pages to mark it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from conversations.moderation.masking import MASK

_BEFORE_CHARS, _AFTER_CHARS = 24, 80  # what is found has to stand on a narrow line


@dataclass(frozen=True, slots=True)
class Passage:
    """From where to where, and what a reader is told of it; `is_secret`: only that there is something."""

    start: int
    end: int
    label: str = ""
    is_secret: bool = False
    is_chosen: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; `kind` is `hit`, `other` (another finding), `secret` or empty."""

    text: str
    kind: str = ""
    label: str = ""


def pieces(text: str, passages: Iterable[Passage]) -> list[Piece]:
    """Return the whole text, cut at its passages; where they overlap the chosen and the secret count."""
    size = len(text)
    several = [each for each in passages if each.start < min(each.end, size)]
    edges = {0, size, *(each.start for each in several), *(min(each.end, size) for each in several)}
    found: list[Piece] = []
    for start, end in pairwise(sorted(edges)):
        over = [each for each in several if each.start <= start and end <= each.end]
        found.append(_piece(text[start:end], over))
    return _joined(found)


def _piece(text: str, over: Sequence[Passage]) -> Piece:
    if not over:
        return Piece(text)
    labels = ", ".join(dict.fromkeys(each.label for each in over if each.label))
    if any(each.is_secret for each in over):
        return Piece(MASK, "secret", labels)
    return Piece(text, "hit" if any(each.is_chosen for each in over) else "other", labels)


def _joined(found: Iterable[Piece]) -> list[Piece]:
    """Let neighbours of one kind be one, so that a secret does not tell its parts."""
    whole: list[Piece] = []
    for piece in found:
        last = whole[-1] if whole else None
        if last is not None and last.kind == piece.kind == "secret":
            continue
        if last is not None and (last.kind, last.label) == (piece.kind, piece.label):
            whole[-1] = Piece(last.text + piece.text, piece.kind, piece.label)
        else:
            whole.append(piece)
    return whole


def excerpt(text: str, passages: Iterable[Passage]) -> list[Piece]:
    """Return the chosen passage with what stands beside it; the beginning where there is none."""
    several = list(passages)
    chosen = next((each for each in several if each.is_chosen and each.start < each.end), None)
    start, end = (0, 0) if chosen is None else (chosen.start, chosen.end)
    since, until = max(0, start - _BEFORE_CHARS), min(len(text), end + _AFTER_CHARS)
    near = [
        replace(each, start=max(each.start, since) - since, end=min(each.end, until) - since)
        for each in several
        if each.end > since and each.start < until
    ]
    found = [replace(piece, text=_flat(piece.text)) for piece in pieces(text[since:until], near)]
    return [
        *([Piece("…")] if since else []),
        *(replace(piece, text=_end(piece.text, 2 * _AFTER_CHARS)) for piece in found),
        *([Piece("…")] if until < len(text) else []),
    ]


def _flat(text: str) -> str:
    return "".join(" " if char.isspace() else char for char in text)


def _end(text: str, length: int) -> str:
    return f"{text[:length].rstrip()}…" if len(text) > length else text
