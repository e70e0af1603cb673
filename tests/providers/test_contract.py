"""What every kind of service must hold to, however its wire looks."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from chatbot.providers import registry
from chatbot.providers.base import Provider
from chatbot.providers.errors import IncompleteStream
from chatbot.providers.events import CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.http import HttpProvider
from chatbot.providers.messages import Usage
from tests.providers.asking import QUESTION, ask, provider_at, target_of
from tests.providers.loopback import HANG, Loopback, Reply, cut, json_reply
from tests.providers.wires import SAMPLES, Sample, answer, reply


def test_every_kind_shows_how_it_speaks() -> None:
    assert sorted(SAMPLES) == sorted(set(registry.KINDS) - {"scripted"})


async def test_text_comes_in_order_and_one_last_event_ends_it(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, *map(sample.delta, ["Your ", "parcel ", "包裹🚚"]), sample.end))

    heard = await ask(provider)

    assert heard.error is None
    assert heard.text == "Your parcel 包裹🚚"
    assert heard.finished.finish == "stop"
    assert heard.finished.usage == Usage(input_tokens=3, output_tokens=2, kind="exact")
    assert all(isinstance(event, TextDelta) for event in heard.events[:-1])


async def test_an_answer_cut_anywhere_is_the_same_answer(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    body = answer(sample, "naïve 您", "好👨‍👩‍👧")
    for at in range(1, len(body)):
        service.answers(reply(sample, body[:at], body[at:]))

        heard = await ask(provider)

        assert (heard.text, heard.error) == ("naïve 您好👨‍👩‍👧", None), f"cut at {at}"
        assert heard.finished.finish == "stop"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("split", [None, 1, 7, "after_cr"])
async def test_line_ends_and_comments_are_all_one(
    provider: Provider, sample: Sample, service: Loopback, newline: bytes, split: Any
) -> None:
    body = sample.comment + sample.delta("a\u2028b") + sample.comment + sample.delta("c") + sample.end
    service.answers(reply(sample, *cut(body.replace(b"\n", newline), split)))

    heard = await ask(provider)

    assert (heard.text, heard.error) == ("a\u2028bc", None)


async def test_the_first_delta_is_not_held_back_and_what_comes_together_goes_on_together(
    kind: str, sample: Sample, service: Loopback
) -> None:
    made = provider_at(service.url, kind, **sample.settings)
    service.answers(reply(sample, sample.delta("1"), HANG))
    async with aclosing(made.stream(QUESTION, target=target_of(made))) as events:
        assert await anext(events) == TextDelta("1")

    service.answers(reply(sample, sample.delta("1") + sample.delta("2") + sample.delta("3"), sample.end))
    heard = await ask(made)
    await made.aclose()

    assert heard.events[0] == TextDelta("123")


async def test_deltas_that_arrive_between_two_reads_come_out_as_one(
    kind: str, sample: Sample, service: Loopback
) -> None:
    made = provider_at(service.url, kind, **sample.settings)
    made._pace_s = 0.5
    service.answers(reply(sample, *map(sample.delta, "abcdefgh"), sample.end))

    heard = await ask(made)
    await made.aclose()

    assert heard.text == "abcdefgh"
    assert len(heard.events) < 8


async def test_thinking_is_kept_apart_from_text(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    if sample.thought is None:
        return
    service.answers(
        reply(sample, sample.thought("hm") + sample.delta("So: ") + sample.thought("!"), sample.end)
    )

    heard = await ask(provider)

    assert heard.events[:-1] == [ReasoningDelta("hm"), TextDelta("So: "), ReasoningDelta("!")]


async def test_a_whole_answer_is_read_as_well_as_a_stream(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    if sample.whole is None:
        return
    service.answers(json_reply(200, sample.whole("Hello 👋")))

    for is_stream in (True, False):  # some services answer whole although a stream was asked for
        heard = await ask(provider, stream=is_stream)

        assert heard.events[0] == TextDelta("Hello 👋")
        assert heard.finished.usage.output_tokens == 2
        assert sample.asks_stream(service.requests[-1]) is is_stream


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_a_cut_stream_is_never_a_whole_answer(
    provider: Provider, sample: Sample, service: Loopback, end: Any
) -> None:
    body = sample.delta("Half ") + sample.delta("an answer")
    for length in (len(body), len(body) - 1, 1):
        service.answers(reply(sample, body[:length], end=end))

        heard = await ask(provider)

        assert isinstance(heard.error, IncompleteStream)
        assert heard.error.retryable
        assert "Half an answer".startswith(heard.text)
        assert not any(isinstance(event, CompletionFinished) for event in heard.events)


async def test_what_was_said_before_a_fault_is_still_heard(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, sample.delta("Half") + sample.frame(b"{broken"), HANG))

    heard = await ask(provider)

    assert heard.text == "Half"
    assert heard.error is not None
    assert heard.error.kind == "bad_response"


async def test_json_of_another_shape_is_a_bad_response(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    for data in (b"[]", b"null", b'"x"', b"\xff", *sample.strange):
        service.answers(reply(sample, sample.frame(data)), json_reply(200, data.decode("latin-1")))

        for is_stream in (True, False):
            heard = await ask(provider, stream=is_stream)

            assert heard.error is not None, data
            assert heard.error.kind == "bad_response", data


async def test_an_error_of_any_shape_is_classed(provider: Provider, service: Loopback) -> None:
    values: list[Any] = [None, 3, "x", True, [], [3], {}, {"code": "x"}, {"code": [1], "message": {}}]
    names = ("error", "Error", "ErrorMsg", "error_code", "error_msg", "code", "message", "sid", "request_id")
    shapes = [{name: value} for name in names for value in values]
    for body in (
        *shapes,
        *({"Response": shape} for shape in shapes),
        *({"error": s} for s in shapes),
        3,
        [3],
    ):
        service.answers(json_reply(500, body))

        heard = await ask(provider)

        assert heard.error is not None, body
        assert heard.error.status == 500, body
        assert type(heard.error.message) is str, body
        assert type(heard.error.request_id) in (str, type(None)), body


async def test_a_refused_connection_is_unavailable(kind: str, sample: Sample, service: Loopback) -> None:
    with_nobody = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = with_nobody.sockets[0].getsockname()[1]
    with_nobody.close()
    made = provider_at(f"http://127.0.0.1:{port}", kind, **sample.settings)

    heard = await ask(made)
    await made.aclose()

    assert heard.error is not None
    assert (heard.error.kind, heard.error.again) == ("unavailable", True)
    assert "refused" in heard.error.message


async def test_a_service_that_hangs_up_at_once_is_unavailable(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, end="reset"))

    heard = await ask(provider)

    assert heard.error is not None
    assert heard.error.kind in ("unavailable", "incomplete_stream")


@pytest.mark.parametrize(
    ("status", "kind_of_error", "retryable"),
    [
        (302, "bad_response", True),
        (400, "invalid_request", False),
        (401, "auth", False),
        (402, "quota", False),
        (403, "permission", False),
        (404, "not_found", False),
        (408, "timeout", True),
        (413, "invalid_request", False),
        (422, "invalid_request", False),
        (429, "rate_limit", True),
        (500, "server", True),
        (502, "server", True),
        (503, "overloaded", True),
        (504, "timeout", True),
        (529, "overloaded", True),
    ],
)
async def test_a_status_alone_says_what_to_do(
    provider: Provider, service: Loopback, status: int, kind_of_error: str, retryable: bool
) -> None:
    service.answers(Reply(status=status, headers={"content-type": "text/html"}, pieces=[b"<html>no</html>"]))

    heard = await ask(provider)

    assert heard.error is not None
    assert (heard.error.kind, heard.error.retryable) == (kind_of_error, retryable)
    assert heard.error.status == status
    assert "<" not in heard.error.message


@pytest.mark.parametrize(("said", "retryable"), [("true", True), ("false", False)])
async def test_the_service_may_overrule_its_status(
    provider: Provider, service: Loopback, said: str, retryable: bool
) -> None:
    status = 400 if retryable else 500
    service.answers(json_reply(status, {}, {"x-should-retry": said, "retry-after-ms": "1500"}))

    heard = await ask(provider)

    assert heard.error is not None
    assert (heard.error.retryable, heard.error.retry_after_s) == (retryable, 1.5)


async def test_a_web_page_is_no_answer(provider: Provider, service: Loopback) -> None:
    service.answers(Reply(headers={"content-type": "text/html"}, pieces=[b"<html>Sign in</html>"]))

    heard = await ask(provider)

    assert heard.error is not None
    assert heard.error.kind == "bad_response"


async def test_a_line_without_end_is_given_up(provider: Provider, sample: Sample, service: Loopback) -> None:
    service.answers(reply(sample, b"data: ", *[b"x" * 65536] * 160, HANG))

    heard = await ask(provider)

    assert heard.error is not None
    assert heard.error.kind == "bad_response"
    await service.until(lambda: service.connections == 0)


async def test_a_key_that_the_service_echoes_is_not_repeated(
    provider: HttpProvider, service: Loopback
) -> None:
    key = "sk-very-secret-key"
    service.answers(json_reply(401, {"error": {"message": f"Bad key {key}, or sk-ot*****er1."}}))

    heard = await ask(provider)

    assert heard.error is not None
    assert heard.error.kind == "auth"
    for text in (str(heard.error), repr(heard.error), repr(heard.error.args), repr(vars(provider))):
        assert "very-secret" not in text
        assert "sk-ot" not in text


async def test_streams_side_by_side_do_not_mix(provider: Provider, sample: Sample, service: Loopback) -> None:
    service.answers(*(reply(sample, *cut(answer(sample, f"{n} ", f"{n}"), 9)) for n in range(20)))

    heard = await asyncio.gather(*(ask(provider) for _ in range(20)))

    assert sorted(one.text for one in heard) == sorted(f"{n} {n}" for n in range(20))
