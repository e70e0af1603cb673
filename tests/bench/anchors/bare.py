"""Anchor `bare`: one aiohttp process that relays each token as one WebSocket frame and knows nothing else."""

import sys
from collections.abc import AsyncIterator

import orjson
from aiohttp import ClientSession, TCPConnector, WSMsgType, web

UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", ClientSession)


async def relay(request: web.Request) -> web.WebSocketResponse:
    """Answer each question of one socket with the upstream's stream."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for received in socket:
        if received.type is not WSMsgType.TEXT:
            break
        frame = orjson.loads(received.data)
        if frame["type"] == "ping":
            await socket.send_str('{"type":"pong"}')
            continue
        body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": frame["text"]}]}
        async with request.app[SESSION].post(request.app[UPSTREAM], json=body) as answer:
            async for line in answer.content:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                choices = orjson.loads(line[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    await socket.send_str(orjson.dumps({"type": "delta", "text": text}).decode())
        await socket.send_str('{"type":"done"}')
    return socket


async def application(upstream: str) -> web.Application:
    """Return the app with one session to the upstream, its pool unlimited."""
    app = web.Application()
    app[UPSTREAM] = upstream + "/chat/completions"

    async def keep_session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(connector=TCPConnector(limit=0)) as app[SESSION]:
            yield

    app.cleanup_ctx.append(keep_session)
    app.router.add_get("/ws", relay)
    return app


if __name__ == "__main__":
    web.run_app(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=lambda *_: None,
        backlog=2048,
    )
