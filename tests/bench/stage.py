"""What a benchmark stands on: the scale, the upstream, the subjects, and when a run counts for nothing."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.plan import Plan, Report
from tests.bench.processes import LOAD_CORE, UPSTREAM_CORE
from tests.bench.product import product
from tests.bench.script import Script
from tests.bench.subjects import Subject, Upstream, bare, first, play
from tests.bench.table import Table

BUSY_AT_MOST = 0.9
LAG_AT_MOST_US = 10_000  # of the generator: what it is late by, it would call the subject's latency
UPSTREAM_LAG_AT_MOST_US = 20_000  # a token is stamped when it is sent, so only the rate would suffer
WARMING = Plan(sockets=4, turns=3, script=Script(tokens=5, rate=100))


@dataclass(slots=True)
class Stage:
    """One benchmark's run. `table` is what it will tell; `profile` where the product's profile goes."""

    is_full: bool
    directory: Path
    upstream: Upstream
    table: Table
    profile: Path | None = None

    @contextmanager
    def subjects(self, *names: str) -> Iterator[list[Subject]]:
        """Run the named subjects (`product`, `bare`, `first`) side by side, each having answered before.

        Under a profile only the product runs: it is looked at, not compared.
        """
        wanted = [name for name in names if name == "product" or self.profile is None]
        with ExitStack() as stack:
            found = [stack.enter_context(self._start(name)) for name in wanted]
            for subject in found:
                self.play(subject, WARMING)
                if self.profile is not None:
                    os.kill(subject.pid, signal.SIGUSR1)
            yield found

    def _start(self, name: str) -> AbstractContextManager[Subject]:
        log = self.directory / f"{name}.log"
        match name:
            case "bare":
                return bare(self.upstream, log)
            case "first":
                return first(self.upstream, log)
            case _:
                return product(self.upstream, self.directory / "var", log, profile=self.profile)

    def play(self, subject: Subject, plan: Plan) -> Report:
        """Play a plan against a subject, and note when it was not the subject that was measured."""
        watch = {**subject.watch, "upstream": self.upstream.pid}
        self.upstream.lag_p99_us()
        report = play(replace(plan, url=subject.url, dialect=subject.dialect, watch=watch))
        if plan.turns and plan is not WARMING:
            self._judge(subject.name, report)
        for line in dict.fromkeys(report.dropped + report.trouble):
            self.table.notes.append(f"{subject.name}: {line}")
        return report

    def _judge(self, name: str, report: Report) -> None:
        """Mark the run invalid when generator or upstream were the limit."""
        upstream = report.cpu_s("upstream") / report.wall_s
        shares = {"load generator": report.busy, "upstream": upstream}
        if LOAD_CORE == UPSTREAM_CORE:
            shares = {"load generator and upstream": report.busy + upstream}
        invalid = [
            f"{name}: {who} used {share:.0%} of a core"
            for who, share in shares.items()
            if share > BUSY_AT_MOST
        ]
        if report.lag_p99_us > LAG_AT_MOST_US:
            invalid.append(f"{name}: load generator {report.lag_p99_us / 1000:.0f} ms behind (p99)")
        if (lag_us := self.upstream.lag_p99_us()) > UPSTREAM_LAG_AT_MOST_US:
            invalid.append(f"{name}: upstream {lag_us / 1000:.0f} ms behind its script (p99)")
        self.table.invalid += invalid
        self.table.strangers = max(self.table.strangers, report.strangers)
