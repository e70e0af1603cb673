"""The ASGI application: static files, Django's pages, and the visitors' socket."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")
pages = get_asgi_application()

# Only now are the models there that these need.
from chatbot.addresses import is_known_origin  # noqa: E402
from chatbot.assets import Assets  # noqa: E402
from chatbot.celery import app as tasks_app  # noqa: E402, F401 - the one through which tasks are sent
from conversations.sockets.chat import ChatConsumer  # noqa: E402

SOCKETS = {"/ws/chat/": ChatConsumer.as_asgi()}


async def sockets(scope: Any, receive: Any, send: Any) -> None:
    """Connect a socket, or refuse it with 403: one that a foreign page opened, or an unknown path."""
    application = SOCKETS.get(scope["path"])
    if application is None or not _is_origin_known(scope):
        await receive()
        await send({"type": "websocket.close"})
        return
    await application(scope, receive, send)


def _is_origin_known(scope: Any) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin")
    return origin is None or is_known_origin(
        origin,
        headers.get(b"host", ""),
        public_origin=settings.PUBLIC_ORIGIN,
        allowed_hosts=settings.ALLOWED_HOSTS,
        allowed_origins=settings.ALLOWED_ORIGINS,
    )


application = ProtocolTypeRouter({"http": Assets(pages), "websocket": sockets})
