"""The benchmarks, by name, in the order they run. Each fills in its stage's table."""

from collections.abc import Callable

from tests.bench.benchmarks.gate import gate
from tests.bench.benchmarks.history import history
from tests.bench.benchmarks.idle import idle
from tests.bench.benchmarks.many import many
from tests.bench.benchmarks.parse import parse
from tests.bench.benchmarks.relay import relay
from tests.bench.benchmarks.screening import screening
from tests.bench.benchmarks.sockets import sockets
from tests.bench.benchmarks.turn import turn
from tests.bench.stage import Stage

BENCHMARKS: dict[str, Callable[[Stage], None]] = {
    "relay": relay,
    "turn": turn,
    "many": many,
    "sockets": sockets,
    "idle": idle,
    "history": history,
    "parse": parse,
    "gate": gate,
    "screening": screening,
}
