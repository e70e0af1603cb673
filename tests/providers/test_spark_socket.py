"""Spark's WebSocket: how it is opened, what may come over it, and how it ends."""

import asyncio
import base64
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from websockets.frames import Opcode

from chatbot.providers import spark
from chatbot.providers.events import TextDelta
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.spark import FrameWire, SparkSocketSettings
from chatbot.providers.spark_socket import SocketTransport
from chatbot.providers.sse import MAX_EVENT_BYTES
from tests.providers import websocket
from tests.providers.asking import (
    QUESTION,
    Heard,
    ask,
    provider_at,
    target_of,
)
from tests.providers.certificate import self_signed, serving
from tests.providers.loopback import HANG, Loopback, Piece, Request, json_reply, loopback
from tests.providers.wires import SAMPLES, answer, reply

FRAMES = SAMPLES["spark_ws"]


async def heard(service: Loopback, *pieces: Piece) -> Heard:
    """What is read from these bytes."""
    service.answers(reply(FRAMES, *pieces))
    provider = provider_at(service.url, "spark_ws", **FRAMES.settings)
    said = await ask(provider)
    await provider.aclose()
    return said


async def opened(service: Loopback, **fields: Any) -> Request:
    """The request that opens a WebSocket. `settings` are the provider row's, the rest the target's."""
    service.answers(reply(FRAMES, answer(FRAMES, "Hi")))
    provider = provider_at(service.url, "spark_ws", **{**FRAMES.settings, **fields.pop("settings", {})})
    await ask(provider, **fields)
    await provider.aclose()
    return service.requests[-1]


async def test_the_signature_is_made_when_the_socket_is_opened(service: Loopback) -> None:
    request = await opened(service, model="generalv3.5", settings={"query": {"trace": "1"}})

    path, _, query = request.path.partition("?")
    said = {name: value for name, [value] in parse_qs(query).items()}
    at = parsedate_to_datetime(said["date"]).timestamp()
    assert abs(at - time.time()) < 60
    again = spark.signed_url(
        f"ws://127.0.0.1:{service.port}{path}",
        at,
        api_key=FRAMES.settings["api_key"],
        api_secret=FRAMES.settings["api_secret"],
    )
    expected = dict(parse_qsl(urlsplit(again).query))
    assert said == {**expected, "trace": "1"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": "HMAC signature cannot be verified: fail to retrieve credential"}, "auth"),
        (403, {"message": "HMAC signature cannot be verified, a valid date is required"}, "auth"),
        (403, {"message": "not for you"}, "permission"),
        (429, {"message": "too many"}, "rate_limit"),
        (200, {"code": 11200, "message": "AppIdNoAuthError"}, "permission"),
        (200, {"hello": "world"}, "bad_response"),
    ],
)
async def test_a_handshake_that_fails_says_why(service: Loopback, status: int, body: Any, kind: str) -> None:
    service.answers(json_reply(status, body))
    provider = provider_at(service.url, "spark_ws", **FRAMES.settings)

    error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert error.kind == kind
    assert body.get("message", "WebSocket") in error.message


async def test_a_message_in_several_frames_is_one(service: Loopback) -> None:
    data = (
        b'{"header": {"code": 0},\r\n "payload": {"choices": {"status": 1, "text": [{"content": "Hello"}]}}}'
    )
    parts = [
        websocket.frame(data[:20], fin=False),
        websocket.frame(b"still there", Opcode.PING),
        websocket.frame(data[20:50], Opcode.CONT, fin=False),
        websocket.frame(data[50:], Opcode.CONT),
    ]

    said = await heard(service, *parts, FRAMES.end)

    assert (said.text, said.error) == ("Hello", None)


@pytest.mark.parametrize(
    "fault",
    [
        b"\x81\x83abcdefg",  # a service that masks its frames
        b"\x83\x00",  # an unknown opcode
        websocket.frame(b"x" * 9, Opcode.CONT),
        b"\x81\x7f" + (MAX_EVENT_BYTES + 1).to_bytes(8, "big"),
    ],
)
async def test_a_broken_protocol_is_a_bad_response(service: Loopback, fault: bytes) -> None:
    said = await heard(service, FRAMES.delta("Half"), fault, HANG)

    assert said.text == "Half"
    assert said.error is not None
    assert said.error.kind == "bad_response"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
async def test_a_farewell_in_mid_answer_does_not_make_it_whole(service: Loopback, code: int) -> None:
    said = await heard(service, FRAMES.delta("Half"), websocket.close(code))

    assert said.text == "Half"
    assert said.error is not None
    assert said.error.kind == "incomplete_stream"


