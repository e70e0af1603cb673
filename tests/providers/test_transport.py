"""Connections: what goes wrong below HTTP, and what may lie between a service and us."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatbot.providers.keys import Secret
from tests import scale
from tests.providers.asking import QUESTION, ask, provider_at, target_of
from tests.providers.certificate import self_signed, serving
from tests.providers.loopback import Loopback, Reply, cut, json_reply
from tests.providers.wires import SAMPLES

SAMPLE = SAMPLES["openai"]


def says(*texts: str, **more: Any) -> Reply:
    return Reply(pieces=[*map(SAMPLE.delta, texts), SAMPLE.end], **more)


async def asked(url: str, **settings: Any) -> Any:
    provider = provider_at(url, "openai", **settings)
    heard = await ask(provider)
    await provider.aclose()
    return heard


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a TLS service with a certificate that nobody vouches for."""
    context = serving(self_signed(tmp_path))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_certificate_nobody_vouches_for_is_refused(stranger: str) -> None:
    heard = await asked(stranger)

    assert heard.error.kind == "unavailable"
    assert "certificate is not trusted" in heard.error.message


async def test_a_name_nobody_knows_is_told() -> None:
    heard = await asked("http://nobody.invalid/v1")

    assert heard.error.kind == "unavailable"
    assert "its name is not known" in heard.error.message


@pytest.mark.parametrize(("scheme", "kind"), [("http", "bad_response"), ("https", "unavailable")])
async def test_what_speaks_neither_http_nor_tls_is_told(scheme: str, kind: str) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        heard = await asked(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert heard.error.kind == kind
    assert ("TLS" in heard.error.message) is (scheme == "https")


async def test_a_proxy_carries_the_request(service: Loopback) -> None:
    service.answers(says("Hi"))

    heard = await asked("http://api.example/v1", proxy=service.url)

    assert heard.text == "Hi"
    assert service.requests[0].path == "http://api.example/v1/chat/completions"


async def test_a_proxy_that_is_away_is_named(service: Loopback) -> None:
    heard = await asked(service.url, proxy="http://127.0.0.1:9")

    assert heard.error.kind == "unavailable"
    assert "the proxy did not connect" in heard.error.message


async def test_proxies_of_the_environment_are_not_ours(
    service: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    service.answers(says("Hi"))

    assert (await asked(service.url)).text == "Hi"


async def test_a_header_of_many_kilobytes_is_read(service: Loopback) -> None:
    service.answers(says("Hi", headers={"content-type": "text/event-stream", "x-token": "t" * 20000}))

    assert (await asked(service.url)).text == "Hi"


async def test_a_compressed_answer_is_read_all_the_same(service: Loopback) -> None:
    body = gzip.compress(SAMPLE.delta("Hi") + SAMPLE.end)
    service.answers(
        Reply(headers={"content-type": "text/event-stream", "content-encoding": "gzip"}, pieces=cut(body, 9))
    )

    assert (await asked(service.url)).text == "Hi"


async def test_a_compressed_refusal_lets_the_next_key_try(service: Loopback) -> None:
    refusal = json_reply(401, {}, {"content-encoding": "gzip"})
    service.answers(Reply(status=401, headers=refusal.headers, pieces=[gzip.compress(b"{}")]), says("Hi"))

    assert (await asked(service.url, api_keys=(Secret("sk-1"), Secret("sk-2")))).text == "Hi"


async def test_a_key_that_no_header_can_carry_is_told(service: Loopback) -> None:
    heard = await asked(service.url, api_key=Secret("two\nlines"))

    assert heard.error.kind == "auth"
    assert "lines" not in heard.error.message


async def test_a_connection_that_was_closed_in_the_pool_costs_no_attempt(service: Loopback) -> None:
    provider = provider_at(service.url, "openai")
    service.answers(says("Hi", end="close"))

    answers = [await ask(provider) for _ in range(40)]
    await provider.aclose()

    assert [heard.error for heard in answers] == [None] * 40


async def test_cookies_of_a_service_are_not_kept(service: Loopback) -> None:
    service.answers(says("Hi", headers={"content-type": "text/event-stream", "set-cookie": "a=b; Path=/"}))
    provider = provider_at(service.url, "openai")

    for _ in range(2):
        await ask(provider)
    await provider.aclose()

    assert "cookie" not in service.requests[1].headers


async def test_streams_left_at_random_lose_no_slot_and_mix_with_no_other(service: Loopback) -> None:
    """Two of three streams are cancelled or left, over a pool of four connections."""
    dice = random.Random(4)
    provider = provider_at(service.url, "openai")
    provider._transport = type(provider._transport)("service", connections=4)
    count = scale.count(sample=400, full=4000)
    service.answers(*(says(*[f"<{n}>"] * 5) for n in range(count)))
    texts: list[str] = []

    async def listen() -> None:
        text = ""
        leave_after = dice.choice([1, 2, 99])
        async with aclosing(provider.stream(QUESTION, target=target_of(provider))) as events:
            async for event in events:
                text += getattr(event, "text", "")
                if len(text.split(">")) > leave_after:
                    break
        texts.append(text)

    async def cancelled(task: asyncio.Task[None]) -> None:
        for _ in range(dice.randrange(60)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            task.cancel()

    for _ in range(count // 20):
        tasks = [asyncio.create_task(listen()) for _ in range(20)]
        await asyncio.gather(*map(cancelled, tasks))
        await asyncio.gather(*tasks, return_exceptions=True)

    assert texts
    assert all(len(set(text.strip("<>").split("><"))) == 1 for text in texts)
    service.answers(says("still here"))
    last = await asyncio.gather(*(ask(provider) for _ in range(8)))
    assert [heard.text for heard in last] == ["still here"] * 8
    await provider.aclose()
    await service.until(lambda: service.connections == 0)
