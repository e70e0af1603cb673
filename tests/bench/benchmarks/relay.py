"""What it costs to pass answers on, and how late they arrive, with persistence and history on.

The work of a turn is part of it, spread over the answer's tokens, as in life.
"""

from collections.abc import Mapping

from tests.bench.plan import Plan
from tests.bench.rounds import Rounds, compared, take_turns
from tests.bench.script import Script
from tests.bench.stage import Stage
from tests.bench.table import Figure

CPU_TO_BARE_SLOW, CPU_TO_BARE_FAST = 2.3, 1.5
ADDED_P50_MS, ADDED_P99_MS = 20, 40
FIRST_P50_MS = 5


def relay(stage: Stage) -> None:
    """Measure 40 streams of 50 tokens a second, then 20 of 200."""
    stage.table.title = "relay: answers passed on side by side by one web process on one core"
    loads = [
        (40, Script(tokens=500 if stage.is_full else 300, rate=50, think_ms=200), CPU_TO_BARE_SLOW),
        (20, Script(tokens=1000 if stage.is_full else 800, rate=200, think_ms=200), CPU_TO_BARE_FAST),
    ]
    with stage.subjects("product", "bare", "first") as subjects:
        for streams, script, cpu_to_bare in loads:
            plan = Plan(sockets=streams, turns=1, script=script, stagger_s=0.5)
            found = take_turns(stage, subjects, plan, rounds=3 if stage.is_full else 1)
            stage.table.figures += _figures(f"{streams} x {script.rate:g}/s: ", found, cpu_to_bare)


def _figures(load: str, found: Mapping[str, Rounds], cpu_to_bare: float) -> list[Figure]:
    return [
        compared(
            load + "CPU ms per 1,000 tokens",
            found,
            Rounds.cpu_ms_per_1000_tokens,
            at_most=cpu_to_bare,
            against="ratio",
        ),
        compared(
            load + "token late by, p50 ms",
            found,
            lambda rounds: rounds.late_ms(50),
            at_most=ADDED_P50_MS,
            against="added",
        ),
        compared(
            load + "token late by, p99 ms",
            found,
            lambda rounds: rounds.late_ms(99),
            at_most=ADDED_P99_MS,
            against="added",
        ),
        compared(
            load + "first delta after the upstream's, p50 ms",
            found,
            lambda rounds: rounds.first_late_ms(50),
            at_most=FIRST_P50_MS,
        ),
        compared(
            load + "first delta after the upstream's, p99 ms", found, lambda rounds: rounds.first_late_ms(99)
        ),
        compared(
            load + "first delta after sending less thinking, p50 ms",
            found,
            lambda rounds: rounds.first_after_send_ms(50),
            at_most=FIRST_P50_MS,
        ),
        compared(
            load + "first delta after sending less thinking, p99 ms",
            found,
            lambda rounds: rounds.first_after_send_ms(99),
        ),
        compared(
            load + "tokens lost, doubled, out of order",
            found,
            lambda rounds: rounds.faults,
            at_most=0,
            decimals=0,
        ),
    ]
