"""What the processes that ask the same services share: small values, and counted allowances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatbot.providers.base import CallLimits

WINDOW_S = 60  # rpm and tpm are counted over the last minute, in whole seconds
LEASE_S = 30.0  # a place among the `parallel` ones falls free so long after its process died
FULL_S = 0.1  # how long it makes sense to wait before asking again for one of the `parallel` places


@dataclass(frozen=True, slots=True)
class Ask:
    """What one call wants of one bucket: a request, so many tokens, and a place among the parallel ones."""

    bucket: str
    limits: CallLimits
    tokens: int


class Shared(Protocol):
    """Kept outside of this process. An answer of None means that it is away: count for yourself.

    Instants are Unix times of the caller's clock.
    """

    async def read(self, names: Sequence[str]) -> Sequence[bytes | None] | None:
        """Return the value of each name, None for one that is not there."""
        ...

    async def swap(self, name: str, old: bytes | None, new: bytes | None, *, ttl_s: float) -> bool | None:
        """Put `new` in the place of `old` (None: nothing). False when something else stands there."""
        ...

    async def take(self, asks: Sequence[Ask], holder: str, *, now: float) -> float | None:
        """Take all that is asked for, or nothing: 0, or the seconds after which to try again.
        Places are held for LEASE_S; `holder` names the call."""
        ...

    def settle(
        self, asks: Sequence[Ask], holder: str, *, at: float, tokens: int, then: Callable[[], None]
    ) -> None:
        """Give back the places, and correct the tokens that were taken at `at` by so many. Returns at
        once; `then` is called when it is done, or cannot be."""
        ...

    def renew(self, held: Sequence[tuple[str, str]], *, now: float) -> None:
        """Hold the places, each a bucket and its holder, for another LEASE_S."""
        ...


class Alone:
    """Nothing is shared: always away."""

    async def read(self, names: Sequence[str]) -> Sequence[bytes | None] | None:
        return None

    async def swap(self, name: str, old: bytes | None, new: bytes | None, *, ttl_s: float) -> bool | None:
        return None

    async def take(self, asks: Sequence[Ask], holder: str, *, now: float) -> float | None:
        return None

    def settle(
        self, asks: Sequence[Ask], holder: str, *, at: float, tokens: int, then: Callable[[], None]
    ) -> None:
        then()

    def renew(self, held: Sequence[tuple[str, str]], *, now: float) -> None:
        """Nobody would know of it."""
