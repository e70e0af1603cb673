"""The threads in which async code talks to the database.

Django's connections belong to threads. These threads keep theirs open: one thread for SQLite (it has
one writer anyway), a few for PostgreSQL. That is a third of the cost of asgiref's crossing, which
opens and closes a connection around every call.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import Error, IntegrityError, connection, connections, transaction

_POSTGRESQL_THREADS = 4  # x web processes: stays far below PostgreSQL's default of 100 connections
_MOST_TOGETHER = 32

P = ParamSpec("P")
T = TypeVar("T")

_threads: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        size = 1 if connection.vendor == "sqlite" else _POSTGRESQL_THREADS
        _threads = ThreadPoolExecutor(size, thread_name_prefix="database")
    return _threads


async def run(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a synchronous `function` in a database thread and return its result.

    Once called for it is carried out, even when the caller is cancelled meanwhile. It runs in the
    caller's context, so that what it logs says which turn it is about.
    """
    work = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(_pool(), _call, work))


async def write(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `run`, for a short `function` that is one statement or one `transaction.atomic()`.

    It does nothing that a rollback does not undo. On SQLite those that wait at one moment share one
    commit, which costs more than what they write; PostgreSQL does the like by itself.
    """
    return await asyncio.shield(writing(function, *args, **kwargs))


def writing(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin to `write`, and return what will have the result; it must not be cancelled."""
    loop = asyncio.get_running_loop()
    work = partial(copy_context().run, function, *args, **kwargs)
    if connection.vendor != "sqlite":
        return loop.run_in_executor(_pool(), _call, work)
    job = _Job(work, loop.create_future())
    _waiting.append(job)
    if len(_waiting) == 1:  # else the thread has yet to come for those before it
        _pool().submit(_write_waiting, _pool())
    return job.done


def _call(work: Callable[[], T]) -> T:
    try:
        return work()
    except Error:
        for each in connections.all(initialized_only=True):
            each.close_if_unusable_or_obsolete()
        raise


@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = _call(self.work)
        except BaseException as error:  # it is the caller's
            self.error = error


def _tell(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        if job.done.done():
            continue
        if job.error is None:
            job.done.set_result(job.result)
        else:
            job.done.set_exception(job.error)


_waiting: deque[_Job] = deque()


def _write_waiting(pool: ThreadPoolExecutor) -> None:
    """Write what waits; what comes to wait meanwhile is written after the reads before it."""
    jobs = [_waiting.popleft() for _ in range(min(len(_waiting), _MOST_TOGETHER))]
    if len(jobs) == 1:
        jobs[0].run()
    elif jobs:
        _write_together(jobs)
    for loop in {job.done.get_loop() for job in jobs}:
        loop.call_soon_threadsafe(_tell, [job for job in jobs if job.done.get_loop() is loop])
    if _waiting:
        try:
            pool.submit(_write_waiting, pool)
        except RuntimeError:  # closing: nobody reads any more
            _write_waiting(pool)


def _write_together(jobs: Sequence[_Job]) -> None:
    """Write each as if it were alone, and commit once; each alone where that does not work."""
    try:
        _call(partial(_write_all, jobs))
    except IntegrityError:  # a constraint that is looked at in the end
        for job in jobs:
            job.error = None
            job.run()
    except BaseException as error:
        for job in jobs:
            job.error = job.error or error


def _write_all(jobs: Sequence[_Job]) -> None:
    with transaction.atomic():
        for job in jobs:
            try:
                job.result = job.work()  # within this transaction its own is a savepoint
            except Exception as error:  # the others go on
                job.error = error


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
