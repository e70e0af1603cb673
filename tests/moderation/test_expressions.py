"""What a match looks like that has only begun."""

import re

import pytest

from conversations.moderation.checking import LENGTH_MAX
from conversations.moderation.detectors import DETECTORS
from conversations.moderation.expressions import parse


@pytest.mark.parametrize(
    ("pattern", "shortest", "longest"),
    [
        ("abc", 3, 3),
        ("a?b{2,5}", 2, 6),
        ("(?:a|bcd)x", 2, 4),
        ("(ab){3}", 6, 6),
        (r"\b[\w-]{1,9}\.", 2, 10),
        ("a{0}b", 1, 1),
        ("a*", 0, None),
        ("(a|b+)c", 2, None),
        ("", 0, 0),
        (r"\x{4e00}\pL[[:digit:]\]]", 3, 3),
    ],
)
def test_lengths_are_known(pattern: str, shortest: int, longest: int | None) -> None:
    expression = parse(pattern)

    assert (expression.shortest, expression.longest) == (shortest, longest)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("abc", "abc"),
        ("a?b{2,5}c", "abbbc"),
        ("(?:a|bcd){2,3}x", "abcdax"),
        (r"\d{3}(?:-\d{4}|\.\d{2})", "123-4567"),
        (r"\bab\b c", "ab c"),
        *(
            (detector.looks, text)
            for detector in DETECTORS.values()
            for text in ("+49 (0) 30 1234567", "bob@mail.x.org")
        ),
    ],
)
def test_every_beginning_of_a_match_is_known_as_one(pattern: str, text: str) -> None:
    expression = parse(pattern)
    found = re.match(expression.source, text)

    assert re.fullmatch(expression.begun, "")
    for end in range(len(found[0]) + 1 if found else 0):
        assert re.fullmatch(expression.begun, text[:end])


def test_what_no_match_begins_with_is_not_a_beginning() -> None:
    begun = parse(r"(?:ab|c\d{2})x").begun

    assert [
        text for text in ("a", "ab", "c1", "c12x", "b", "ac", "c1x", "abxx") if re.fullmatch(begun, text)
    ] == [
        "a",
        "ab",
        "c1",
        "c12x",
    ]


@pytest.mark.parametrize("name", DETECTORS)
def test_what_a_detector_looks_for_is_finite(name: str) -> None:
    expression = parse(DETECTORS[name].looks)

    assert expression.shortest > 0
    assert expression.longest is not None
    assert expression.longest <= LENGTH_MAX
