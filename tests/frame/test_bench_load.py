"""The load generator against real sockets: what a relay loses, the report says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.bench.anchors import bare
from tests.bench.load import play
from tests.bench.plan import Plan, Report
from tests.bench.script import Script
from tests.bench.upstream import Upstream

SCRIPT = Script(tokens=30, rate=1000, think_ms=20)


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    lags_us: list[int] = []
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(lags_us), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def played(upstream: str, **parts: int) -> Report:
    async with TestServer(await bare.application(upstream)) as relay:
        url = f"ws://{relay.host}:{relay.port}/ws"
        return Report.load((await play(Plan(url=url, script=SCRIPT, **parts))).dump())  # type: ignore[arg-type]


async def test_a_sound_relay_has_no_faults(upstream: str) -> None:
    report = await played(upstream, sockets=3, turns=2, warm_sockets=1)

    assert (report.account.faults, report.dead, report.trouble) == (0, 0, [])
    assert (report.account.answers, report.account.tokens) == (6, 6 * SCRIPT.tokens)
    assert len(report.account.first_after_send_us) == 6
    assert min(report.account.late_us) > 0


async def test_a_token_the_relay_loses_is_missed(upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send = web.WebSocketResponse.send_str
    sent = 0

    async def forgetful(socket: web.WebSocketResponse, data: str) -> None:
        nonlocal sent
        sent += 1
        if sent != 7:
            await send(socket, data)

    monkeypatch.setattr(web.WebSocketResponse, "send_str", forgetful)

    report = await played(upstream, sockets=1, turns=1)

    assert (report.account.lost, report.account.faults) == (1, 1)


async def test_a_socket_the_relay_drops_is_dead(upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drops(socket: web.WebSocketResponse, data: str) -> None:
        await socket.close(code=1011)

    monkeypatch.setattr(web.WebSocketResponse, "send_str", drops)

    report = await played(upstream, sockets=2, turns=1)

    assert report.dropped == ["closed 1011", "closed 1011"]
    assert report.account.unfinished == 2
