"""How many answers one core carries: 400 streams of 30 tokens a second, 12,000 tokens a second in all."""

from tests.bench.plan import Plan
from tests.bench.rounds import Rounds, compared, take_turns
from tests.bench.script import Script
from tests.bench.stage import Stage

STREAMS = 400
P99_MS = 100


def many(stage: Stage) -> None:
    """Measure product and bare relay; the consumer as one writes it first needs more than a core."""
    stage.table.title = f"many: {STREAMS} streams of 30 tokens a second by one web process on one core"
    script = Script(tokens=900 if stage.is_full else 300, rate=30, think_ms=200)
    with stage.subjects("product", "bare") as subjects:
        plan = Plan(sockets=STREAMS, turns=1, script=script, stagger_s=5)
        found = take_turns(stage, subjects, plan, rounds=1)
    stage.table.figures += [
        compared("token late by, p50 ms", found, lambda rounds: rounds.late_ms(50)),
        compared("token late by, p99 ms", found, lambda rounds: rounds.late_ms(99), at_most=P99_MS),
        compared("CPU ms per 1,000 tokens", found, Rounds.cpu_ms_per_1000_tokens),
        compared("percent of the core used", found, lambda rounds: rounds.share("web") * 100, decimals=0),
        compared(
            "tokens lost, doubled, out of order",
            found,
            lambda rounds: rounds.faults,
            at_most=0,
            decimals=0,
        ),
    ]
