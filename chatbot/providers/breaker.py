"""Circuit breakers: a sick target is left alone, by all processes, until a probe is answered.

Each process keeps a copy of what is known of every target it asks, so that a call to a healthy one
costs no look elsewhere. It is written where all can read it when a call fails, and when one is
answered that may end a rest or a run of failures.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatbot.providers import health
from chatbot.providers.base import Target
from chatbot.providers.errors import BadRequest, NotUsable, ProviderError, TimedOut, TryLater
from chatbot.providers.health import Failure, Health
from chatbot.providers.messages import NOTHING
from chatbot.providers.shared import Shared

KEPT_S = 60.0  # what is known of a target that goes unasked; a run of failures is forgotten then
REST_KEPT_S = 3600.0  # an unasked target's rest: it would cost the next visitor a time-out to forget it
FRESH_S = 2.0  # a copy as old as this is read again before it is relied on
HUNG_S = 10.0  # that long without a word is hanging, also when the route's time ended before the target's
TRIES = 5  # others write too
RESTING = "resting"  # the error's code where a breaker refuses

Change = Callable[[Health], Health]


@dataclass(slots=True)
class Course:
    """How one call goes. `heard_at` is when it said its first word (before that, when it began), `run` how
    many calls had failed in a row by then."""

    began_at: float
    heard_at: float
    is_probe: bool = False
    is_answered: bool = False
    run: int = 0
    run_since: float = 0.0


class Breaker:
    """One target's breaker, as this process knows it. `told` hears when it opens and when it closes, and
    whether this process brought that about."""

    def __init__(
        self,
        name: str,
        key: str,
        shared: Shared,
        *,
        clock: Callable[[], float],
        told: Callable[[Health, bool], None],
    ) -> None:
        self.name = name
        self.key = key
        self.health = health.UNKNOWN
        self._shared = shared
        self._clock = clock
        self._told = told
        self._was_resting = False
        self._heard_at = 0.0
        self._answers = 0.0  # not told to the others, halved as theirs are
        self._answers_at = 0.0
        self._changes: list[Change] = []
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_resting(self) -> bool:
        return self.health.resting_since is not None

    async def admit(self, *, insist: bool) -> Course:
        """Let a call through. Raises TryLater (`unavailable`) while the target rests, unless this call is
        to be a probe; one that insists always is."""
        now = self._clock()
        if not self.is_resting:
            return Course(now, now)
        if insist or (now >= self.health.probe_at and await self._claim(now)):
            return Course(now, now, is_probe=self.is_resting)
        raise self._refusal()

    def check(self, course: Course) -> None:
        """Raises TryLater when the target went to rest while a call that was let through still waits."""
        if self.is_resting and not course.is_probe:
            raise self._refusal()

    def _refusal(self) -> TryLater:
        wait_s = max(0.0, self.health.probe_at - self._clock())
        return TryLater(
            "unavailable",
            f"`{self.name}` rests after failures (`{self.health.kind}`); it is tried in {wait_s:.0f} s.",
            code=RESTING,
            retry_after_s=wait_s,
            usage=NOTHING,
        )

    def answered(self, course: Course) -> None:
        """The target has said its first word, or refused in a way that shows that it is well."""
        now = self._heard_at = self._clock()
        if course.is_answered:
            return
        course.is_answered, course.heard_at = True, now
        if self.health.is_clean(now):
            faded = 0.5 ** ((now - self._answers_at) / health.HALF_LIFE_S)
            self._answers, self._answers_at = self._answers * faded + 1, now
            return
        course.run, course.run_since = self.health.run, self.health.run_since
        self._change(lambda known: known.answered(now, began_at=course.began_at))

    def ended(self, course: Course, error: BaseException | None, *, first_s: float) -> None:
        """The call has ended: `error` is None for a whole answer, and no ProviderError when it was cancelled.
        `first_s` is how long the target may take to its first word."""
        match error:
            case None | BadRequest() | NotUsable() | TryLater(kind="auth_expired"):
                self.answered(course)
            case TimedOut(phase="total"):
                pass  # it speaks, if at length
            case TimedOut(phase="route") if self._clock() - course.began_at < min(first_s, HUNG_S):
                self.cancelled(course)  # its time was too short to say anything
            case ProviderError():
                self._failed(course, error)
            case _:
                self.cancelled(course)

    def cancelled(self, course: Course) -> None:
        """The call was given up before it could tell anything of the target."""
        if course.is_probe and not course.is_answered:
            now = self._clock()
            self._change(lambda known: known.unprobed(now))

    def learn(self, stored: bytes | None) -> None:
        """Take over what all know, unless there is something they have yet to hear, or nothing is known."""
        if self._writing is None and (stored is not None or not self.is_resting):
            self._know(health.load(stored), ours=False)

    async def settled(self) -> None:
        """Wait until the others can know what this process knows."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    def _failed(self, course: Course, error: ProviderError) -> None:
        now = self._clock()
        has_hung = isinstance(error, TimedOut) or isinstance(error.__cause__, TimeoutError)
        failure = Failure(
            kind=error.kind,
            hung=has_hung and self._heard_at <= course.heard_at,  # and nobody else has heard it since
            is_probe=course.is_probe,
            run=course.run,
            run_since=course.run_since,
            rest_s=error.retry_after_s or 0.0,
        )
        answers = self._answers * 0.5 ** ((now - self._answers_at) / health.HALF_LIFE_S)
        answers -= 1 if course.is_answered else 0
        self._answers = 0.0
        self._change(lambda known: known.counted(now, answers).failed(now, failure))

    async def _claim(self, now: float) -> bool:
        """Whether this process may send the probe that is due, or none is needed any more."""
        self._know(self.health.probed(now))  # nobody else here tries meanwhile
        for _ in range(TRIES):
            found = await self._shared.read([self.key])
            if found is None:
                return True
            known = health.load(found[0])
            if known.resting_since is None or now < known.probe_at:
                self._know(known)
                return known.resting_since is None
            claimed = known.probed(now)
            if await self._shared.swap(self.key, found[0], claimed.dump(), ttl_s=REST_KEPT_S):
                self._know(claimed)
                return True
        return False

    def _change(self, change: Change) -> None:
        """Change what is known here at once, and elsewhere as soon as can be."""
        self._know(change(self.health))
        self._changes.append(change)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name=f"breaker {self.name}")

    async def _write(self) -> None:
        failed = 0
        try:
            while self._changes and failed < TRIES:
                found = await self._shared.read([self.key])
                if found is None:
                    break
                changes, known = list(self._changes), health.load(found[0])
                for change in changes:
                    known = change(known)
                ttl_s = KEPT_S if known.resting_since is None else REST_KEPT_S
                if await self._shared.swap(self.key, found[0], known.dump(), ttl_s=ttl_s):
                    del self._changes[: len(changes)]
                    for change in self._changes:
                        known = change(known)
                    self._know(known)
                else:
                    failed += 1
        finally:
            self._changes.clear()
            self._writing = None

    def _know(self, known: Health, *, ours: bool = True) -> None:
        self.health = known
        if self._was_resting != self.is_resting:
            self._was_resting = self.is_resting
            self._told(known, ours)


