"""Whether silence costs the connection: sockets that say nothing are still there, and answer, afterwards."""

from tests.bench.plan import Plan
from tests.bench.rounds import compared, take_turns
from tests.bench.stage import Stage

SOCKETS = 50


def idle(stage: Stage) -> None:
    """Keep sockets idle, beyond the 5 s after which a badly set channel layer drops them."""
    seconds = 60 if stage.is_full else 20
    stage.table.title = f"idle: {SOCKETS} sockets silent for {seconds} s"
    with stage.subjects("product") as subjects:
        found = take_turns(stage, subjects, Plan(sockets=SOCKETS, idle_s=seconds), rounds=1)
    stage.table.figures += [
        compared("sockets dropped", found, lambda rounds: rounds.faults, at_most=0, decimals=0),
    ]
