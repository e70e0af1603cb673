"""What it costs to read an OpenAI stream, beside splitting lines and decoding JSON unasked."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from chatbot.providers.base import Target
from chatbot.providers.openai import ChatWire, OpenAISettings
from chatbot.providers.scripted import Scripted
from chatbot.providers.sse import EventSplitter
from tests.bench.script import write_token
from tests.bench.stage import Stage
from tests.bench.table import Figure
from tests.bench.upstream import spoken

DELTAS = 20_000
READS = (1, 4)  # deltas that come in one read: at 50 tokens a second, and at 130 with 30 ms between reads


def parse(stage: Stage) -> None:
    """Measure our splitter and reader, and a loop over lines with json and with orjson."""
    stage.table.title = "parse: reading the deltas of an OpenAI stream"
    stage.table.columns = ("product", "split + json", "split + orjson")
    events = [spoken(write_token(number, number)) for number in range(DELTAS)]
    stage.table.figures += [figure(events, deltas) for deltas in READS]


def figure(events: Sequence[bytes], deltas: int) -> Figure:
    """Return what it costs when `deltas` of them come in one read."""
    reads = [b"".join(events[at : at + deltas]) for at in range(0, len(events), deltas)]
    return Figure(
        name=f"CPU ms per 1,000 deltas, {deltas} a read",
        product=cost_ms(lambda: product(reads)),
        bare=cost_ms(lambda: plain(reads, json.loads)),
        first=cost_ms(lambda: plain(reads, orjson.loads)),
        against="ratio",
        decimals=2,
    )


def product(reads: Sequence[bytes]) -> None:
    """Read as the provider does."""
    target = Target(name="bench", provider=Scripted([]), model="bench")
    splitter, reader = EventSplitter(), ChatWire(OpenAISettings()).reader(target)
    for read in reads:
        for event in splitter.feed(read):
            reader.take(event)
        reader.deltas()


def plain(reads: Sequence[bytes], loads: Callable[[bytes], Any]) -> None:
    """Read as one writes it first."""
    for read in reads:
        texts = [
            loads(line[6:])["choices"][0]["delta"].get("content")
            for line in read.split(b"\n")
            if line.startswith(b"data: ")
        ]
        "".join(texts)


def cost_ms(work: Callable[[], None]) -> float:
    """CPU milliseconds for 1,000 deltas, the best of five runs."""
    costs = []
    for _ in range(5):
        started = time.process_time()
        work()
        costs.append(time.process_time() - started)
    return min(costs) * 1e6 / DELTAS
