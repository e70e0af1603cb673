"""Access tokens: kept for all callers, fetched by one of them."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from chatbot.providers.keys import Secret

RENEW_AHEAD_S = 60.0  # a token must not expire between our look at the clock and the service's
RENEW_AHEAD_SHARE = 0.1  # of its lifetime, for tokens that live so shortly that a minute is most of it


@dataclass(frozen=True, slots=True)
class Token:
    """`expires_at` is Unix time, None when the service did not say."""

    value: Secret
    expires_at: float | None = None

    def is_fresh(self, now: float) -> bool:
        """Whether it will hold for one more request."""
        return self.expires_at is None or now < self.expires_at


def expiring(value: str, lifetime_s: float | None, *, now: float, ahead_s: float = RENEW_AHEAD_S) -> Token:
    """A token to be renewed `ahead_s` before the end of its life, or less if that is short."""
    if lifetime_s is None:
        return Token(Secret(value))
    return Token(Secret(value), now + lifetime_s - min(ahead_s, lifetime_s * RENEW_AHEAD_SHARE))


class TokenStore(Protocol):
    """Where tokens lie. `name` tells the provider row, and the account a token belongs to."""

    async def load(self, name: str) -> Token | None:
        """Return the token kept, fresh or not."""
        ...

    async def save(self, name: str, token: Token) -> None:
        """Keep a token in place of the one before."""
        ...

    def renewal(self, name: str) -> AbstractAsyncContextManager[object]:
        """Held by the one who fetches; the others wait for it and then load."""
        ...


@dataclass
class ProcessTokens:
    """Keeps tokens in this process."""

    _tokens: dict[str, Token] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def load(self, name: str) -> Token | None:
        return self._tokens.get(name)

    async def save(self, name: str, token: Token) -> None:
        self._tokens[name] = token

    def renewal(self, name: str) -> AbstractAsyncContextManager[object]:
        return self._locks.setdefault(name, asyncio.Lock())
