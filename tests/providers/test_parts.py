"""The small parts of the library, each a rule with many cases."""

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from chatbot.providers import errors, retry_after
from chatbot.providers.errors import ErrorKind, ProviderError, TryLater
from chatbot.providers.keys import REST_S, KeyRing, Secret, mask
from chatbot.providers.messages import Parameters
from chatbot.providers.parameters import Limits, clamp, overlay
from chatbot.providers.sse import MAX_EVENT_BYTES, Event, EventSplitter
from chatbot.providers.thinking import ThinkFilter
from chatbot.providers.watch import Watch
from tests.providers.virtual_time import run

WIRE = Path(__file__).parents[1] / "wire"


def events_of(*pieces: bytes) -> list[Event]:
    splitter = EventSplitter()
    found = [event for piece in pieces for event in splitter.feed(piece)]
    return found + splitter.end()


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": hello\n\nid: 3\n\nretry: 10\n\ndata: a\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"\n\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"datum: a\n\n", []),
        (b"data: a\n\ndata: lost\n", [b"a"]),
        (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
        ("data: a\u2028b\u0085c\n\n".encode(), ["a\u2028b\u0085c".encode()]),
        (b"data: a\x0bb\x0cc\n\n", [b"a\x0bb\x0cc"]),
        (b"", []),
    ],
)
def test_events_are_split_on_bytes_however_they_arrive(body: bytes, data: list[bytes]) -> None:
    for newline in (b"\n", b"\r\n", b"\r"):
        sent = body.replace(b"\n", newline)
        ways = [[sent], [sent[at : at + 1] for at in range(len(sent))]]
        ways += [[sent[:at], sent[at:]] for at in range(1, len(sent))]
        for pieces in ways:
            assert [event.data for event in events_of(*pieces)] == data, pieces


def test_an_event_has_its_name() -> None:
    assert events_of(b"event: error\ndata: a\n\ndata: b\n\n") == [Event(b"error", b"a"), Event(b"", b"b")]


def test_an_event_has_an_end() -> None:
    splitter = EventSplitter()

    for _ in range(MAX_EVENT_BYTES // 65536):
        assert splitter.feed(b"x" * 65536) == []
    with pytest.raises(TryLater, match="longer than"):
        splitter.feed(b"x")


@pytest.mark.parametrize("vector", json.loads((WIRE / "retry_after.json").read_text("utf-8"))["vectors"])
def test_a_wait_is_read_as_the_official_libraries_read_it(vector: Any) -> None:
    said = vector["seconds"]["openai"]

    wait_s = retry_after.seconds(vector["headers"], now=vector["now"])

    assert wait_s == (said if said is not None and said >= 0 else None)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "1e400", "Thu, 99 Jan 2026"])
def test_an_unreadable_wait_is_none(value: str) -> None:
    assert retry_after.seconds({"retry-after": value, "retry-after-ms": value}, now=0) is None


def test_an_unreadable_milliseconds_header_hides_nothing() -> None:
    assert retry_after.seconds({"retry-after-ms": "x", "retry-after": "3"}, now=0) == 3.0


@pytest.mark.parametrize("year", ["99999999999", "10000"])
def test_a_date_that_no_calendar_has_is_no_wait(year: str) -> None:
    assert retry_after.seconds({"retry-after": f"Fri, 01 Jan {year} 00:00:00 GMT"}, now=0) is None


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_every_kind_of_error_has_its_class(kind: ErrorKind) -> None:
    error = errors.of_kind(kind, "what happened")

    assert kind in type(error).kinds
    assert str(error) == "what happened"


def test_an_error_of_the_wrong_class_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="has no kind"):
        errors.NotUsable("server", "no")


@pytest.mark.parametrize(
    ("pieces", "thinking", "text"),
    [
        (["<think>a</think>b"], "a", "b"),
        (list("<think>a</think>b"), "a", "b"),
        (["<think>\n\na\n</think>\n\nb"], "a\n", "b"),
        (["\n <think></think> \n", "\n b"], "", "b"),
        (["b"], "", "b"),
        (["a < b and <thin air>"], "", "a < b and <thin air>"),
        (["a <thi"], "", "a <thi"),
        (["<think>never closed"], "never closed", ""),
        (["a<think>b</think>c<think>d</think>e"], "bd", "ace"),
        (["<<think>a</</think>b"], "a</", "<b"),
    ],
)
def test_think_tags_part_thinking_from_text(pieces: list[str], thinking: str, text: str) -> None:
    think = ThinkFilter()

    parts = [part for piece in pieces for part in think.feed(piece)] + think.end()

    assert "".join(part for is_thinking, part in parts if is_thinking) == thinking
    assert "".join(part for is_thinking, part in parts if not is_thinking) == text