class Breakers:
    """The breakers of all targets this process asks."""

    def __init__(
        self,
        shared: Shared,
        *,
        told: Callable[[Target, Health, bool], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._shared = shared
        self._told = told
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._read_at = float("-inf")

    def of(self, target: Target) -> Breaker:
        """The breaker of a target, by the name of its row."""
        breaker = self._breakers.get(target.name)
        if breaker is None:
            breaker = self._breakers[target.name] = Breaker(
                target.name,
                key_of(target),
                self._shared,
                clock=self._clock,
                told=lambda known, ours: self._told(target, known, ours),
            )
            self._read_at = float("-inf")
        return breaker

    @property
    def is_fresh(self) -> bool:
        """Whether what is known here may be relied on."""
        return self._clock() - self._read_at <= FRESH_S

    async def refresh(self) -> None:
        """Learn what the other processes found out."""
        self._read_at = self._clock()
        breakers = list(self._breakers.values())
        if breakers and (found := await self._shared.read([breaker.key for breaker in breakers])):
            for breaker, stored in zip(breakers, found, strict=True):
                breaker.learn(stored)

    @property
    def all(self) -> Sequence[Breaker]:
        return list(self._breakers.values())


def key_of(target: Target) -> str:
    """Where a target's health stands."""
    return key(target.name, provider=target.provider.name, model=target.model, address=target.address)


def key(row: str, *, provider: str, model: str, address: str) -> str:
    """Where the health of a model row stands: shared by those who mean the same model at the same address."""
    meant = hashlib.blake2s(f"{provider} {model} {address}".encode(), digest_size=6)
    return f"breaker:{row}:{meant.hexdigest()}"
