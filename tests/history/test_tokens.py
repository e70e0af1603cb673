"""How many tokens a text is, without asking anybody."""

import pytest

from conversations import tokens

TEXTS = {  # by hand from the o200k vocabulary: what a service would count
    "Where is my parcel? I ordered it two weeks ago and nobody has written to me since.": 18,
    "您好，我的包裹在哪里？我两周前订的，到现在还没有收到。": 22,
    "def f(x):\n    return [each for each in x if each is not None]\n": 20,
    "🚚🚚🚚": 6,
}


@pytest.mark.parametrize(("text", "exact"), TEXTS.items())
def test_an_estimate_is_rather_too_high(text: str, exact: int) -> None:
    assert exact * 0.8 <= tokens.estimate(text) <= exact * 2


def test_an_estimate_grows_with_the_text() -> None:
    assert (
        tokens.estimate("")
        <= tokens.estimate("a")
        <= tokens.estimate("a" * 100)
        < tokens.estimate("字" * 100)
    )


def test_halves_of_characters_are_counted_too() -> None:
    assert tokens.estimate("\ud83d") >= 1


def test_a_model_of_which_no_vocabulary_is_known_is_estimated() -> None:
    count, is_exact = tokens.counter_for("smollm2")

    assert (count("hello"), is_exact) == (tokens.estimate("hello"), False)
