"""Which earlier messages a turn shows the model."""

import random

import pytest

from conversations.history import (
    Dropped,
    Entry,
    Window,
    WindowLimits,
    WindowTooSmallError,
    count_exchanges,
    fit,
    limits_for,
)

SYSTEM = 10


def talk(script: str) -> list[Entry]:
    """Return messages from words such as `v` (visitor), `a` (ours), `n` (a note): `3v:text!hidden>id`.

    The number is the position (else the next), `:` begins the text (else a word of one token), `!` a
    status, `>` the id it replaces. Ids are `m` and the position.
    """
    entries: list[Entry] = []
    for word in script.split():
        word, _, replaces = word.partition(">")
        word, _, status = word.partition("!")
        head, colon, text = word.partition(":")
        position = int(head[:-1]) if head[:-1] else (entries[-1].position if entries else 0) + 1
        entries.append(
            Entry(
                id=f"m{position}",
                position=position,
                is_visitor=head[-1] == "v",
                text=text if colon else f"word{position}",
                status=status or "final",
                is_note=head[-1] == "n",
                replaces=replaces or None,
            )
        )
    return entries


def words(text: str) -> int:
    """Count tokens: one for each part between underscores."""
    return len(text.split("_"))


def cut(
    script: str, newest: str = "99v", *, exchanges: int = 20, tokens: int = 1000, oldest_known: int = 0
) -> Window:
    return fit(
        talk(script),
        talk(newest),
        oldest_known=oldest_known,
        system_tokens=SYSTEM,
        count=words,
        limits=WindowLimits(exchanges=exchanges, tokens=tokens, hard_tokens=1000),
    )


def sent(window: Window) -> list[int]:
    return [entry.position for entry in window.sent]


def dropped(window: Window) -> list[tuple[int, int, str]]:
    return [(each.first, each.last, each.reason) for each in window.dropped]


CASES: dict[str, tuple[Window, list[int], list[tuple[int, int, str]]]] = {
    "nothing before": (cut(""), [99], []),
    "one exchange": (cut("v a"), [1, 2, 99], []),
    "within the exchanges": (cut("v a v a", exchanges=2), [1, 2, 3, 4, 99], []),
    "one exchange too many": (cut("v a v a v a", exchanges=2), [3, 4, 5, 6, 99], [(1, 2, "exchanges")]),
    "a burst is one exchange": (cut("v v v a v a", exchanges=2), [1, 2, 3, 4, 5, 6, 99], []),
    "two answers are one exchange": (cut("v a a v a", exchanges=1), [4, 5, 99], [(1, 3, "exchanges")]),
    "within the tokens": (cut("v a v a", tokens=SYSTEM + 5), [1, 2, 3, 4, 99], []),
    "one token too many": (cut("v a v a", tokens=SYSTEM + 4), [3, 4, 99], [(1, 2, "tokens")]),
    "whole exchanges only": (
        cut("v:a_b_c_d a v a", tokens=SYSTEM + 5),
        [3, 4, 99],
        [(1, 2, "tokens")],
    ),
    "no older one in place of a longer": (
        cut("v a v:a_b_c_d a v a", tokens=SYSTEM + 6),
        [5, 6, 99],
        [(1, 4, "tokens")],
    ),
    "the newest stay though they are more than the share": (
        cut("v a", "99v:a_b_c_d_e", tokens=SYSTEM + 2),
        [99],
        [(1, 2, "tokens")],
    ),
    "a burst of newest stays whole": (cut("v a", "97v 98v 99v", exchanges=1), [1, 2, 97, 98, 99], []),
    "a stopped answer counts as what was seen": (cut("v a:half!stopped v a"), [1, 2, 3, 4, 99], []),
    "an interrupted one too": (cut("v a:half!interrupted v a"), [1, 2, 3, 4, 99], []),
    "an answer without a word goes": (cut("v a:!failed v a"), [1, 3, 4, 99], [(2, 2, "failed")]),
    "a hidden one goes": (cut("v a!hidden v a"), [1, 3, 4, 99], [(2, 2, "hidden")]),
    "a withdrawn one goes": (cut("v a!blocked v a"), [1, 3, 4, 99], [(2, 2, "blocked")]),
    "a blocked question goes": (cut("v!blocked v a"), [2, 3, 99], [(1, 1, "blocked")]),
    "a note goes": (cut("v n a"), [1, 3, 99], [(2, 2, "note")]),
    "a replaced answer goes": (cut("v a a>m2"), [1, 3, 99], [(2, 2, "replaced")]),
    "an answer whose replacement came to nothing stays": (
        cut("v a 3a:!failed>m2"),
        [1, 2, 99],
        [(3, 3, "failed")],
    ),
    "of three answers the last stays": (cut("v a 3a>m2 4a>m3"), [1, 4, 99], [(2, 3, "replaced")]),
    "an exchange of which nothing is left is none": (
        cut("v!hidden a!hidden v a v a", exchanges=2),
        [3, 4, 5, 6, 99],
        [(1, 2, "hidden")],
    ),
    "neighbours of one reason are one range": (
        cut("v a!hidden 4a!hidden v a"),
        [1, 5, 6, 99],
        [(2, 4, "hidden")],
    ),
    "what was sent parts two ranges": (
        cut("v a!hidden v a!hidden"),
        [1, 3, 99],
        [(2, 2, "hidden"), (4, 4, "hidden")],
    ),
    "reasons are kept apart": (
        cut("v a v a!hidden n v a", exchanges=1),
        [3, 6, 7, 99],
        [(1, 2, "exchanges"), (4, 4, "hidden"), (5, 5, "note")],
    ),
    "what was not loaded counts as cut": (
        cut("41v a v a v a", exchanges=1, oldest_known=41),
        [45, 46, 99],
        [(1, 44, "exchanges")],
    ),
    "what was not loaded goes for the reason of what was cut before it": (
        cut("41v a v a v a", tokens=SYSTEM + 3, oldest_known=41),
        [45, 46, 99],
        [(1, 44, "tokens")],
    ),
    "an exchange whose beginning was not loaded goes": (
        cut("40a 41a v a", oldest_known=40),
        [42, 43, 99],
        [(1, 41, "exchanges")],
    ),
    "where nothing but an unfinished beginning was loaded nothing is left": (
        cut("40a 41a", oldest_known=40),
        [99],
        [(1, 41, "exchanges")],
    ),
    "a burst whose beginning was not loaded goes": (
        cut("40v a v a", oldest_known=40),
        [42, 43, 99],
        [(1, 41, "exchanges")],
    ),
}


