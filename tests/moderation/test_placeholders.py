"""What the model sees of a visitor's data, and how the visitor gets it back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.moderation.detectors import DETECTORS
from conversations.moderation.placeholders import Placeholders, Restorer
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset
from tests.scale import count

RULESET = Ruleset(
    [
        *(Rule(id=name, kind="detector", pattern=name, action="mask") for name in DETECTORS),
        Rule(id="word", kind="word", pattern="hush", action="mask"),
        Rule(id="order", kind="pattern", pattern=r"NW-\d{4}", action="mask"),
        Rule(id="late", kind="word", pattern="parcel", action="mask", stages=frozenset({"output"})),
    ]
)


def test_the_same_value_has_the_same_name_throughout() -> None:
    hidden = Placeholders(RULESET)

    assert hidden.hide("I am Bob@example.org, call +86 159 1234 5678.") == "I am [EMAIL_1], call [PHONE_1]."
    assert (
        hidden.hide("al@x.io is mine, bob@EXAMPLE.org too: 15912345678")
        == "[EMAIL_2] is mine, [EMAIL_1] too: [PHONE_1]"
    )
    assert hidden.hide("hush, parcel NW-1234") == "[TEXT_1], parcel [TEXT_2]"


def test_names_are_found_anew_from_the_messages() -> None:
    messages = ["a@x.org and b@x.org", "nothing", "b@x.org, c@x.org, 4242 4242 4242 4242"]
    first, second = Placeholders(RULESET), Placeholders(RULESET)
    hidden = [first.hide(message) for message in messages]

    assert [second.hide(message) for message in messages] == hidden
    assert second.originals == first.originals


def test_an_answer_is_hidden_where_it_repeats_the_visitor_only() -> None:
    hidden = Placeholders(RULESET)
    hidden.hide("bob@example.org")

    assert (
        hidden.hide_known("Bob@example.org, write to help@shop.example.")
        == "[EMAIL_1], write to help@shop.example."
    )


def test_overlapping_finds_are_one_and_nothing_of_them_is_left() -> None:
    hidden = Placeholders(RULESET)

    shown = hidden.hide("tel +86 159 1234 5678, 11010519491231002X!")

    assert shown == "tel [PHONE_1], [ID_1]!"


@pytest.mark.parametrize("typed", ["[EMAIL_1]", "[email_1]", "[ EMAIL_1 ]", "[EMAIL\\_1]", "[QUOTE_1]"])
def test_a_visitor_who_types_a_placeholder_gets_it_back(typed: str) -> None:
    hidden = Placeholders(RULESET)

    seen = hidden.hide(f"bob@example.org wrote {typed}")

    assert seen == "[EMAIL_1] wrote [QUOTE_1]"
    assert Restorer(hidden.originals).feed(f"{seen} ") == f"bob@example.org wrote {typed} "


OUT = "Hi [EMAIL_1], [email\\_2] or [ PHONE_1 ]; not [EMAIL_9], [EMAIL], a[0], [[EMAIL_1]], [EMA"
BACK = "Hi bob@x.org, al@x.org or 15912345678; not [EMAIL_9], [EMAIL], a[0], [bob@x.org], [EMA"


def known() -> dict[str, str]:
    hidden = Placeholders(RULESET)
    hidden.hide("bob@x.org al@x.org 15912345678")
    return hidden.originals


@pytest.mark.parametrize("cut", range(len(OUT)))
def test_placeholders_come_back_wherever_they_are_cut(cut: int) -> None:
    restorer = Restorer(known())

    assert restorer.feed(OUT[:cut]) + restorer.feed(OUT[cut:]) + restorer.finish() == BACK


def test_one_code_point_at_a_time_they_come_back_too() -> None:
    restorer = Restorer(known())

    assert "".join(map(restorer.feed, OUT)) + restorer.finish() == BACK


def test_text_without_placeholders_is_not_kept_waiting() -> None:
    restorer = Restorer(known())

    assert [restorer.feed(piece) for piece in ("Hello ", "[", "x", "] [EMAIL_", "x")] == [
        "Hello ",
        "",
        "[x",
        "] ",
        "[EMAIL_x",
    ]


MESSAGE = st.lists(
    st.sampled_from(
        [
            "bob@x.org",
            "al@x.org ",
            "15912345678",
            " [EMAIL_1]",
            "[TEXT_1] ",
            "hush",
            " ",
            "[",
            "_1]",
            "hello ",
            "NW-1234",
        ]
    ),
    max_size=8,
).map(" ".join)


@settings(max_examples=count(200, 10_000), deadline=None)
@given(st.lists(MESSAGE, max_size=4), st.integers(1, 5))
def test_what_was_hidden_comes_back_and_none_of_it_was_seen(messages: list[str], size: int) -> None:
    hidden = Placeholders(RULESET)
    seen = [hidden.hide(message) for message in messages]

    for message, text in zip(messages, seen, strict=True):
        assert not any(value in text for value in ("@x.org", "15912345678", "NW-1234"))
        restorer = Restorer(hidden.originals)
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(map(restorer.feed, parts)) + restorer.finish() == message
