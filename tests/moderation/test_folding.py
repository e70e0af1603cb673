"""Every way to write a word that reads the same, and the way back to what was written."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.moderation.folding import Folded, fold
from conversations.moderation.letters import folded
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset
from tests.scale import count

JACKPOT = Ruleset([Rule(id="j", kind="word", pattern="jackpot", action="block", spaced=True)])
VARIANTS = [
    *["jackpot", "JACKPOT", "JackPot", "ｊａｃｋｐｏｔ", "ＪＡＣＫＰＯＴ", "𝐣𝐚𝐜𝐤𝐩𝐨𝐭", "𝓳𝓪𝓬𝓴𝓹𝓸𝓽", "ⓙⓐⓒⓚⓟⓞⓣ"],
    *[
        "jаckpоt",
        "јасkрот",
        "jacκpοt",
        "jáckpöt",
        "ja\u0301ckpo\u0308t",
        "j\u0327\u0301a\u0323ckpot",
        "jackpøt",
    ],
    *[
        "jack\u200bpot",
        "jack\u200d\u200cpot",
        "jack\u2060pot",
        "jack\u00adpot",
        "jack\ufeffpot",
        "jack\ufe0fpot",
    ],
    *["jack\u034fpot", "jack\u202epot", "jack\x00pot", "jack\U000e0041pot", "jack\u3164pot", "jack\u180epot"],
    *[
        "j a c k p o t",
        "j.a.c.k.p.o.t",
        "j-a-c-k-p-o-t",
        "j_a_c_k_p_o_t",
        "j  a  c  k  p  o  t",
        "j · a · c · k·p·o·t",
    ],
    *[
        "jack**pot**",
        "**jack**pot",
        "j`a`ckpot",
        "~~jack~~pot",
        "j*a*c*k*p*o*t",
        "***jackpot***",
        "_jackpot_",
    ],
    *[
        "j&#97;ckpot",
        "j&#x61;ckpot",
        "&#X6A;ackpot",
        "jack&shy;pot",
        "jack&#8203;pot",
        "jack&ZeroWidthSpace;pot",
    ],
]
INNOCENT = [
    "jack pot",
    "jackpots",
    "1jackpot",
    "blackjackpot",
    "jack****pot",
    "ja ckpot",
    "jack\npot",
    "jackp t",
]


@pytest.mark.parametrize("text", VARIANTS)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    for whole in (text, f"Win the {text}!", f"中{text}奖"):
        screening = JACKPOT.screen(whole, "output")

        assert screening.is_blocked
        assert screening.findings[0].start <= whole.index(text) + 3


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert not JACKPOT.screen(text, "output").findings


@pytest.mark.parametrize(
    ("text", "symbols", "starts"),
    [
        ("ﬁß…", "fiss...", [0, 0, 1, 1, 2, 2, 2]),
        ("a \n\t b", "a b", [0, 1, 5]),
        ("x&amp;#97;", "x&#97;", [0, 1, 6, 7, 8, 9]),
        ("&am", "&am", [0, 1, 2]),
        ("**a** *b", "a b", [2, 5, 7]),
        ("信譽", "信誉", [0, 1]),
        ("\ud83d!", "\ufffd!", [0, 1]),
    ],
)
def test_each_symbol_knows_where_it_comes_from(text: str, symbols: str, starts: list[int]) -> None:
    whole = fold(text)

    assert (whole.symbols, whole.starts) == (symbols, starts)


TEXT = st.text(st.one_of(st.sampled_from("a &#97;*~` \nß\u0301"), st.characters()), max_size=30)


@settings(max_examples=count(300, 10_000), deadline=None)
@given(TEXT, st.integers(0, 30))
def test_cuts_make_no_difference(text: str, cut: int) -> None:
    pieces = Folded()
    for piece in (text[:cut], text[cut:]):
        pieces.feed(piece)
    pieces.finish()

    whole = fold(text)
    assert (pieces.symbols, pieces.starts, pieces.ends) == (whole.symbols, whole.starts, whole.ends)
    assert whole.starts == sorted(whole.starts)
    assert all(start < end for start, end in zip(whole.starts, whole.ends, strict=True))


def test_every_character_is_taken_for_what_its_normal_forms_are() -> None:
    for code in [*range(0x3000), *range(0x3000, sys.maxunicode + 1, count(50, 1))]:
        char = chr(code)
        if 0xD800 <= code <= 0xDFFF:
            continue
        for form in ("NFC", "NFD", "NFKC"):
            same = unicodedata.normalize(form, char)
            assert "".join(map(folded, same)) == folded(char), (hex(code), form)
        assert "".join(map(folded, char.casefold())) == folded(char), hex(code)
