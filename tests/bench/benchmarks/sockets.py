"""What a visitor costs who says nothing: resident memory for each open socket."""

from tests.bench.plan import Plan
from tests.bench.rounds import compared, take_turns
from tests.bench.stage import Stage

KB = 45


def sockets(stage: Stage) -> None:
    """Open sockets beside some that are open already, and see how the process grew."""
    count = 1000 if stage.is_full else 200
    stage.table.title = f"sockets: {count} visitors who say nothing"
    with stage.subjects("product", "bare", "first") as subjects:
        found = take_turns(stage, subjects, Plan(sockets=count, warm_sockets=50), rounds=1)
    stage.table.figures += [
        compared("KB per idle socket", found, lambda rounds: rounds.kb_per_socket(count), at_most=KB),
        compared("sockets dropped", found, lambda rounds: rounds.faults, at_most=0, decimals=0),
    ]
