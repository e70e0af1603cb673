"""Probes tell the truth, in time, with the database, Redis or the workers gone."""

import asyncio
import threading
import time
from collections.abc import Iterator

import orjson
import pytest
from django.db.backends.utils import CursorWrapper
from django.test import AsyncClient, Client
from pytest_django import Settings

from chatbot import presence, probes
from chatbot.state import State
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def not_draining() -> Iterator[None]:
    yield
    probes._is_draining = False


def ready() -> tuple[int, dict[str, object]]:
    answer = Client().get("/readyz")
    found: dict[str, object] = orjson.loads(answer.content)
    return answer.status_code, found


async def here(url: str, *kinds: str) -> None:
    state = State(url)
    await presence.tell(state, kinds, "someone")
    await state.aclose()


@pytest.mark.django_db
def test_all_is_well_with_database_redis_and_workers(redis_server: RedisServer) -> None:
    asyncio.run(here(redis_server.url, "after", "long"))

    assert ready() == (
        200,
        {"status": "ready", "database": "ok", "redis": "ok", "workers": {"after": "ok", "long": "ok"}},
    )


@pytest.mark.django_db
def test_without_a_worker_we_are_degraded_but_ready(redis_server: RedisServer) -> None:
    asyncio.run(here(redis_server.url, "after"))

    status, body = ready()

    assert (status, body["status"]) == (200, "degraded")
    assert body["workers"] == {"after": "ok", "long": "none"}


@pytest.mark.django_db
def test_without_redis_we_are_degraded_but_ready(redis_server: RedisServer) -> None:
    redis_server.stop()

    status, body = ready()

    assert (status, body["status"], body["redis"]) == (200, "degraded", "away")
    assert body["workers"] == {"after": "unknown", "long": "unknown"}


def test_without_the_database_we_are_not_ready() -> None:
    # No database is opened for this test: every query is refused.
    status, body = ready()

    assert (status, body["status"], body["database"]) == (503, "unavailable", "away")


@pytest.mark.django_db
def test_a_database_that_hangs_does_not_hang_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(probes, "CHECK_S", 0.2)
    monkeypatch.setattr(CursorWrapper, "execute", lambda *_about: released.wait(10))

    began = time.monotonic()
    status, body = ready()
    took_s = time.monotonic() - began
    released.set()

    assert (status, body["database"]) == (503, "timeout")
    assert took_s < 2


@pytest.mark.django_db
def test_a_draining_process_is_not_ready_but_alive() -> None:
    asyncio.run(probes.drain(20))

    status, body = ready()

    assert (status, body["status"]) == (503, "draining")
    assert Client().get("/livez").status_code == 200


async def test_probes_answer_an_asynchronous_server_alike() -> None:
    answer = await AsyncClient().get("/livez")

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_a_probe_needs_no_allowed_host_and_opens_no_session(path: str) -> None:
    answer = Client(headers={"host": "10.1.2.3"}).get(path)

    assert answer.status_code in (200, 503)
    assert not answer.cookies


@pytest.mark.parametrize(
    ("peer", "headers", "token", "status"),
    [
        ("127.0.0.1", {}, "", 200),
        ("::1", {}, "", 200),
        ("203.0.113.7", {}, "", 403),
        # A proxy on this machine speaks for the whole world.
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, "", 403),
        ("127.0.0.1", {"forwarded": "for=203.0.113.7"}, "", 403),
        ("127.0.0.1", {"x-real-ip": "203.0.113.7"}, "", 403),
        ("203.0.113.7", {"authorization": "Bearer a-long-metrics-token"}, "a-long-metrics-token", 200),
        ("203.0.113.7", {"authorization": "Bearer another-token"}, "a-long-metrics-token", 403),
        ("203.0.113.7", {"authorization": "Bearer "}, "", 403),
        ("203.0.113.7", {"authorization": "Bearer \xff"}, "a-long-metrics-token", 403),
    ],
)
def test_numbers_are_for_this_machine_or_for_the_token(
    settings: Settings, peer: str, headers: dict[str, str], token: str, status: int
) -> None:
    settings.METRICS_TOKEN = token

    assert Client(REMOTE_ADDR=peer, headers=headers).get("/metrics").status_code == status
