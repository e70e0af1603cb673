"""Requests, tokens and places of the last minute, counted in this process: what sharing.py counts for all."""

from collections.abc import Sequence

from chatbot.providers.shared import FULL_S, LEASE_S, WINDOW_S, Ask


class _Bucket:
    """Requests and tokens by the second in which they were taken, and until when each place is held."""

    __slots__ = ("held", "requests", "tokens")

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        self.tokens: dict[int, int] = {}
        self.held: dict[str, float] = {}

    def wait_s(self, ask: Ask, now: float) -> float:
        """How long until what is asked for may be there: 0 if it is."""
        self._forget(now)
        limits = ask.limits
        waits = [0.0]
        if limits.parallel and len(self.held) >= limits.parallel:
            waits.append(FULL_S)
        if limits.rpm:
            waits.append(_wait_s(self.requests, limits.rpm - 1, now))
        if limits.tpm:  # one request that is larger than the limit may go alone
            waits.append(_wait_s(self.tokens, limits.tpm - min(ask.tokens, limits.tpm), now))
        return max(waits)

    def take(self, ask: Ask, holder: str, now: float) -> None:
        second = int(now)
        self.requests[second] = self.requests.get(second, 0) + 1
        self.tokens[second] = self.tokens.get(second, 0) + ask.tokens
        if ask.limits.parallel:
            self.held[holder] = now + LEASE_S

    def _forget(self, now: float) -> None:
        for counts in (self.requests, self.tokens):
            for second in [second for second in counts if second < int(now) - WINDOW_S]:
                del counts[second]
        for holder in [holder for holder, until in self.held.items() if until <= now]:
            del self.held[holder]


class Allowances:
    """Buckets by name."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def take(self, asks: Sequence[Ask], holder: str, *, now: float) -> float:
        """Take all that is asked for, or nothing: 0, or the seconds after which to try again."""
        buckets = [(self._buckets.setdefault(ask.bucket, _Bucket()), ask) for ask in asks]
        wait_s = max(bucket.wait_s(ask, now) for bucket, ask in buckets)
        if not wait_s:
            for bucket, ask in buckets:
                bucket.take(ask, holder, now)
        return wait_s

    def settle(self, asks: Sequence[Ask], holder: str, *, at: float, tokens: int) -> None:
        """Give back the places, and correct the tokens that were taken at `at` by so many."""
        for ask in asks:
            bucket = self._buckets.get(ask.bucket)
            if bucket is not None:
                bucket.held.pop(holder, None)
                if int(at) in bucket.tokens:
                    bucket.tokens[int(at)] += tokens

    def renew(self, held: Sequence[tuple[str, str]], *, now: float) -> None:
        """Hold the places, each a bucket and its holder, for another LEASE_S."""
        for name, holder in held:
            if name in self._buckets and holder in self._buckets[name].held:
                self._buckets[name].held[holder] = now + LEASE_S


def _wait_s(counts: dict[int, int], room: int, now: float) -> float:
    """How long until at most `room` of the counts are left in the window."""
    over = sum(counts.values()) - room
    for second in sorted(counts):
        if over <= 0:
            break
        over -= counts[second]
        if over <= 0:
            return second + WINDOW_S + 1 - now
    return 0.0
