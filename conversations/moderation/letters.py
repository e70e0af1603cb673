"""What one character means to screening: how it is folded, and which others it makes a word with."""

import re
import unicodedata
from functools import cache
from typing import Final

import opencc

# Written without blanks: Han and kana, Thai and Lao, Myanmar, Khmer. For character classes of `re`.
UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b"
    "\u3040-\u30ff\u3100-\u312f\u3190-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)

# Default-ignorable characters that are not of category Cf, and blanks that look like nothing.
_UNSEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0"
    + "".join(
        chr(code)
        for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))
        for code in range(first, last + 1)
    )
)

# Marks that stay, by combining class: nukta, voicing, virama, and vowels of some scripts.
# All others (accents, points, tones) go, whatever they stand on: then no order of marks makes a difference.
_MARKS_KEPT: Final = {7, 8, 9, 84, 91, 103, 118, 129, 130, 132}

# Letters that look like Latin ones and have no decomposition, after case folding.
_LOOKALIKES: Final = {
    **dict(zip("авеіјкмнорсѕтухһԁԛԝѵӏ", "abeijkmhopcstyxhdqwvl", strict=True)),  # Cyrillic
    **dict(zip("αβγεηικνορτυχϲ", "abyenikvoptuxc", strict=True)),  # Greek
    **dict(zip("ɑɡıøłđħŧ", "agioldht", strict=True)),  # Latin
}

REMEMBERED: Final = 30_000  # characters; who sends all of Unicode shall not fill the memory
NONE, LETTER, SIGN = 0, 1, 2  # what stands beside a word: nothing of one, a letter or digit, an unspaced sign

_is_unspaced = re.compile(f"[{UNSPACED}]").match


class _Kinds(dict[str, int]):
    """Of which kind each symbol is, found out once."""

    def __missing__(self, symbol: str) -> int:
        is_part = symbol.isalnum() or unicodedata.category(symbol)[0] == "M"
        kind = NONE if not is_part else SIGN if _is_unspaced(symbol) else LETTER
        if len(self) < REMEMBERED:
            self[symbol] = kind
        return kind


KINDS: Final = _Kinds()


def are_joined(before: str, after: str) -> bool:
    """Whether two neighbours belong to one word: `ab`, `a1`, `中文`, but not `a中`."""
    kind = KINDS[before]
    return kind != NONE and kind == KINDS[after]


def is_border(symbols: str, at: int) -> bool:
    """Whether a word may begin or end at a place."""
    return not 0 < at < len(symbols) or not are_joined(symbols[at - 1], symbols[at])


def is_extended(last: str, following: str) -> bool:
    """Whether the symbol after a letter makes another letter of it: a Hangul vowel, a voicing mark."""
    return (
        last > "\u02ff"
        and ord(last) >> 8 == ord(following) >> 8
        and ("\u1160" <= following <= "\u11ff" or unicodedata.category(following)[0] == "M")
    )


@cache
def _simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def folded(char: str) -> str:
    """Return what a character is taken for: often itself, or several symbols, or nothing.

    Compatibility forms, case, accents, look-alikes and traditional characters are levelled; every blank is
    a space. It depends on nothing beside the character, so that a text can be folded as it comes.
    """
    decomposed = unicodedata.normalize("NFKD", char).casefold()
    return "".join(map(_symbol, unicodedata.normalize("NFKD", decomposed)))


def is_mark(char: str) -> bool:
    """Whether a character is drawn on the one before it and does not count."""
    return unicodedata.combining(char) not in {0, *_MARKS_KEPT}


def _symbol(char: str) -> str:
    if char.isspace() or char == "\u2800":
        return " "
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    if unicodedata.category(char) in {"Cf", "Cc"} or char in _UNSEEN or is_mark(char):
        return ""
    if char >= "\u2e80" and _is_unspaced(char):
        return str(_simplified().convert(char))
    return _LOOKALIKES.get(char, char)
