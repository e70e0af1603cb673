"""Rules of every kind, and the pieces that random texts are made of."""

from itertools import pairwise

from hypothesis import strategies as st

from conversations.moderation.rules import Rule, read

RULES: list[Rule] = read(
    [
        {"id": "jackpot", "kind": "word", "pattern": "Jackpot", "action": "block"},
        {"id": "ass", "kind": "word", "pattern": "ass", "action": "block"},
        {"id": "cards", "kind": "phrase", "pattern": "send gift cards", "action": "block"},
        {
            "id": "pot",
            "kind": "word",
            "pattern": "pot",
            "action": "mask",
            "boundary": "none",
            "spaced": False,
            "exceptions": ["a pot of soup"],
        },
        {
            "id": "jac",
            "kind": "word",
            "pattern": "jac",
            "action": "mask",
            "boundary": "none",
            "exceptions": ["jacket"],
        },
        {"id": "game", "kind": "word", "pattern": "博彩", "action": "block", "boundary": "none"},
        {"id": "信", "kind": "word", "pattern": "刷信誉", "action": "mask", "boundary": "none"},
        {
            "id": "drug",
            "kind": "word",
            "pattern": "迷药",
            "action": "mask",
            "boundary": "none",
            "exceptions": ["着迷药妆"],
        },
        {"id": "か", "kind": "word", "pattern": "か博", "action": "mask", "boundary": "none"},
        {"id": "code", "kind": "pattern", "pattern": r"ab{1,3}c\d?|\bx\d{2}\b", "action": "mask"},
        {"id": "lot", "kind": "pattern", "pattern": r"1[ -]?5", "action": "flag"},
        {"id": "noted", "kind": "word", "pattern": "potato", "action": "flag"},
        {"id": "email", "kind": "pii", "pattern": "email", "action": "mask", "exceptions": ["s@a.org"]},
        {"id": "mobile", "kind": "pii", "pattern": "cn_mobile", "action": "mask"},
        {"id": "card", "kind": "pii", "pattern": "payment_card_luhn", "action": "mask"},
    ]
)

PIECES = [
    *"jackpotJACKPOTassseend gift cards  .*-_~`|/@&;#^,!\n",
    *"博彩刷信誉譽迷药藥着妆粧かが\u3099一",
    *"0123456789abcx",
    *"аéßﬁ｡ｊ\u0301\u0327\u200b\u2060\u00ad\ufe0f\u3164\u034f\u0000\ud83d😀İ…",
    *[
        "jackpot",
        "jack",
        "pot",
        "ass",
        "cl",
        "send ",
        "gift ",
        "cards",
        "jacket",
        "potato",
        "****",
        "**",
        "   ",
    ],
    *[
        "博彩",
        "刷信誉",
        "着迷药妆",
        "迷药",
        "&#97;",
        "&#x6a",
        "&amp;",
        "&nbsp;",
        "&am",
        "ab",
        "bbc",
        "x12",
        "a pot of soup",
        "a pot",
        " of s",
        "oup",
    ],
    *[
        "bob@ex",
        "ample.org",
        "@a.org",
        "159",
        "1234",
        "5678",
        "4242 4242",
        " 4242 ",
        "4242",
        "15912345678",
        "+86",
    ],
]

TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
CUTS = st.lists(st.integers(0, 60), max_size=8)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """Cut a text at some places."""
    ends = [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]
