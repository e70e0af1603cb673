"""A small ASGI application in a web process of its own: `python -m tests.frame.small_site FD`.

It writes what its hooks hear to stdout, a line each. /slow answers a while after the draining has
begun; the socket echoes until it is closed, and on cancellation writes that it saved.
"""

import asyncio
import sys
from typing import Any

import structlog

from chatbot import listening, web

DRAIN_S = 5.0
DRAINING = asyncio.Event()


def tell(line: str) -> None:
    """Write a line for the test to read."""
    print(line, flush=True)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request or one socket."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    if scope["path"] == "/slow":
        tell("slow began")
        await DRAINING.wait()
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def echo(receive: Any, send: Any) -> None:
    """Repeat what is said."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        tell(f"socket closed {message['code']}")
    except asyncio.CancelledError:
        tell("socket saved")
        raise


async def begin() -> None:
    """Say that the server's loop runs."""
    tell("begun")


async def break_down() -> None:
    """Fail, as a hook may."""
    raise RuntimeError("This hook fails.")


async def hang(_limit_s: float) -> None:
    """Drain for ever."""
    tell("draining for ever")
    await asyncio.Event().wait()


async def drain(limit_s: float) -> None:
    """Say how long we have."""
    DRAINING.set()
    tell(f"draining within {limit_s}")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    fd, *words = sys.argv[1:]
    sys.exit(
        web.serve(
            application,
            listening.inherited(int(fd)),
            on_start=[break_down] if "break" in words else [begin],
            on_drain=[hang if "hang" in words else drain],
            drain_s=DRAIN_S,
        )
    )
