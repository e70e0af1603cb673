"""Small tables that are read in every turn, and hardly ever change: kept by each process."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from conversations.models import statements

LOOK_S = 3.0  # a change is in force in every process after this long

T = TypeVar("T")


class Remembered(Generic[T]):
    """What `load` reads, read again when `version` (a statement with one value) says something else.

    That is asked at most every LOOK_S. Belongs to no thread: at worst two of them read it at once.
    """

    def __init__(self, version: str, load: Callable[[], T]) -> None:
        self._sql = version
        self._load = load
        self._known: tuple[object, T] | None = None
        self._looked_at = 0.0

    def get(self) -> T:
        """Return it; usually without a query."""
        now = time.monotonic()
        known = self._known
        if known is not None and now - self._looked_at < LOOK_S:
            return known[1]
        version = statements.fetch(self._sql, [])
        if known is None or known[0] != version:
            known = self._known = (version, self._load())
        self._looked_at = now
        return known[1]

    @property
    def last(self) -> T | None:
        """What was read the last time; None before the first."""
        return None if self._known is None else self._known[1]

    def forget(self) -> None:
        """Read it anew the next time."""
        self._known = None
