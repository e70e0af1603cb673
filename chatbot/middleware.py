"""What every request passes: whose it is, what it is called in the logs, what its answer carries."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from chatbot.addresses import LOCAL, called_from, client_address, is_trusted_peer

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class Middleware:
    """A middleware that runs where its neighbours run: no change of thread for a few lines."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        """Answer the request, or return what will."""
        return self.answer_async(request) if self.is_async else self.answer(request)

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in a synchronous chain."""
        return cast(HttpResponseBase, self.get_response(request))

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in an asynchronous chain."""
        return await cast(Awaitable[HttpResponseBase], self.get_response(request))


class ClientMiddleware(Middleware):
    """Put the client's own address into REMOTE_ADDR, and believe forwarded headers of proxies only."""

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in a synchronous chain."""
        with called_from(_settle_client(request)):
            return super().answer(request)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in an asynchronous chain."""
        with called_from(_settle_client(request)):
            return await super().answer_async(request)


class RequestMiddleware(Middleware):
    """Give the request an id, log its answer, and keep that answer out of caches."""

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in a synchronous chain."""
        with structlog.contextvars.bound_contextvars(request_id=_request_id(request)):
            began = time.perf_counter()
            return _finish(request, super().answer(request), began)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in an asynchronous chain."""
        with structlog.contextvars.bound_contextvars(request_id=_request_id(request)):
            began = time.perf_counter()
            return _finish(request, await super().answer_async(request), began)


def _settle_client(request: HttpRequest) -> str:
    """Return the client's address, which is REMOTE_ADDR from here on."""
    peer = request.META.get("REMOTE_ADDR")
    if is_trusted_peer(peer, settings.TRUSTED_PROXIES):
        lines = [request.META.get("HTTP_X_FORWARDED_FOR", "")]
        request.META["REMOTE_ADDR"] = client_address(peer, lines, trusted=settings.TRUSTED_PROXIES)
    else:
        for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUEST_ID"):
            request.META.pop(name, None)
    return request.META.get("REMOTE_ADDR") or LOCAL


def _request_id(request: HttpRequest) -> str:
    """Return the proxy's id of the request, or a new one. It is kept in META["REQUEST_ID"]."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    found = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    request.META["REQUEST_ID"] = found
    return found


def _finish(request: HttpRequest, response: HttpResponseBase, began: float) -> HttpResponseBase:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    # on plain http, Chromium looks up the host of every link it is shown, before any click
    response.headers.setdefault("X-DNS-Prefetch-Control", "off")
    response.headers["X-Request-ID"] = request.META["REQUEST_ID"]
    log.info(
        "request answered",
        method=request.method,
        path=request.path,
        status=response.status_code,
        took_ms=round((time.perf_counter() - began) * 1000, 1),
    )
    return response
