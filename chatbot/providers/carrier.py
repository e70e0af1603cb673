"""How a request reaches a service and its answer comes back, whatever carries the bytes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from chatbot.providers.keys import KeyRing, Secret


class Incoming(ABC):
    """An answer whose body has yet to be read. `headers` takes names in any case, or in lower case."""

    status: int
    headers: Mapping[str, str]

    @abstractmethod
    async def read(self) -> bytes:
        """Return all bytes that have come, waiting for the first; empty at the end of the body.

        Raises ConnectionError when the connection broke off before that."""

    async def body(self, *, at_most: int) -> bytes:
        """Return the whole body, or its first `at_most` bytes."""
        body = bytearray()
        with suppress(ConnectionError):  # what has come is enough to say what went wrong
            while len(body) < at_most and (piece := await self.read()):
                body += piece
        return bytes(body[:at_most])

    @abstractmethod
    async def pause(self, until: float, *, hold_back: bool) -> None:
        """Wait until `until` (loop time). With `hold_back` nothing need be taken from the network
        meanwhile: it waits in the kernel, and one wake-up fetches it all."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, unless it can be used again. Waits for nothing, so it is done even in a
        task that is being cancelled."""


class Carrier(Protocol):
    """Brings a request to a service, and the answer back."""

    @property
    def token(self) -> Secret | None:
        """The access token sent last, where there are any."""
        ...

    async def forget_token(self) -> None:
        """The service refused that token where no auth flow could see it: the next request gets another."""
        ...

    @property
    def keys(self) -> KeyRing | None:
        """The keys that take turns, where one of them is sent with each request."""
        ...

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str],
        connect_s: float,
        key: Secret | None = None,
    ) -> Incoming:
        """Send a request and return the answer once its head is there. `key` is the one of `keys` to use,
        None: the next in turn. Raises TryLater (`unavailable`) when no connection comes about in
        `connect_s`, or it breaks before the answer begins."""
        ...

    async def aclose(self) -> None:
        """Close all connections; running answers break off."""
        ...
