"""How long every kind of service is waited for, and what is left when nobody waits any longer."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers.base import Provider, Timeouts
from chatbot.providers.errors import TimedOut
from chatbot.providers.events import CompletionFinished, TextDelta
from chatbot.providers.http import END_S
from tests.providers.asking import LIMITS, QUESTION, ask, provider_at, target_of
from tests.providers.loopback import HANG, Loopback, Piece
from tests.providers.wires import Sample, answer, reply

BLINK = 0.08  # seconds: the time-outs of these tests


def patience(**seconds: float) -> Timeouts:
    return replace(LIMITS, **{f"{name}_s": value for name, value in seconds.items()})


@pytest.mark.parametrize("before_s", [None, 0.0], ids=["no head", "no body"])
async def test_a_service_that_says_nothing_times_out(
    provider: Provider, sample: Sample, service: Loopback, before_s: Any
) -> None:
    service.answers(reply(sample, HANG, before_s=before_s))

    heard = await ask(provider, timeouts=patience(first=BLINK))

    assert isinstance(heard.error, TimedOut)
    assert (heard.error.phase, heard.error.again) == ("first", False)
    await service.until(lambda: service.connections == 0)


async def test_comments_do_not_count_as_an_answer(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    ping: list[Piece] = [sample.comment, BLINK / 4]
    trickle = [*ping * 40, HANG]

    service.answers(reply(sample, *trickle))
    silent = await ask(provider, timeouts=patience(first=BLINK))
    service.answers(reply(sample, sample.delta("Hm"), *trickle))
    halting = await ask(provider, timeouts=patience(idle=BLINK))

    assert isinstance(silent.error, TimedOut)
    assert silent.error.phase == "first"
    assert isinstance(halting.error, TimedOut)
    assert halting.error.phase == "idle"
    assert halting.text == "Hm"


async def test_a_slow_answer_is_no_silent_one(provider: Provider, sample: Sample, service: Loopback) -> None:
    slow = [piece for word in "abcdefgh" for piece in (BLINK, sample.delta(word))]
    service.answers(reply(sample, *slow, sample.end))

    heard = await ask(provider, timeouts=patience(first=BLINK * 5, idle=BLINK * 5))

    assert (heard.text, heard.error) == ("abcdefgh", None)


async def test_an_answer_without_end_is_ended(provider: Provider, sample: Sample, service: Loopback) -> None:
    endless: list[Piece] = [sample.delta("x"), BLINK / 8] * 400
    service.answers(reply(sample, *endless))

    heard = await ask(provider, timeouts=patience(total=BLINK * 5))

    assert isinstance(heard.error, TimedOut)
    assert heard.error.phase == "total"
    assert heard.text.startswith("x")


async def test_a_slow_listener_is_not_taken_for_a_silent_service(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, sample.delta("one "), sample.delta("two"), sample.end))
    target = target_of(provider, timeouts=patience(idle=BLINK))
    texts = []

    async with aclosing(provider.stream(QUESTION, target=target)) as events:
        async for event in events:
            await asyncio.sleep(BLINK * 1.2)
            texts.append(event)

    assert isinstance(texts[-1], CompletionFinished)


@pytest.mark.parametrize("when", ["before the head", "before the text", "in the text"])
async def test_cancelling_closes_the_connection_and_gives_the_slot_back(
    kind: str, sample: Sample, service: Loopback, when: str
) -> None:
    made = provider_at(service.url, kind, **sample.settings)
    if sample.status == 200:
        made._transport._bridge._connections = 1
    pieces = [HANG] if when == "before the text" else [sample.delta("x"), HANG]
    service.answers(
        reply(sample, *pieces, before_s=None if when == "before the head" else 0.0),
        reply(sample, answer(sample, "next")),
    )
    task = asyncio.create_task(ask(made))
    await service.until(lambda: len(service.requests) == 1)
    await asyncio.sleep(0.02)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await service.until(lambda: service.connections == 0)

    assert (await ask(made)).text == "next"
    await made.aclose()


async def test_leaving_a_stream_closes_its_connection(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, sample.delta("x"), HANG))

    async with aclosing(provider.stream(QUESTION, target=target_of(provider))) as events:
        assert await anext(events) == TextDelta("x")

    await service.until(lambda: service.connections == 0)


async def test_a_body_left_open_after_the_last_word_keeps_nobody_waiting(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, answer(sample, "x"), HANG))

    async with asyncio.timeout(END_S * (1.5 if sample.ends_with_body else 0.9)):
        heard = await ask(provider)

    assert heard.finished.finish == "stop"


async def test_a_finished_answer_leaves_its_connection_for_the_next(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    service.answers(reply(sample, answer(sample, "x"), 0.02))

    for _ in range(3):
        assert (await ask(provider)).error is None

    assert service.accepted == (1 if sample.status == 200 else 3)
