"""How a request proves who sends it: httpx auth flows around keys, tokens and signatures."""

from collections.abc import AsyncGenerator

import httpx

from chatbot.providers.keys import KeyRing

UNAUTHORIZED = 401


class KeyAuth(httpx.Auth):
    """A fixed key in a header: `Authorization: Bearer KEY`, or the bare key in another header.

    With several keys they take turns; one that is refused rests, and the request goes out once more
    with the next.
    """

    def __init__(self, keys: KeyRing, *, header: str | None = None) -> None:
        self._keys = keys
        self._header = header or "Authorization"
        self._prefix = "Bearer " if self._header.lower() == "authorization" else ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        key = self._keys.take()
        request.headers[self._header] = self._prefix + key.reveal()
        response = yield request
        if response.status_code == UNAUTHORIZED and self._keys.refuse(key):
            request.headers[self._header] = self._prefix + self._keys.take().reveal()
            yield request
