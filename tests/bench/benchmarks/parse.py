"""What it costs to read the stream of each wire, beside splitting lines and decoding JSON unasked."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from chatbot.providers.base import Target
from chatbot.providers.http import HttpProvider
from chatbot.providers.scripted import Scripted
from tests.bench.script import write_token
from tests.bench.stage import Stage
from tests.bench.table import Figure
from tests.bench.upstream import spoken
from tests.providers.asking import provider_at
from tests.providers.loopback import SWITCHING
from tests.providers.websocket import payloads
from tests.providers.wires import SAMPLES

DELTAS = 10_000
RUNS = 5  # the best of them counts
READS = (1, 4)  # deltas that come in one read: at 50 tokens a second, and at 130 with 30 ms between reads
DATA = b"data: "


def parse(stage: Stage) -> None:
    """Measure our splitters and readers, and a loop over lines with json and with orjson."""
    stage.table.title = "parse: CPU ms per 1,000 deltas, read from the bytes of a stream"
    stage.table.columns = ("product", "split + json", "split + orjson")
    words = [write_token(number, number) for number in range(DELTAS)]
    for reads in READS:
        stage.table.figures.append(
            figure("openai, as it sends them", "openai", list(map(spoken, words)), reads)
        )
    for kind, sample in SAMPLES.items():
        events = list(map(sample.delta, words))
        if sample.status == SWITCHING:  # the messages of a WebSocket reach the reader as lines
            events = [b"".join(payload + b"\n" for payload in payloads(event)) for event in events]
        stage.table.figures += [figure(kind, kind, events, reads) for reads in READS]


def figure(name: str, kind: str, events: Sequence[bytes], deltas: int) -> Figure:
    """Return what it costs when `deltas` of them come in one read."""
    reads = [b"".join(events[at : at + deltas]) for at in range(0, len(events), deltas)]
    provider = provider_at("http://127.0.0.1", kind, **SAMPLES[kind].settings)
    return Figure(
        name=f"{name}, {deltas} a read",
        product=cost_ms(lambda: product(provider, reads)),
        bare=cost_ms(lambda: plain(reads, json.loads)),
        first=cost_ms(lambda: plain(reads, orjson.loads)),
        against="ratio",
        decimals=2,
    )


def product(provider: HttpProvider, reads: Sequence[bytes]) -> None:
    """Read as the provider does."""
    wire = provider._wire
    splitter = wire.splitter()
    reader = wire.reader(Target(name="bench", provider=Scripted([]), model="bench"))
    said = 0
    for read in reads:
        for event in splitter.feed(read):
            reader.take(event)
        said += len(reader.deltas())
    assert said == len(reads)  # one delta, of all that came together


def plain(reads: Sequence[bytes], loads: Callable[[bytes], Any]) -> None:
    """The least that anybody has to do: find the lines that hold JSON, and decode it."""
    for read in reads:
        for line in read.split(b"\n"):
            if line.startswith(DATA):
                loads(line[len(DATA) :])
            elif line.startswith(b"{"):
                loads(line)


def cost_ms(work: Callable[[], None]) -> float:
    """CPU milliseconds for 1,000 deltas."""
    costs = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        costs.append(time.process_time() - started)
    return min(costs) * 1e6 / DELTAS