def test_a_secret_shows_nowhere() -> None:
    secret = Secret("sk-1234")

    assert "1234" not in f"{secret} {secret!r} {[secret]}"
    assert (secret.reveal(), bool(secret), bool(Secret(""))) == ("sk-1234", True, False)


def test_keys_take_turns_and_refused_ones_rest() -> None:
    now = 0.0
    first, second = Secret("1"), Secret("2")
    ring = KeyRing([first, Secret(""), second], clock=lambda: now)

    assert [ring.take() for _ in range(3)] == [first, second, first]
    assert ring.refuse(first, "1")
    assert [ring.take() for _ in range(2)] == [second, second]
    now = 1.0
    assert not ring.refuse(second, "2")
    assert ring.take() is first  # it rested longest
    now = REST_S
    assert [ring.take() for _ in range(2)] == [first, first]
    now = REST_S + 1
    assert {ring.take(), ring.take()} == {first, second}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-ab***xyz.", "Incorrect API key provided: …"),
        ("token tok-private is over", "token … is over"),
        ("two\nlines\r\n\x1b[31mred", "two lines [31mred"),
        ("x" * 600, "x" * 499 + "…"),
        ("risk-free", "risk-free"),
    ],
)
def test_vendor_texts_are_made_fit_for_a_log(text: str, shown: str) -> None:
    assert mask(text, [Secret("tok-private")]) == shown


def test_wishes_lie_over_each_other() -> None:
    below = Parameters(temperature=0.5, stop=("a",), max_output_tokens=5)

    assert overlay(below, Parameters(temperature=0.0, top_p=0.1)) == Parameters(
        temperature=0.0, top_p=0.1, stop=("a",), max_output_tokens=5
    )


@pytest.mark.parametrize(
    ("wish", "limit", "model", "given"),
    [
        (None, None, None, None),
        (None, None, 8, 8),
        (9, None, 8, 8),
        (9, 5, 8, 5),
        (None, 5, 8, 5),
        (3, 5, 8, 3),
    ],
)
def test_the_shortest_answer_wins(wish: Any, limit: Any, model: Any, given: Any) -> None:
    parameters = Parameters(max_output_tokens=wish)

    clamped = clamp(parameters, Limits(max_output_tokens=limit), max_output_tokens=model)

    assert clamped.max_output_tokens == given


def test_a_watch_ends_one_wait_and_moves_with_assignment() -> None:
    async def main() -> list[str]:
        seen = []
        clock = asyncio.get_running_loop().time
        watch = Watch(clock() + 10)
        with watch:
            await asyncio.sleep(9)
        await asyncio.sleep(100)  # time outside counts for nothing
        watch.due = clock() + 5
        with watch:
            await asyncio.sleep(4)
        try:
            with watch:
                await asyncio.sleep(4)
        except TimeoutError:
            seen.append(f"late at {clock():g}")
        watch.due = clock() + 100
        with watch:
            await asyncio.sleep(1)
        watch.due = clock() + 1  # nearer than the timer that is set
        try:
            with watch:
                await asyncio.sleep(50)
        except TimeoutError:
            seen.append(f"late at {clock():g}")
        watch.close()
        return seen

    assert run(main()) == ["late at 114", "late at 116"]


def test_a_cancellation_from_outside_is_not_taken_for_a_timeout() -> None:
    async def wait() -> None:
        with Watch(asyncio.get_running_loop().time() + 5):
            await asyncio.sleep(10)

    async def main() -> str:
        task = asyncio.create_task(wait())
        asyncio.get_running_loop().call_at(5, task.cancel)  # at the very moment the watch rings
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        except TimeoutError:
            return "late"
        return "done"

    assert run(main()) == "cancelled"


def test_an_error_keeps_what_is_known() -> None:
    error: ProviderError = errors.of_kind(
        "rate_limit", "slow", status=429, code="slow_down", retry_after_s=2.0
    )

    assert (error.status, error.code, error.retry_after_s, error.again) == (429, "slow_down", 2.0, True)
    assert not errors.TimedOut("first", "silence").again