async def test_something_else_than_a_websocket_is_told(service: Loopback) -> None:
    server = await asyncio.start_server(_shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    provider = provider_at(f"ws://127.0.0.1:{port}", "spark_ws", **FRAMES.settings)

    async with server:
        error = (await ask(provider)).error
    await provider.aclose()

    assert error is not None
    assert error.kind == "bad_response"
    assert "no WebSocket" in error.message


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_leaving_says_goodbye(service: Loopback) -> None:
    service.answers(reply(FRAMES, FRAMES.delta("x"), HANG))
    provider = provider_at(service.url, "spark_ws", **FRAMES.settings)

    async with aclosing(provider.stream(QUESTION, target=target_of(provider))) as events:
        assert await anext(events) == TextDelta("x")
    await service.until(lambda: service.connections == 0)
    await provider.aclose()

    assert service.last_words[0] == 0x88  # a frame that closes


async def test_closing_the_provider_ends_what_runs(service: Loopback) -> None:
    service.answers(reply(FRAMES, FRAMES.delta("x"), HANG))
    provider = provider_at(service.url, "spark_ws", **FRAMES.settings)
    running = asyncio.create_task(ask(provider))
    await service.until(lambda: bool(service.requests and service.requests[-1].body))

    await provider.aclose()

    said = await running
    assert said.error is not None
    assert said.error.kind == "incomplete_stream"


async def test_neither_signature_nor_keys_are_logged(
    service: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    request = await opened(service)

    [signature] = parse_qs(request.path.partition("?")[2])["authorization"]
    for secret in (signature, base64.b64decode(signature).decode(), "sk-very-secret-key", "key-1"):
        assert secret not in caplog.text


@pytest.mark.parametrize("is_secure", [False, True], ids=["ws", "wss"])
async def test_the_way_may_lead_through_a_proxy(tmp_path: Path, is_secure: bool) -> None:
    pem = self_signed(tmp_path)
    asked: list[bytes] = []
    async with (
        loopback(tls=serving(pem) if is_secure else None) as service,
        tunnel(service.port, asked) as port,
    ):
        service.answers(reply(FRAMES, answer(FRAMES, "Hi")))
        url = f"{'wss' if is_secure else 'ws'}://spark.invalid:81"
        provider = over(url, pem, proxy=f"http://me:p%40ss@127.0.0.1:{port}")

        said = await ask(provider, model="lite")
        await provider.aclose()

    assert (said.text, said.error) == ("Hi", None)
    assert asked[0].startswith(b"CONNECT spark.invalid:81 HTTP/1.1\r\n")
    assert base64.b64encode(b"me:p@ss") in asked[0]


async def test_a_proxy_that_refuses_is_told(tmp_path: Path) -> None:
    async with tunnel(0, []) as port:
        provider = over("ws://elsewhere.invalid", None, proxy=f"http://127.0.0.1:{port}")

        error = (await ask(provider)).error
        await provider.aclose()

    assert error is not None
    assert (error.kind, "the proxy did not connect" in error.message) == ("unavailable", True)


async def test_a_secure_socket_is_opened_where_the_certificate_is_trusted(tmp_path: Path) -> None:
    pem = self_signed(tmp_path)
    async with loopback(tls=serving(pem)) as service:
        service.answers(reply(FRAMES, FRAMES.delta("Hi"), FRAMES.end), reply(FRAMES, FRAMES.delta("x"), HANG))
        url = f"https://127.0.0.1:{service.port}"
        trusting, wary = over(url, pem), over(url, None)

        said, unsaid = await ask(trusting), await ask(wary)
        async with aclosing(trusting.stream(QUESTION, target=target_of(trusting))) as events:
            assert await anext(events) == TextDelta("x")
        await service.until(lambda: service.connections == 0)
        await trusting.aclose()
        await wary.aclose()

    assert (said.text, said.error) == ("Hi", None)
    assert unsaid.error is not None
    assert "certificate is not trusted" in unsaid.error.message


def over(url: str, pem: Path | None, *, proxy: str | None = None) -> HttpProvider:
    """A provider at `url` that trusts the certificate in `pem`, None: those that everybody trusts."""
    settings = SparkSocketSettings(base_url=url, **FRAMES.settings)
    sign = partial(spark.signed_url, api_key=Secret("k"), api_secret=Secret("s"))
    tls = ssl.create_default_context(cafile=pem) if pem else None
    transport = SocketTransport("service", sign=sign, proxy=proxy, tls=tls)
    return HttpProvider("service", FrameWire(settings), transport, base_url=url)


@asynccontextmanager
async def tunnel(to_port: int, asked: list[bytes]) -> AsyncIterator[int]:
    """A proxy, by its port, that knows the way to `spark.invalid` only. It notes what it is asked."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if b"spark.invalid" not in asked[-1]:
            writer.write(b"HTTP/1.1 407 Who are you\r\n\r\n")
            writer.close()
            ended.set()
            return
        there, back = await asyncio.open_connection("127.0.0.1", to_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, back), pipe(there, writer))
        ended.set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await ended.wait()
