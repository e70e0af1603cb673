"""Connections that become a WebSocket: one for each request, one frame out, many in.

The frames of an answer are handed on as lines of JSON, so that it is read as any stream is. The library
only speaks the protocol here; reading, waiting and closing are our own, as over HTTP.
"""

import asyncio
import base64
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlencode, urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from chatbot.providers.carrier import Incoming
from chatbot.providers.errors import NotUsable, TryLater
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.sse import MAX_EVENT_BYTES
from chatbot.providers.transport import trusted, unavailable

MEDIA_TYPE = "websocket"  # in place of a content type, once a WebSocket is open
READ_BYTES = 65536
TLS_GOODBYE_S = 1.0  # who has left need not wait for the other's farewell
SPACES = bytes.maketrans(b"\r\n", b"  ")  # JSON has line ends only between its values

# At DEBUG the library logs the URL, and the signature in it.
logger = logging.getLogger("websockets.client")
logger.setLevel(logging.INFO)

Sign = Callable[[str, float], str]
"""Makes of a plain URL the one to connect to at this Unix time."""


class SocketTransport:
    """Opens a WebSocket for each request."""

    def __init__(
        self,
        service: str,
        *,
        sign: Sign,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._sign = sign
        self._headers = dict(headers or {})
        self._query = f"?{urlencode(query)}" if query else ""
        self._proxy = proxy
        self._tls = tls
        self._clock = clock
        self._open: set[SocketAnswer] = set()

    @property
    def token(self) -> Secret | None:
        return None

    async def forget_token(self) -> None:
        pass

    @property
    def keys(self) -> KeyRing | None:
        return None

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str],
        connect_s: float,
        key: Secret | None = None,
    ) -> "SocketAnswer":
        plain = re.sub("^http", "ws", url) + self._query
        try:
            uri = parse_uri(self._sign(plain, self._clock()))
        except (InvalidURI, ValueError):
            message = f"`base_url` of `{self._service}` is no address of a WebSocket."
            raise NotUsable("not_configured", message) from None  # the error shows the signature
        try:
            async with asyncio.timeout(connect_s):
                reader, writer = await self._connect(uri)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise unavailable(self._service, error, connect_s) from error
        answer = SocketAnswer(self._service, uri, reader, writer, on_close=self._open.discard)
        self._open.add(answer)
        try:
            await answer.begin(body, {**self._headers, **headers})
        except BaseException:
            answer.close()
            raise
        return answer

    async def aclose(self) -> None:
        for answer in list(self._open):
            answer.close()
        await asyncio.sleep(0)  # the sockets close in the next turn of the loop

    async def _connect(self, uri: WebSocketURI) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = self._context(is_secure=uri.secure)
        goodbye_s = TLS_GOODBYE_S if uri.secure else None
        if not self._proxy:
            return await asyncio.open_connection(uri.host, uri.port, ssl=tls, ssl_shutdown_timeout=goodbye_s)
        reader, writer = await self._tunnel(self._proxy, f"{uri.host}:{uri.port}")
        if tls:
            try:
                await writer.start_tls(tls, server_hostname=uri.host)
            except BaseException:
                writer.close()
                raise
        return reader, writer

    def _context(self, *, is_secure: bool) -> ssl.SSLContext | None:
        return (self._tls or trusted()) if is_secure else None

    async def _tunnel(self, proxy: str, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to `address` through an HTTP proxy."""
        parts = urlsplit(proxy)
        tls = self._context(is_secure=parts.scheme == "https")
        port = parts.port or (443 if tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
        try:
            lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
            if parts.username:
                user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
            writer.write("\r\n".join([*lines, "\r\n"]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if head.split(b" ", 2)[1:2] != [b"200"]:
                message = f"`{self._service}` could not be reached: the proxy did not connect."
                raise TryLater("unavailable", message)
        except BaseException:
            writer.close()
            raise
        return reader, writer


class SocketAnswer(Incoming):
    """What comes over a WebSocket, or what a service says that opens none."""

    def __init__(
        self,
        service: str,
        uri: WebSocketURI,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_close: Callable[["SocketAnswer"], None],
    ) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._service = service
        self._reader = reader
        self._writer = writer
        self._on_close = on_close
        self._protocol = ClientProtocol(uri, max_size=MAX_EVENT_BYTES, logger=logger)
        self._message = bytearray()  # whose last frame has not come
        self._unread = bytearray()
        self._has_ended = False

    async def begin(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Shake hands and send the one frame. Raises TryLater when nobody answers as HTTP does."""
        request = self._protocol.connect()
        request.headers.update(headers)
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is State.CONNECTING and not self._protocol.handshake_exc:
            try:
                await self._receive()
            except ConnectionError as error:
                raise unavailable(self._service, EOFError(), 0.0) from error
        match self._protocol.handshake_exc:
            case None:
                self.status, self.headers = 200, {"content-type": MEDIA_TYPE}
                self._protocol.send_text(body)
                self._flush()
            case InvalidStatus(response=response):
                self.status = response.status_code
                self.headers = {name.lower(): value for name, value in response.headers.raw_items()}
                self._unread += response.body or b""
                self._has_ended = True
            case fault:
                if isinstance(fault.__cause__, EOFError):
                    raise unavailable(self._service, EOFError(), 0.0) from fault
                message = f"`{self._service}` answered with something that is no WebSocket."
                raise TryLater("bad_response", message) from fault

    async def read(self) -> bytes:
        while not self._unread and not self._has_ended:
            match self._protocol.parser_exc:
                case None:
                    await self._receive()
                case EOFError():
                    raise ConnectionError("The connection broke off.")
                case fault:
                    raise TryLater("bad_response", f"The service broke the protocol: {fault}.") from fault
        unread, self._unread = bytes(self._unread), bytearray()
        return unread

    async def pause(self, until: float, *, hold_back: bool) -> None:
        await asyncio.sleep(until - asyncio.get_running_loop().time())

    def close(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._writer.close()
        self._on_close(self)

    async def _receive(self) -> None:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise ConnectionError("The connection broke off.") from error
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()

    def _take(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._message += frame.data
                if frame.fin:
                    self._unread += self._message.translate(SPACES) + b"\n"
                    self._message.clear()
            case Opcode.CLOSE:
                self._has_ended = True

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # an empty one would end our side: `close` does
                self._writer.write(data)
