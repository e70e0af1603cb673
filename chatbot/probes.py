"""/livez, /readyz and /metrics: for machines, answered before any other middleware.

No Host has to be allowed for them, no session is opened, and every wait is limited.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from chatbot import metrics, presence
from chatbot.addresses import is_loopback
from chatbot.middleware import Middleware
from chatbot.state import State

log = structlog.get_logger(__name__)

CHECK_S = 2.0
QUEUES = ("after", "long")
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")

# A thread of its own, so that a probe tells about the database and not about the queue for it, and a
# database that hangs holds up one thread, however often it is asked for.
_thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
_is_draining = False


async def drain(_limit_s: float) -> None:
    """Be not ready from now on: this process sends its sockets elsewhere. A drain hook of web.py."""
    global _is_draining
    _is_draining = True


async def livez(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers at all."""
    return JsonResponse({"status": "alive"})


async def readyz(_request: HttpRequest) -> HttpResponse:
    """Say whether to send visitors here: 503 without the database or while draining."""
    database, (redis, workers) = await asyncio.gather(_database(), _redis_and_workers())
    status = "ready"
    if _is_draining:
        status = "draining"
    elif database != "ok":
        status = "unavailable"
    elif redis != "ok" or "none" in workers.values():
        status = "degraded"
    body = {"status": status, "database": database, "redis": redis, "workers": workers}
    return JsonResponse(body, status=503 if status in ("draining", "unavailable") else 200)


async def metricz(request: HttpRequest) -> HttpResponse:
    """Give Prometheus its numbers, to this machine or to whoever knows METRICS_TOKEN."""
    if not _may_read_metrics(request):
        return HttpResponse(
            "Ask from this machine, or with METRICS_TOKEN.\n", status=403, content_type="text/plain"
        )
    text = await asyncio.to_thread(metrics.exposition)
    return HttpResponse(text, content_type=metrics.CONTENT_TYPE)


PROBES: dict[str, Callable[[HttpRequest], Awaitable[HttpResponse]]] = {
    "/livez": livez,
    "/readyz": readyz,
    "/metrics": metricz,
}


class ProbeMiddleware(Middleware):
    """Answer the probes and pass on everything else."""

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in a synchronous chain."""
        probe = PROBES.get(request.path)
        return async_to_sync(_probed)(probe, request) if probe else super().answer(request)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in an asynchronous chain."""
        probe = PROBES.get(request.path)
        return await _probed(probe, request) if probe else await super().answer_async(request)


async def _probed(
    probe: Callable[[HttpRequest], Awaitable[HttpResponse]], request: HttpRequest
) -> HttpResponse:
    response = await probe(request)
    response.headers["Cache-Control"] = "no-store"
    # A 503 is what was asked for: Django need not log an error each time somebody asks.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


async def _database() -> str:
    """Return "ok", or one word for what is wrong. The reason is for the log, not for passers-by."""
    try:
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(_thread, _ask_database), CHECK_S)
    except TimeoutError:
        return "timeout"
    except Exception as error:  # whatever a driver raises: it cannot be used
        log.warning("database away", error=type(error).__name__)
        return "away"
    return "ok"


def _ask_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


async def _redis_and_workers() -> tuple[str, dict[str, str]]:
    """Return the same for Redis, and for each queue "ok", "none" (nobody takes from it) or "unknown"."""
    state = State(settings.REDIS_URL)
    try:
        counts = await asyncio.wait_for(presence.count(state, QUEUES), CHECK_S)
    except TimeoutError:
        counts = None
    finally:
        await state.aclose()
    if counts is None:
        return "away", dict.fromkeys(QUEUES, "unknown")
    return "ok", {queue: "ok" if counts[queue] else "none" for queue in QUEUES}


def _may_read_metrics(request: HttpRequest) -> bool:
    """Tell whether the asker is on this machine itself, not behind a proxy on it, or has the token."""
    given = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ").encode()
    if settings.METRICS_TOKEN and hmac.compare_digest(given, settings.METRICS_TOKEN.encode()):
        return True
    is_forwarded = any(name in request.META for name in FORWARDED)
    return is_loopback(request.META.get("REMOTE_ADDR", "")) and not is_forwarded
