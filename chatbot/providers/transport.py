"""Connections to one service: httpx over aiohttp, with its errors turned into ours.

aiohttp carries the bytes because httpx's own transport costs more than half of the CPU of a relayed
stream, and loses pool slots when requests are cancelled (httpcore #1093).
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from chatbot.providers.errors import ProviderError, TryLater

CONNECTIONS = 1000  # at once, to one service; far above what one process can answer
KEEP_ALIVE_S = 60.0  # an idle connection saves the next request a TLS handshake
MAX_FIELD_BYTES = 65536  # of one response header: Huawei's token comes in one of several kB

HEADERS = {
    "Accept": "application/json",  # what the official libraries say, for streams too
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # a compressed stream arrives in lumps
}

# At INFO httpx logs every URL, and some services want their token in it.
logging.getLogger("httpx").setLevel(logging.WARNING)


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates we trust; reading them takes some 25 ms, once."""
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """A pool of connections to one service. It belongs to the event loop that first uses it."""

    def __init__(
        self,
        service: str,
        *,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        proxy: str | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._service = service
        self._connections = connections
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(
                client=self._session,
                proxy=httpx.Proxy(proxy) if proxy else None,
                trust_env=False,
                verify=False,  # its own context goes unused: the session brings one that verifies
            ),
            auth=auth,
            headers={**HEADERS, **(headers or {})},
            params=dict(query or {}),
            trust_env=False,
            follow_redirects=False,
        )

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=KEEP_ALIVE_S,
                ssl=_trusted(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            max_field_size=MAX_FIELD_BYTES,
            trust_env=False,
            auto_decompress=False,
        )

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str], connect_s: float) -> "Answer":
        """Send a request and return the answer once its head is there. Raises TryLater (`unavailable`)
        when no connection comes about in `connect_s`, or it breaks before the answer begins."""
        request = self._client.build_request(
            "POST",
            url,
            content=body,
            headers=headers,
            timeout=httpx.Timeout(None, connect=connect_s, pool=connect_s),
        )
        try:
            return Answer(await self._client.send(request, stream=True))
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._unavailable(error, connect_s) from error

    async def aclose(self) -> None:
        await self._client.aclose()

    def _unavailable(self, error: Exception, connect_s: float) -> ProviderError:
        """httpx-aiohttp 0.2.0 calls a refused connection a ConnectTimeout: the cause knows better."""
        cause = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
        match cause:
            case aiohttp.ClientConnectorDNSError() | socket.gaierror():
                reason = "its name is not known"
            case aiohttp.ClientConnectorCertificateError():
                reason = "its certificate is not trusted"
            case aiohttp.ClientSSLError():
                reason = "no TLS connection came about"
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                reason = "the proxy did not connect"
            case aiohttp.ServerTimeoutError() | TimeoutError():
                reason = f"no connection came about in {connect_s:g} s"
            case aiohttp.ClientConnectorError() | OSError() if cause.errno is not None:
                reason = os.strerror(cause.errno).lower()
            case aiohttp.ServerDisconnectedError():
                reason = "it hung up without an answer"
            case aiohttp.ClientResponseError():
                message = f"`{self._service}` answered with something that is not HTTP."
                return TryLater("bad_response", message)
            case _:
                reason = type(cause).__name__
        return TryLater("unavailable", f"`{self._service}` could not be reached: {reason}.")


class Answer:
    """A response whose body has yet to be read. `headers` has lower-case names."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        self._pieces: AsyncIterator[bytes] = (
            response.aiter_bytes() if encoded else response.stream.__aiter__()  # type: ignore[union-attr]
        )

    async def read(self) -> bytes:
        """Return the bytes that have come, waiting for the first; empty at the end of the body.

        Raises ConnectionError when the connection broke off before that."""
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            return b""
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise ConnectionError("The connection broke off.") from error

    async def body(self, *, at_most: int) -> bytes:
        """Return the whole body, or its first `at_most` bytes."""
        body = bytearray()
        with suppress(ConnectionError):  # what has come is enough to say what went wrong
            while len(body) < at_most and (piece := await self.read()):
                body += piece
        return bytes(body[:at_most])

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it. Done even when
        the task is being cancelled."""
        await asyncio.shield(self._response.aclose())
