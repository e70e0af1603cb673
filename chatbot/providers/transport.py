"""Connections to one service: httpx's requests, which aiohttp carries, with errors turned into ours.

httpx's own transport costs more than half of the CPU of a relayed stream, and loses pool slots when
requests are cancelled (httpcore #1093). The bridge to aiohttp is our own and short: it names errors
as aiohttp does, and lets a stream be read without a layer between.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import cache, lru_cache
from types import SimpleNamespace

import aiohttp
import httpx
import yarl

from chatbot.providers.auth import KEY, KeyAuth, TokenFlow
from chatbot.providers.carrier import Incoming
from chatbot.providers.errors import HUNG_UP, NotUsable, ProviderError, TryLater
from chatbot.providers.keys import KeyRing, Secret

CONNECTIONS = 1000  # at once, to one service; far above what one process can answer
KEEP_ALIVE_S = 60.0  # an idle connection saves the next request a TLS handshake
URLS = 64  # of one service, kept parsed: one a model, or one a mode of asking it
STALE_S = 1.0  # a pooled connection that the service had closed says so at once; later it may have worked
MAX_FIELD_BYTES = 65536  # of one response header: Huawei's token comes in one of several kB
FLOW_BYTES = 8 << 20  # of an answer that an auth flow reads: a token, an error, or a whole answer

HEADERS = {
    "Accept": "application/json",  # what the official libraries say, for streams too
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # a compressed stream arrives in lumps
}

# aiohttp has undone the encoding: httpx shall not try again. It would send cookies back.
KEPT_FROM_HTTPX = (b"content-encoding", b"set-cookie")

# At INFO httpx logs every URL, and some services want their token in it.
logging.getLogger("httpx").setLevel(logging.WARNING)


@cache
def trusted() -> ssl.SSLContext:
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
        self._auth = auth
        self._query = dict(query or {})
        self._whole_url = lru_cache(URLS)(self._merged)
        self._headers = {**_lower(HEADERS), **_lower(headers or {})}
        self._bridge = _Bridge(proxy=proxy, connections=connections)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str],
        connect_s: float,
        key: Secret | None = None,
    ) -> "Answer":
        timeout = httpx.Timeout(None, connect=connect_s, pool=connect_s)
        request = httpx.Request(
            "POST",
            self._whole_url(url),
            headers={**self._headers, **_lower(headers)},
            content=body,
            extensions={"timeout": timeout.as_dict(), KEY: key},
        )
        try:
            response = await self._sent(request)
        except aiohttp.ClientResponseError as error:
            raise unavailable(
                self._service, error, connect_s
            ) from None  # it names the URL, and a token may be in it
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(self._service, error, connect_s) from error
        except ValueError as error:
            message = f"The key of `{self._service}` holds characters that no header can carry."
            raise NotUsable("auth", message) from error
        begun = response.content if response.is_stream_consumed else b""  # the auth flow has looked at it
        return Answer(response.extensions["aiohttp"], begun=begun)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        """Send a request as its auth flow wants it.

        httpx's client would do the same, with redirects, cookies and hooks that nobody asks for here:
        they cost as much as the sending.
        """
        if self._auth is None:
            return await self._bridge.handle_async_request(request)
        async with aclosing(self._auth.async_auth_flow(request)) as flow:
            request = await anext(flow)
            while True:
                response = await self._bridge.handle_async_request(request)
                response.request = request
                try:
                    request = await flow.asend(response)
                    await response.aread()  # the connection is used again
                except StopAsyncIteration:
                    return response
                except BaseException:
                    await response.aclose()
                    raise

    def _merged(self, url: str) -> httpx.URL:
        return httpx.URL(url).copy_merge_params(self._query)  # httpx would drop the URL's own query

    @property
    def token(self) -> Secret | None:
        return self._auth.in_use if isinstance(self._auth, TokenFlow) else None

    async def forget_token(self) -> None:
        if isinstance(self._auth, TokenFlow):
            await self._auth.forget()

    @property
    def keys(self) -> KeyRing | None:
        return self._auth.keys if isinstance(self._auth, KeyAuth) else None

    async def aclose(self) -> None:
        await self._bridge.aclose()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def unavailable(service: str, error: Exception, connect_s: float) -> ProviderError:
    """Say why there is no connection; `code` says where there had been one."""
    code: str | None = None
    match error:
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            reason = "its name is not known"
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            reason = "its certificate is not trusted"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            reason = "no TLS connection came about"
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            reason = "the proxy did not connect"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            reason = f"no connection came about in {connect_s:g} s"
        case aiohttp.ClientConnectorError() | ConnectionRefusedError() if error.errno is not None:
            reason = os.strerror(error.errno).lower()
        case OSError() if error.errno is not None:
            reason, code = os.strerror(error.errno).lower(), HUNG_UP
        case aiohttp.ServerDisconnectedError() | EOFError():
            reason, code = "it hung up without an answer", HUNG_UP
        case aiohttp.ClientResponseError():
            return TryLater("bad_response", f"`{service}` answered with something that is not HTTP.")
        case _:
            reason, code = type(error).__name__, HUNG_UP
    return TryLater("unavailable", f"`{service}` could not be reached: {reason}.", code=code)


class Answer(Incoming):
    """A response over HTTP. `begun` is what of its body has been read."""

    def __init__(self, response: aiohttp.ClientResponse, *, begun: bytes = b"") -> None:
        self._response = response
        self._begun = begun
        self._content = response.content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError("The connection broke off.") from error

    async def pause(self, until: float, *, hold_back: bool) -> None:
        connection = self._response.connection
        network = connection and connection.transport
        if not network:
            return  # the body has ended
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(until, _wake, over)
        if hold_back:
            network.pause_reading()
        try:
            await over
        finally:
            timer.cancel()
            if hold_back:
                network.resume_reading()

    def close(self) -> None:
        self._response.close()  # if its body was read to the end, the connection is back in the pool


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class _Bridge(httpx.AsyncBaseTransport):
    """Sends httpx's requests through an aiohttp session, made in the loop of the first request."""

    def __init__(self, *, proxy: str | None, connections: int) -> None:
        self._proxy = proxy
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._session is None:
            self._session = self._open()
        response = await self._sent(self._session, request)
        return httpx.Response(
            response.status,
            headers=[pair for pair in response.raw_headers if pair[0].lower() not in KEPT_FROM_HTTPX],
            stream=_Body(response),
            extensions={"aiohttp": response},
        )

    async def _sent(self, session: aiohttp.ClientSession, request: httpx.Request) -> aiohttp.ClientResponse:
        """Send, and send again what went into a pooled connection that the service had just closed."""
        limits = request.extensions.get("timeout", {})  # an auth flow's own request has none
        clock = asyncio.get_running_loop().time
        while True:
            way, sent_at = _Way(), clock()
            try:
                return await session.request(
                    request.method,
                    yarl.URL(str(request.url), encoded=True),  # as signed
                    headers=request.headers,
                    data=request.content,
                    allow_redirects=False,
                    proxy=self._proxy,
                    timeout=aiohttp.ClientTimeout(
                        connect=limits.get("pool"), sock_connect=limits.get("connect")
                    ),
                    trace_request_ctx=way,
                )
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not way.is_pooled or clock() - sent_at > STALE_S:
                    raise

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=KEEP_ALIVE_S, ssl=trusted()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=MAX_FIELD_BYTES,
            trust_env=False,
            trace_configs=[_ways()],
        )


class _Way:
    """How a request went: over a connection that had served before, or a new one."""

    __slots__ = ("is_pooled",)

    def __init__(self) -> None:
        self.is_pooled = False


def _ways() -> aiohttp.TraceConfig:
    """Notes in a request's _Way that it went over a pooled connection."""

    async def note(session: object, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.is_pooled = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


class _Body(httpx.AsyncByteStream):
    """For the auth flows, which read an answer before they send the request again."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._response.content.iter_any():
            size += len(piece)
            if size > FLOW_BYTES:
                raise TryLater("bad_response", f"The service sent more than {FLOW_BYTES} bytes.")
            yield piece

    async def aclose(self) -> None:
        self._response.close()
