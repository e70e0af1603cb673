"""What it costs that no forbidden word is shown: the gate, beside a loop that only takes the deltas."""

import random
import time
from collections.abc import Callable, Sequence

from conversations.demo import DEMO
from conversations.moderation.detectors import DETECTORS
from conversations.moderation.gate import Gate
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset
from tests.bench.stage import Stage
from tests.bench.table import Figure

DELTAS = 5_000
CHARACTERS = 4  # of a delta: about a token
RUNS = 5  # the best of them counts
DELAY_MS = 5.0
COST_MS = 40.0  # of 1,000 tokens: no more than it costs to relay them
COUNTS = (0, 1_000, 20_000)
CHINESE = (
    "送货需要三到五个工作日，您可以在六十天内退回任何未使用的商品。如果您在两个尺码之间，请选择较大的一个。"
)


def screening(stage: Stage) -> None:
    """Measure feeding answers, with growing lists of words, without and with every detector."""
    stage.table.title = f"screening: CPU ms per 1,000 deltas of {CHARACTERS} characters"
    stage.table.columns = ("gate", "bare loop", "")
    detectors = [
        Rule(id=name, kind="detector", pattern=name, action="mask", stages=frozenset({"output"}))
        for name in DETECTORS
    ]
    for name, text in (("English", DEMO.instructions), ("Chinese", CHINESE)):
        deltas = cut(text.replace("@", " "))
        for count in COUNTS:
            words = word_rules(count)
            stage.table.figures.append(figure(f"{name}, {count:,} words", words, deltas))
        every = [*words, *detectors]
        stage.table.figures.append(figure(f"{name}, {COUNTS[-1]:,} words and all detectors", every, deltas))
    began = time.process_time()
    ruleset = Ruleset(every).prepare()
    stage.table.notes.append(
        f"{COUNTS[-1]:,} words and all detectors are made ready in {time.process_time() - began:.1f} s"
    )
    stage.table.figures.append(
        Figure(
            name="added to a delta, p95, ms",
            product=delay_p95_ms(ruleset, deltas),
            at_most=DELAY_MS,
            decimals=3,
        )
    )


def figure(name: str, rules: Sequence[Rule], deltas: Sequence[str]) -> Figure:
    """Return what these rules cost on these deltas."""
    ruleset = Ruleset(rules).prepare()
    return Figure(
        name=name,
        product=cost_ms(lambda: feed(ruleset, deltas)),
        bare=cost_ms(lambda: take(deltas)),
        at_most=COST_MS,
        decimals=2,
    )


def feed(ruleset: Ruleset, deltas: Sequence[str]) -> None:
    """Let an answer through."""
    gate = Gate(ruleset)
    size = sum(len(gate.feed(delta)) for delta in deltas) + len(gate.finish())
    assert size or not deltas
    assert not gate.is_blocked


def take(deltas: Sequence[str]) -> None:
    """The least that anybody has to do."""
    assert sum(len(delta) for delta in deltas)


def cut(text: str) -> list[str]:
    """Cut a text, again and again, into as many deltas as are fed."""
    whole = (text + "\n") * (1 + DELTAS * CHARACTERS // len(text))
    return [whole[at : at + CHARACTERS] for at in range(0, DELTAS * CHARACTERS, CHARACTERS)]


def word_rules(count: int) -> list[Rule]:
    """Words that begin like those of any answer, half of them Chinese, none of which stands in the texts."""
    chance = random.Random(1)
    letters, signs = "etaoinshrdlucmfw", [chr(0x4E00 + at) for at in range(3_000)]

    def word(at: int) -> tuple[str, bool]:
        if at % 2:
            return "".join(chance.choices(signs, k=chance.randint(3, 5))), True
        return "".join(chance.choices(letters, k=chance.randint(5, 10))) + "q", False

    return [
        Rule(
            id=str(at),
            kind="word",
            pattern=pattern,
            action="block",
            stages=frozenset({"output"}),
            boundary="none" if is_chinese else "word",
            spaced=True,
        )
        for at, (pattern, is_chinese) in enumerate(map(word, range(count)))
    ]


def cost_ms(work: Callable[[], None]) -> float:
    """CPU milliseconds for 1,000 deltas."""
    costs = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        costs.append(time.process_time() - started)
    return min(costs) * 1e6 / DELTAS


def delay_p95_ms(ruleset: Ruleset, deltas: Sequence[str]) -> float:
    """How long a delta is being looked at; the pace at which they come makes no difference to it."""
    gate = Gate(ruleset)
    delays = []
    for delta in deltas:
        started = time.perf_counter()
        gate.feed(delta)
        delays.append(time.perf_counter() - started)
    return sorted(delays)[int(0.95 * len(delays))] * 1e3
