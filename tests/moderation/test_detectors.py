"""Personal data and secrets, and what only looks like them."""

import pytest

from conversations.moderation.detectors import DETECTORS
from conversations.moderation.gate import Gate
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset

FOUND = {
    "email": [
        "bob@example.org",
        "Bob.O'Neil+shop@mail.example.co.uk",
        "ＢＯＢ@example.org",
        "a@b-c.io",
        "b**o**b@example.org",
    ],
    "cn_mobile": [
        "15912345678",
        "159 1234 5678",
        "159-1234-5678",
        "+86 15912345678",
        "86-159-1234-5678",
        "１５９１２３４５６７８",
    ],
    "phone": [
        "+44 20 7946 0958",
        "+1 (650) 253-0000",
        "0044 20 7946 0958",
        "010-65529988",
        "(0755) 26711111",
        "13912345678",
        "400-666-8800",
    ],
    "payment_card_luhn": [
        "4242 4242 4242 4242",
        "4242424242424242",
        "3782-822463-10005",
        "5555 5555 5555 4444",
        "6200000000000005",
    ],
    "cn_resident_id": ["11010519491231002X", "11010519491231002x", "34052419800101001X"],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "gb29NWBK60161331926819",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
    ],
    "provider_key": [
        "sk-" + "a1B2" * 6,
        "sk-proj-" + "a1B2-_" * 20,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AIza" + "Sy0aB-_" * 5,
        "ghp_" + "a1B2" * 9,
        "hf_" + "aB3dE6" * 6,
        "xoxb-" + "123456789012-abc",
    ],
}
NOT_FOUND = {
    "email": ["2 @ 4.99", "bob@example", "@example.org", "a@b.c1", "bob @ example.org", "x@y.z"],
    "cn_mobile": ["12912345678", "1591234567", "159123456789", "9915912345678001", "159  - 1234"],
    "phone": [
        "+1 555",
        "12345678",
        "+999 1234 5678",
        "2026-11-20",
        "555-0142",
        "1999 2000 2001",
        "order 0012345",
    ],
    "payment_card_luhn": [
        "4242 4242 4242 4243",
        "0000 0000 0000 0000",
        "424242424242",
        "1234567890123452",
        "4" * 30,
    ],
    "cn_resident_id": ["110105194912310021", "11010519491331002X", "1101051949123100", "911010519491231002X"],
    "iban": [
        "DE89 3704 0044 0532 0130 01",
        "DE89 3704 0044",
        "ZZ89 3704 0044 0532 0130 00",
        "the 12 best things to do in town today",
    ],
    "provider_key": [
        "sk-learn-is-a-library-for-machine-learning",
        "AKIA",
        "a risk-free-trial-of-our-product",
        "ghp_short",
    ],
}


def rules_of(name: str, **values: object) -> Ruleset:
    return Ruleset([Rule(id=name, kind="detector", pattern=name, action="mask", **values)])  # type: ignore[arg-type]


def test_every_detector_is_tried() -> None:
    assert FOUND.keys() == NOT_FOUND.keys() == DETECTORS.keys()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts])
def test_it_is_found_and_nothing_of_it_comes_out(name: str, text: str) -> None:
    ruleset = rules_of(name)

    for before, after in (("", ""), ("call: ", ", please"), ("我的", "。")):
        whole = before + text + after
        for cut in range(len(whole)):
            gate = Gate(ruleset)
            assert gate.feed(whole[:cut]) + gate.feed(whole[cut:]) + gate.finish() == f"{before}▮▮▮{after}"


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in NOT_FOUND.items() for text in texts]
)
def test_what_only_looks_like_it_passes(name: str, text: str) -> None:
    gate = Gate(rules_of(name))

    assert "".join(map(gate.feed, text)) + gate.finish() == text
    assert not gate.findings


@pytest.mark.parametrize(
    ("name", "exception", "text"),
    [
        ("email", "Help@Northwind.example", "write to help@northwind.example."),
        ("email", "@northwind.example", "write to help@northwind.example."),
        ("phone", "+86 400-666-8800", "call 4006668800 now"),
        ("phone", "010-65529988", "call +86 10 6552 9988 now"),
    ],
)
def test_the_shops_own_number_may_be_said(name: str, exception: str, text: str) -> None:
    ruleset = rules_of(name, exceptions=(exception,))

    assert not ruleset.screen(text, "output").findings


def test_an_exception_is_the_whole_value_and_not_its_end() -> None:
    ruleset = rules_of("email", exceptions=("s@shop.example", "@shop.example.org"))

    assert ruleset.screen("boss@shop.example", "output").findings
    assert ruleset.screen("s@evilshop.example.org", "output").findings
    assert not ruleset.screen("s@shop.example.org", "output").findings


def test_a_card_in_a_longer_row_of_numbers_is_found() -> None:
    screening = rules_of("payment_card_luhn").screen("order 12 4242 4242 4242 4242 on 2026-11-20", "output")

    assert screening.masked == "order 12 ▮▮▮ on 2026-11-20"


def test_what_a_visitor_knows_may_be_said_to_this_visitor() -> None:
    text = "I wrote to bob@example.org and al@example.org."
    gate = Gate(rules_of("email"), known=frozenset({"bob@example.org"}))

    assert "".join(map(gate.feed, text)) + gate.finish() == "I wrote to bob@example.org and ▮▮▮."
