"""A stranger at the other end: answers whose JSON has anything anywhere."""

import math
import random
import re
from collections.abc import Iterator
from typing import Any

import orjson

from chatbot.providers.base import Provider, Timeouts
from chatbot.providers.events import CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import Usage
from chatbot.providers.wire import COUNTS, MOST_TOKENS
from tests import scale
from tests.providers.asking import Heard, ask
from tests.providers.loopback import SWITCHING, Loopback, json_reply
from tests.providers.websocket import payloads
from tests.providers.wires import Sample, reply

ROUNDS = scale.count(60, 2000)
SHORT = Timeouts(connect_s=5, first_s=5, idle_s=5, total_s=10)
ANYTHING: list[Any] = [
    None, True, 0, -1, 7, 1.5, 3.0, 1e300, 2**63 - 1, 2**40, "", "x", "0", "a\0b", "\ud7ff\u2028", [], [3],
    ["x"], {}, {"code": -1}, {"text": 3}, [[]], [None], {"type": "error"},
]  # fmt: skip
OBJECT = re.compile(rb"\{.*\}")  # of one line: the JSON of an event


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value where something stands: its holder, and the key or index there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in list(pairs):
        yield value, key
        yield from spots(inside)


def spoil(data: bytes, chance: random.Random) -> bytes:
    """Put something else in one place of a JSON object, or take away what is there."""
    value = orjson.loads(data)
    holder, key = chance.choice(list(spots(value)))
    if isinstance(holder, dict) and chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = chance.choice(ANYTHING)
    return orjson.dumps(value)


def spoiled_stream(sample: Sample, chance: random.Random) -> bytes:
    """A stream with one spoiled event."""
    body = sample.delta("Your ") + sample.delta("parcel") + sample.end
    if sample.status == SWITCHING:
        messages = [each for each in payloads(body) if OBJECT.fullmatch(each)]
        at = chance.randrange(len(messages))
        messages[at] = spoil(messages[at], chance)
        return b"".join(map(sample.frame, messages))
    match = chance.choice(list(OBJECT.finditer(body)))
    return body[: match.start()] + spoil(match[0], chance) + body[match.end() :]


def check(heard: Heard) -> None:
    """What comes out can be kept: texts are texts, counts are counts, and there is one end."""
    for event in heard.events:
        if isinstance(event, TextDelta | ReasoningDelta):
            assert type(event.text) is str
            assert event.text
            assert "\0" not in event.text
    if heard.error is None:
        finished = heard.finished
        words, usage = [finished.finish_raw, finished.request_id], finished.usage
        for call in finished.tool_calls:
            assert {type(call.id), type(call.name), type(call.arguments)} == {str}
    else:
        assert not any(isinstance(event, CompletionFinished) for event in heard.events)
        words, usage = [heard.error.code, heard.error.request_id, heard.error.message], heard.error.usage
        wait_s = heard.error.retry_after_s
        assert wait_s is None or (wait_s >= 0 and math.isfinite(wait_s))
    for word in words:
        assert word is None or (type(word) is str and "\0" not in word)
    check_usage(usage)


def check_usage(usage: Usage) -> None:
    counts = {name: getattr(usage, name) for name in COUNTS}
    for count in counts.values():
        assert count is None or (type(count) is int and 0 <= count <= MOST_TOKENS)
    if None in (counts["input_tokens"], counts["output_tokens"]):
        assert usage.kind == "unknown"


async def test_whatever_a_stranger_sends_in_a_stream_is_an_answer_or_an_error(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    chance = random.Random(3)
    for number in range(ROUNDS):
        spoiled = spoiled_stream(sample, chance)
        service.answers(reply(sample, spoiled))

        heard = await ask(provider, timeouts=SHORT)

        try:
            check(heard)
        except AssertionError as error:
            raise AssertionError(f"round {number}: {spoiled!r}") from error


async def test_whatever_a_stranger_sends_as_a_whole_answer_is_an_answer_or_an_error(
    provider: Provider, sample: Sample, service: Loopback
) -> None:
    if sample.whole is None:
        return
    chance = random.Random(4)
    for _ in range(ROUNDS):
        spoiled = spoil(orjson.dumps(sample.whole("Your parcel")), chance)
        service.answers(json_reply(chance.choice([200, 200, 400, 429, 500]), spoiled.decode()))

        heard = await ask(provider, timeouts=SHORT, stream=False)

        check(heard)
