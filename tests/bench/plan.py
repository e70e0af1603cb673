"""What the load generator is told and what it reports; both travel as JSON between two processes."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from tests.bench.accounting import Account
from tests.bench.script import Script
from tests.bench.tabs import Dialect, Place

ONE_TOKEN = Script(tokens=1, rate=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`sockets` tabs, each asking `turns` questions one after the other, then silent for `idle_s`.

    Tabs begin one after the other, spread evenly over `stagger_s`. `warm_sockets` are opened before
    the first sample and kept. With `places`, tab `i` goes to place `i` modulo their number. The
    stage fills in whom it is played against: `url`, `dialect`, and `watch`, the processes whose CPU
    and memory are sampled.
    """

    sockets: int
    turns: int = 0
    script: Script = ONE_TOKEN
    stagger_s: float = 0.0
    idle_s: float = 0.0
    warm_sockets: int = 0
    places: tuple[Place, ...] = ()
    url: str = ""
    dialect: Dialect = "anchor"
    watch: dict[str, int] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Return JSON."""
        return orjson.dumps(self)

    @classmethod
    def load(cls, data: bytes) -> "Plan":
        """Read what `dump` wrote."""
        values: dict[str, Any] = orjson.loads(data)
        script = Script(**values.pop("script"))
        places = tuple(Place(**place) for place in values.pop("places"))
        return cls(script=script, places=places, **values)


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one instant: CPU seconds since its start, resident bytes now."""

    cpu_s: float
    resident_bytes: int


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of a plan.

    Samples are per watched process: before the sockets, with them, before the first question, and
    after the last answer. Between those last two, `busy` is the share of a core the generator used,
    `lag_p99_us` how late its event loop was, and `strangers` what processes that have no part in
    the benchmark used of a core. `dropped` says why sockets ended that should have stayed, `silent`
    counts those that no longer answered, `trouble` is for reading.
    """

    account: Account
    wall_s: float
    busy: float
    lag_p99_us: float
    strangers: float
    dropped: list[str]
    silent: int
    trouble: list[str]
    places: list[Place]
    before_sockets: dict[str, Sample]
    with_sockets: dict[str, Sample]
    before_turns: dict[str, Sample]
    after_turns: dict[str, Sample]

    @property
    def dead(self) -> int:
        """Sockets that did not last."""
        return len(self.dropped) + self.silent

    def cpu_s(self, name: str) -> float:
        """CPU seconds a watched process used from the first question to the last answer."""
        return self.after_turns[name].cpu_s - self.before_turns[name].cpu_s

    def bytes_per_socket(self, name: str, sockets: int) -> float:
        """How much a watched process grew for each socket."""
        grown = self.with_sockets[name].resident_bytes - self.before_sockets[name].resident_bytes
        return grown / sockets

    def dump(self) -> bytes:
        """Return JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def load(cls, data: bytes) -> "Report":
        """Read what `dump` wrote."""
        values: dict[str, Any] = orjson.loads(data)
        for stage in ("before_sockets", "with_sockets", "before_turns", "after_turns"):
            values[stage] = {name: Sample(**sample) for name, sample in values[stage].items()}
        values["account"] = Account(**values["account"])
        values["places"] = [Place(**place) for place in values["places"]]
        return cls(**values)