@pytest.mark.parametrize(("window", "shown", "gone"), CASES.values(), ids=CASES)
def test_the_window_is(window: Window, shown: list[int], gone: list[tuple[int, int, str]]) -> None:
    assert (sent(window), dropped(window)) == (shown, gone)


def test_the_tokens_are_counted_with_the_system_prompt() -> None:
    window = cut("v:a_b a:c", "99v:d_e_f")

    assert window.tokens == SYSTEM + 6


def test_more_than_the_model_takes_is_an_error() -> None:
    limits = WindowLimits(exchanges=1, tokens=20, hard_tokens=20)
    newest = talk("v:" + "_".join("x" * 11))

    with pytest.raises(WindowTooSmallError):
        fit([], newest, oldest_known=0, system_tokens=10, count=words, limits=limits)


@pytest.mark.parametrize(
    ("percent", "context", "output", "tokens", "hard"),
    [(60, 8000, 500, 4800, 7500), (90, 1000, 500, 500, 500), (1, 8000, 500, 80, 7500)],
)
def test_the_answer_has_its_part_of_the_context(
    percent: int, context: int, output: int, tokens: int, hard: int
) -> None:
    limits = limits_for(exchanges=20, percent=percent, context_tokens=context, max_output_tokens=output)

    assert limits == WindowLimits(exchanges=20, tokens=tokens, hard_tokens=hard)


def test_exchanges_are_counted_from_each_question() -> None:
    assert [count_exchanges(talk(script)) for script in ("", "v", "v a", "v v a", "v a v", "a v a")] == [
        0,
        1,
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("seed", range(200))
def test_whatever_was_said_the_window_keeps_its_promises(seed: int) -> None:
    choose = random.Random(seed)
    script = " ".join(
        choose.choice(["v", "v", "a", "a", "n"])
        + choose.choice(["", "", ":", ":a_b", ":a_b_c_d_e_f_g"])
        + choose.choice(["", "", "", "!hidden", "!stopped", "!blocked"])
        for _ in range(choose.randrange(30))
    )
    exchanges, tokens = choose.randrange(1, 8), SYSTEM + choose.randrange(2, 40)

    window = cut(script, exchanges=exchanges, tokens=tokens)

    earlier = talk(script)
    kept = [entry for entry in window.sent if entry.position != 99]
    assert window.sent[-1].position == 99
    assert sent(window) == sorted(sent(window))
    assert (
        window.tokens == SYSTEM + sum(words(entry.text) for entry in window.sent) <= max(tokens, SYSTEM + 1)
    )
    assert count_exchanges(kept) <= exchanges
    assert all(
        entry.text and entry.status not in ("hidden", "blocked") and not entry.is_note for entry in kept
    )
    gone = {position for each in window.dropped for position in range(each.first, each.last + 1)}
    assert gone.isdisjoint(sent(window))
    assert {entry.position for entry in earlier} == gone | {entry.position for entry in kept}
    assert list(window.dropped) == sorted(window.dropped, key=lambda each: each.first)
    assert all(isinstance(each, Dropped) and each.first <= each.last for each in window.dropped)
