"""Access tokens of model services, shared by the processes and sealed where they lie.

Whoever can read Redis, or a copy of it, learns no token; they are open in our memory only.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chatbot.providers.keys import Secret
from chatbot.providers.shared import Shared
from chatbot.providers.tokens import ProcessTokens, Token

RENEWAL_S = 30.0  # what fetching a token may take; when a process dies meanwhile, another goes on then
LOOK_S = 0.05  # between two looks whether somebody else is done fetching
KEPT_S = 86_400.0  # a token whose service does not say how long it lives; a refused one is replaced


class SealedTokens:
    """A TokenStore over what is shared; while that is away, each process fetches its own tokens.

    A token is read once and then kept in this process until a renewal."""

    def __init__(self, shared: Shared, *, secret: str) -> None:
        self._shared = shared
        self._fernet = Fernet(_key(secret))
        self._local = ProcessTokens()
        self._unlocking: set[asyncio.Task[None]] = set()

    async def load(self, name: str) -> Token | None:
        """Return the token kept, fresh or not."""
        token = await self._local.load(name)
        return await self._read(name) if token is None else token

    async def save(self, name: str, token: Token) -> None:
        """Keep a token in place of the one before."""
        await self._local.save(name, token)
        found = await self._shared.read([_token_key(name)])
        if found is not None:
            sealed = self._fernet.encrypt(orjson.dumps([token.value.reveal(), token.expires_at]))
            await self._shared.swap(_token_key(name), found[0], sealed, ttl_s=KEPT_S)

    def renewal(self, name: str) -> AbstractAsyncContextManager[object]:
        """Held by the one who fetches, of all processes; the others wait for it and then load."""
        return self._renewal(name)

    @asynccontextmanager
    async def _renewal(self, name: str) -> AsyncIterator[None]:
        known = await self._local.load(name)
        async with self._local.renewal(name):
            if await self._local.load(name) is not known:
                yield  # somebody here has just renewed it
                return
            lock, mine = f"renewal:{name}", secrets.token_hex(8).encode()
            locking = asyncio.create_task(self._lock(lock, mine))
            try:
                await asyncio.shield(locking)
                await self._read(name)
                yield
            finally:
                unlocking = asyncio.create_task(self._unlock(lock, mine, locking))
                self._unlocking.add(unlocking)
                unlocking.add_done_callback(self._unlocking.discard)

    async def _lock(self, lock: str, mine: bytes) -> None:
        """Wait until nobody else fetches, or for so long that he must have died."""
        until = asyncio.get_running_loop().time() + RENEWAL_S
        while await self._shared.swap(lock, None, mine, ttl_s=RENEWAL_S) is False:
            if asyncio.get_running_loop().time() > until:
                return
            await asyncio.sleep(LOOK_S)

    async def _unlock(self, lock: str, mine: bytes, locking: asyncio.Task[None]) -> None:
        """Let the next one fetch, also when the taking of the lock was given up in the middle."""
        await locking
        await self._shared.swap(lock, mine, None, ttl_s=RENEWAL_S)

    async def _read(self, name: str) -> Token | None:
        found = await self._shared.read([_token_key(name)])
        if found is None or found[0] is None:
            return None
        try:
            value, expires_at = orjson.loads(self._fernet.decrypt(found[0]))
        except InvalidToken:
            return None  # sealed with an earlier SECRET_KEY
        token = Token(Secret(value), expires_at)
        await self._local.save(name, token)
        return token


def _token_key(name: str) -> str:
    return f"token:{name}"


def _key(secret: str) -> bytes:
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"chatbot access tokens")
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
