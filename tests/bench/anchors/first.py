"""Anchor `first`: a Channels consumer on daphne as one writes it first: one frame a token, no database."""

import json
import os
from typing import Any

import django
import httpx
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

UPSTREAM = os.environ["BENCH_UPSTREAM"] + "/chat/completions"

settings.configure(INSTALLED_APPS=["channels"], ALLOWED_HOSTS=["*"], SECRET_KEY="of no worth", USE_TZ=True)
django.setup()

client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None))


class ChatConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # channels is untyped
    """Answer each question where it is received."""

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        """Stream one answer, a frame for each token."""
        if content["type"] == "ping":
            await self.send_json({"type": "pong"})
            return
        messages = [{"role": "user", "content": content["text"]}]
        body = {"model": "bench", "stream": True, "messages": messages}
        async with client.stream("POST", UPSTREAM, json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                choices = json.loads(line[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    await self.send_json({"type": "delta", "text": text})
        await self.send_json({"type": "done"})


application = ProtocolTypeRouter({"websocket": URLRouter([path("ws", ChatConsumer.as_asgi())])})
