"""What is known of a target's health, and when it is left alone. Pure: values in, values out.

A target rests after three failures in a row over two seconds, when half of many calls fail, or at
the first time-out while nobody else hears it speak. A resting target is asked by one call now and
then; the first word it says ends the rest.
"""

from dataclasses import astuple, dataclass, replace

import orjson

HALF_LIFE_S = 5.0  # of the counts: what is ten seconds old counts a quarter
RUN = 3  # failures in a row: one is an accident, and its retry hits the same trouble
RUN_S = 2.0  # that long: on a busy target three in a row may happen by chance within milliseconds
RUN_FORGOTTEN_S = 60.0
MANY = 10  # failures, from where on their share says something
REST_S = 5.0  # until the first probe; doubled by each that fails
HANGING_REST_S = 10.0  # its probes cost a visitor the whole time-out
LONGEST_REST_S = 20.0  # with the next visitor's question, within the promised 30 s of recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that failed. `hung`: it ran into our time-out, and meanwhile nobody heard the target.
    `run` and `run_since` are the failures in a row before its own first word, if it had spoken."""

    kind: str
    hung: bool = False
    is_probe: bool = False
    run: int = 0
    run_since: float = 0.0
    rest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """Instants are Unix times. `resting_since` is None while calls go through."""

    answers: float = 0.0
    failures: float = 0.0
    counted_at: float = 0.0
    run: int = 0
    run_since: float = 0.0
    resting_since: float | None = None
    probe_at: float = 0.0
    rest_s: float = 0.0
    kind: str = ""

    def answered(self, now: float, *, began_at: float) -> "Health":
        """A call that began at `began_at` was answered (its first word counts). Of a resting target
        only a call that began after it went to rest says anything."""
        if self.resting_since is not None:
            return Health(answers=1.0, counted_at=now) if began_at >= self.resting_since else self
        return replace(self.counted(now, 1.0), run=0, run_since=0.0)

    def counted(self, now: float, answers: float) -> "Health":
        """So many answers are added (less than 0: they broke off). They say nothing of the run."""
        aged = self._aged(now)
        return replace(aged, answers=max(0.0, aged.answers + answers))

    def failed(self, now: float, failure: Failure) -> "Health":
        """A call failed. While a target rests only its probes say anything new."""
        if self.resting_since is not None:
            if not failure.is_probe:
                return self
            rest_s = min(max(self.rest_s * 2, failure.rest_s), LONGEST_REST_S)
            return replace(self, rest_s=rest_s, probe_at=now + rest_s, kind=failure.kind)
        aged = self._aged(now)
        runs = [(aged.run, aged.run_since), (failure.run, failure.run_since)]
        known = [(run, since) for run, since in runs if run and now - since <= RUN_FORGOTTEN_S]
        run, since = 1 + sum(run for run, _ in known), min([now, *(since for _, since in known)])
        health = replace(aged, failures=aged.failures + 1, run=run, run_since=since, kind=failure.kind)
        in_a_row = run >= RUN and now - since >= RUN_S
        of_many = health.failures >= MANY and health.failures >= health.answers
        if not (failure.hung or in_a_row or of_many):
            return health
        rest_s = max(HANGING_REST_S if failure.hung else REST_S, failure.rest_s)
        rest_s = min(rest_s, LONGEST_REST_S)
        return replace(health, resting_since=now, rest_s=rest_s, probe_at=now + rest_s)

    def probed(self, now: float) -> "Health":
        """A probe goes out: the next one only after another rest, whatever becomes of this."""
        return replace(self, probe_at=now + self.rest_s)

    def unprobed(self, now: float) -> "Health":
        """The probe came to nothing: another one may go out."""
        return self if self.resting_since is None else replace(self, probe_at=now)

    def is_clean(self, now: float) -> bool:
        """Whether the others need not hear of its answers."""
        return self.resting_since is None and (not self.run or now - self.run_since > RUN_FORGOTTEN_S)

    def dump(self) -> bytes:
        """What `load` reads."""
        return orjson.dumps(astuple(self))

    def _aged(self, now: float) -> "Health":
        faded = 0.5 ** (max(0.0, now - self.counted_at) / HALF_LIFE_S)
        return replace(self, answers=self.answers * faded, failures=self.failures * faded, counted_at=now)


UNKNOWN = Health()


def load(stored: bytes | None) -> Health:
    """Read what `dump` wrote; what nobody knows, or understands, is healthy."""
    try:
        return Health(*orjson.loads(stored)) if stored else UNKNOWN
    except (TypeError, ValueError):
        return UNKNOWN
