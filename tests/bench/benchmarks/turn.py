"""What a turn costs beyond its tokens: answers of one token, one after the other."""

from tests.bench.plan import Plan
from tests.bench.rounds import Rounds, compared, take_turns
from tests.bench.stage import Stage

CPU_MS = 2.2
SOCKETS = 8


def turn(stage: Stage) -> None:
    """Measure one-token turns on a few sockets, each asking again as soon as it is answered."""
    turns = 100 if stage.is_full else 40
    stage.table.title = f"turn: answers of one token, {turns} in each of {SOCKETS} conversations"
    with stage.subjects("product", "bare", "first") as subjects:
        plan = Plan(sockets=SOCKETS, turns=turns)
        found = take_turns(stage, subjects, plan, rounds=5 if stage.is_full else 3)
    stage.table.figures += [
        compared("CPU ms per turn", found, Rounds.cpu_ms_per_turn, at_most=CPU_MS, decimals=2),
        compared(
            "sending to first delta, p50 ms", found, lambda rounds: rounds.first_after_send_ms(50), decimals=2
        ),
        compared(
            "sending to first delta, p99 ms", found, lambda rounds: rounds.first_after_send_ms(99), decimals=2
        ),
        compared("faults", found, lambda rounds: rounds.faults, at_most=0, decimals=0),
    ]
    redis_ms = found["product"].cpu_ms_per_turn("redis")
    stage.table.notes.append(f"product: redis used {redis_ms:.2f} ms of CPU per turn beside")
