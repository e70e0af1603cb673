"""Several reports of one subject, taken in turns with the other subjects so that drift hits all alike."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from tests.bench.accounting import percentile
from tests.bench.plan import Plan, Report
from tests.bench.stage import Stage
from tests.bench.subjects import Subject
from tests.bench.table import Against, Figure


class Rounds:
    """The reports of one subject: CPU as the median round's, latencies of all rounds together."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def cpu_ms_per_1000_tokens(self, process: str = "web") -> float:
        """CPU milliseconds of a process for 1,000 tokens that arrived, turns and all."""
        return statistics.median(
            report.cpu_s(process) * 1e6 / max(report.account.tokens, 1) for report in self.reports
        )

    def cpu_ms_per_turn(self, process: str = "web") -> float:
        """CPU milliseconds of a process for one turn."""
        return statistics.median(
            report.cpu_s(process) * 1e3 / report.account.answers for report in self.reports
        )

    def share(self, process: str) -> float:
        """Of a core, how much a process used from the first question to the last answer."""
        return statistics.median(report.cpu_s(process) / report.wall_s for report in self.reports)

    def kb_per_socket(self, sockets: int) -> float:
        """Resident kilobytes the web process grew by for each socket."""
        return statistics.median(report.bytes_per_socket("web", sockets) / 1024 for report in self.reports)

    def late_ms(self, percent: float) -> float:
        """From the moment the upstream sent a token until the tab had it."""
        return self._ms([us for report in self.reports for us in report.account.late_us], percent)

    def first_late_ms(self, percent: float) -> float:
        """The same for the first token of each answer."""
        return self._ms([us for report in self.reports for us in report.account.first_late_us], percent)

    def first_after_send_ms(self, percent: float) -> float:
        """From sending the question until the first token, without the time the upstream thought."""
        return self._ms([us for report in self.reports for us in report.account.first_after_send_us], percent)

    @property
    def faults(self) -> int:
        """Tokens lost, doubled or out of order, gaps, answers unlike the stored text, dead sockets."""
        return sum(report.account.faults + report.dead for report in self.reports)

    @staticmethod
    def _ms(values_us: Sequence[int], percent: float) -> float:
        return percentile(values_us, percent) / 1000 if values_us else float("nan")


def take_turns(stage: Stage, subjects: Sequence[Subject], plan: Plan, rounds: int) -> dict[str, Rounds]:
    """Play a plan against each subject, `rounds` times over; the rounds are keyed by the subject's name."""
    found = {subject.name: Rounds() for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            found[subject.name].reports.append(stage.play(subject, plan))
    return found


def compared(
    name: str,
    found: Mapping[str, Rounds],
    read: Callable[[Rounds], float],
    *,
    at_most: float | None = None,
    against: Against = "alone",
    decimals: int = 1,
) -> Figure:
    """Return one figure of every subject that took part; see Figure for the rest."""
    values = {subject: read(rounds) for subject, rounds in found.items()}
    return Figure(
        name=name,
        product=values["product"],
        bare=values.get("bare"),
        first=values.get("first"),
        at_most=at_most,
        against=against,
        decimals=decimals,
    )
