"""What processes share, kept in this one: two gates over one Memory are two processes."""

import asyncio
from collections.abc import Callable, Sequence

from chatbot.providers.allowances import Allowances
from chatbot.providers.shared import Ask


class Memory:
    """`is_away` as Redis may be. `looks` counts how often anybody asked it anything."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.allowances = Allowances()
        self.is_away = False
        self.looks = 0

    async def _way(self) -> None:
        """There and back: others come between."""
        self.looks += 1
        await asyncio.sleep(0)

    async def read(self, names: Sequence[str]) -> Sequence[bytes | None] | None:
        await self._way()
        return None if self.is_away else [self.values.get(name) for name in names]

    async def swap(self, name: str, old: bytes | None, new: bytes | None, *, ttl_s: float) -> bool | None:
        await self._way()
        if self.is_away:
            return None
        if self.values.get(name) != old:
            return False
        if new is None:
            self.values.pop(name, None)
        else:
            self.values[name] = new
        return True

    async def take(self, asks: Sequence[Ask], holder: str, *, now: float) -> float | None:
        await self._way()
        return None if self.is_away else self.allowances.take(asks, holder, now=now)

    def settle(
        self, asks: Sequence[Ask], holder: str, *, at: float, tokens: int, then: Callable[[], None]
    ) -> None:
        if not self.is_away:
            self.allowances.settle(asks, holder, at=at, tokens=tokens)
        then()

    def renew(self, held: Sequence[tuple[str, str]], *, now: float) -> None:
        if not self.is_away:
            self.allowances.renew(held, now=now)
