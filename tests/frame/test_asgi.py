"""Which connections get in: our pages' sockets, and whoever is no browser."""

import asyncio
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from pytest_django import Settings

from chatbot.asgi import application


def connecting(path: str = "/ws/chat/", **headers: str) -> WebsocketCommunicator:
    given = {"host": "localhost:8000", **headers}
    return WebsocketCommunicator(
        application, path, headers=[(name.encode(), value.encode()) for name, value in given.items()]
    )


async def is_let_in(socket: WebsocketCommunicator) -> bool:
    is_connected, _protocol = await socket.connect(timeout=5)
    await socket.disconnect()
    return bool(is_connected)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "http://localhost:8000"}, True),
        ({}, True),  # not a browser
        ({"origin": "https://shop.example"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://evil.example", "host": "evil.example"}, False),
    ],
)
@pytest.mark.django_db(transaction=True)
async def test_a_foreign_page_is_turned_away(
    settings: Settings, headers: dict[str, str], expected: bool
) -> None:
    settings.ALLOWED_ORIGINS = ["https://shop.example"]

    assert await is_let_in(connecting(**headers)) is expected


@pytest.mark.parametrize("path", ["/ws/", "/ws/chat", "/ws/chat/x", "/"])
async def test_an_unknown_socket_is_turned_away(path: str) -> None:
    assert await is_let_in(connecting(path)) is False


async def test_pages_and_files_answer_in_the_same_application() -> None:
    async def status_of(path: str) -> int:
        sent: list[dict[str, Any]] = []
        requests: list[str] = []

        async def receive() -> dict[str, Any]:
            requests.append(path)
            if len(requests) > 1:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"",
            "scheme": "http", "headers": [(b"host", b"localhost")], "client": ("::1", 1), "server": None,
        }  # fmt: skip
        await application(scope, receive, send)
        status: int = sent[0]["status"]
        return status

    assert await status_of("/livez") == 200
    assert await status_of("/static/css/tokens.css") == 200
    assert await status_of("/no-such-page") == 404
