"""The threads in which async code talks to the database.

Django's connections belong to threads. These threads keep theirs open: one thread for SQLite (it has
one writer anyway), a few for PostgreSQL. That is a third of the cost of asgiref's crossing, which
opens and closes a connection around every call.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import Error, connection, connections

_POSTGRESQL_THREADS = 4  # x web processes: stays far below PostgreSQL's default of 100 connections

P = ParamSpec("P")
T = TypeVar("T")

_threads: ThreadPoolExecutor | None = None


async def run(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a synchronous `function` in a database thread and return its result.

    Once called for it is carried out, even when the caller is cancelled meanwhile.
    """
    global _threads
    if _threads is None:
        size = 1 if connection.vendor == "sqlite" else _POSTGRESQL_THREADS
        _threads = ThreadPoolExecutor(size, thread_name_prefix="database")
    work = partial(function, *args, **kwargs) if kwargs else partial(function, *args)
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(_threads, _call, work))


def _call(work: Callable[[], T]) -> T:
    try:
        return work()
    except Error:
        for each in connections.all(initialized_only=True):
            each.close_if_unusable_or_obsolete()
        raise


def close() -> None:
    """Finish what runs and close the threads' connections."""
    global _threads
    if _threads is None:
        return
    closing, _threads = _threads, None
    # All that there may be: a thread that is only just idle would be passed over for a new one.
    everyone = threading.Barrier(closing._max_workers)
    for _ in range(everyone.parties):
        closing.submit(_close_connections, everyone)
    closing.shutdown(wait=True)


def _close_connections(everyone: threading.Barrier) -> None:
    everyone.wait(timeout=30)
    connections.close_all()
