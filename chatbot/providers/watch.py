"""A time limit on the waits of one stream, cheap enough to move with every delta."""

import asyncio
from types import TracebackType


class Watch:
    """Ends the waits inside `with watch:` with TimeoutError once `due` (loop time) has passed.

    asyncio.timeout makes and cancels a timer for each use; here one timer lives as long as it can,
    looks at `due` when it rings, and sets itself anew. Between the waits no time counts: a slow
    reader of the stream is not the service's fault.
    """

    __slots__ = ("_cancelling", "_expired", "_loop", "_rings_at", "_task", "_timer", "due")

    def __init__(self, due: float) -> None:
        self.due = due
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        if self._timer is None or self.due < self._rings_at:
            self._set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._expired and task is not None:
            self._expired = False
            # More cancellations than ours: somebody else wants the task to end, and goes first.
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self.close()
        self._rings_at = self.due
        self._timer = self._loop.call_at(self.due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return  # nobody waits: the next wait sets the timer again
        if self.due > self._loop.time():
            self._set()
            return
        self._expired = True
        self._task.cancel()
