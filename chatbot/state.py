"""What the processes share through Redis: notices, streams, counters. The one place that imports redis.

Nothing here may be the only copy of a fact. Without Redis every call returns at once with "away"
(None), what was to be posted is dropped, and `on_return` tells when it is back.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

PREFIX = "chatbot:"
_ANSWER_TIMEOUT_S = 2.0
_CONNECT_TIMEOUT_S = 1.0
_AWAY_S = 1.0  # after a failure nothing is tried for this long
_GATHER_S = 0.005  # posts of this long go out as one pipeline
_MAX_POSTS = 10_000  # waiting to go out; the oldest are dropped first
_READ_BLOCK_MS = 5_000

Command = tuple[str | bytes | int | float, ...]
Then = Callable[[Any], None]

# KEYS[1] a list of instants, newest first; ARGV now_ms, window_ms, limit, ttl_s. 0: taken; else ms to wait.
_TAKE = """
local edge = redis.call('LINDEX', KEYS[1], ARGV[3] - 1)
if edge and ARGV[1] - edge < tonumber(ARGV[2]) then return ARGV[2] - (ARGV[1] - edge) end
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[3] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 0
"""


class State:
    """One process's view of the shared state; belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = self._client()
        self._posts: deque[tuple[Command, Then | None]] = deque(maxlen=_MAX_POSTS)
        self._posting: asyncio.Task[None] | None = None
        self._calling: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._away_until = 0.0
        self._is_away = False

    def _client(self, *, answer_timeout_s: float = _ANSWER_TIMEOUT_S) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=answer_timeout_s,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            # For any of these a PubSub would connect anew by itself, and for all of its users at once.
            retry=Retry(NoBackoff(), 0, supported_errors=()),
            health_check_interval=0,
        )

    @property
    def is_away(self) -> bool:
        """Whether the last thing we tried failed."""
        return self._is_away

    def _went_away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _AWAY_S
        if not self._is_away:
            self._is_away = True
            log.warning("redis away", error=type(error).__name__)

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("redis back")

    async def call(self, *command: str | bytes | float) -> Any:
        """Run one command and return its answer, or None when Redis is away."""
        if self._is_closed or (self._is_away and time.monotonic() < self._away_until):
            return None
        # A cancelled call must not leave its answer for the next one on the connection.
        calling = asyncio.create_task(self._call(command))
        self._calling.add(calling)
        calling.add_done_callback(self._calling.discard)
        return await asyncio.shield(calling)

    async def _call(self, command: Command) -> Any:
        try:
            answer = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return None
        self._came_back()
        return answer

    def post(self, *command: str | bytes | float, then: Then | None = None) -> None:
        """Send a command soon, together with others, and return at once.

        `then` gets the answer, or None when there is none: Redis is away or refused it.
        """
        if self._is_closed:
            return
        self._posts.append((command, then))
        if self._posting is None or self._posting.done():
            self._posting = asyncio.create_task(self._post())

    async def _post(self) -> None:
        while self._posts:
            await asyncio.sleep(_GATHER_S)
            batch = [self._posts.popleft() for _ in range(min(len(self._posts), 500))]
            answers = await self._execute([command for command, _ in batch])
            for (_, then), answer in zip(batch, answers, strict=True):
                if then is not None:
                    then(None if isinstance(answer, Exception) else answer)

    async def _execute(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Run commands as one pipeline; each answer is None when Redis is away."""
        if not self._is_away or time.monotonic() >= self._away_until:
            pipeline = self._redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            try:
                answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
            except (RedisError, OSError, TimeoutError) as error:
                self._went_away(error)
            else:
                self._came_back()
                return answers
        return [None] * len(commands)

    @staticmethod
    def key(name: str) -> str:
        """Return our full name of a key."""
        return PREFIX + name

    def notify(self, channel: str, text: bytes) -> None:
        """Tell every process that listens to `channel`."""
        self.post("PUBLISH", PREFIX + channel, text)

    async def take(self, keys: Sequence[str], limits: Sequence[int], *, window_s: int) -> float | None:
        """Count one more for each of `keys`, all or none.

        Returns 0 when every one is within its limit for each `window_s`, else the seconds to wait;
        None when Redis is away.
        """
        now_ms = int(time.time() * 1000)
        taken: list[str] = []
        for key, limit in zip(keys, limits, strict=True):
            wait_ms = await self.call(
                "EVAL", _TAKE, 1, PREFIX + "rate:" + key, now_ms, window_s * 1000, limit, window_s + 1
            )
            if wait_ms != 0:
                await self.give_back(taken)
                return None if wait_ms is None else wait_ms / 1000
            taken.append(key)
        return 0.0

    async def give_back(self, keys: Sequence[str]) -> None:
        """Undo the last `take` of these keys."""
        for key in keys:
            await self.call("LPOP", PREFIX + "rate:" + key)

    async def read_stream(self, key: str) -> list[Mapping[bytes, bytes]] | None:
        """Return all entries of a stream, oldest first; None when Redis is away."""
        entries = await self.call("XRANGE", PREFIX + key, "-", "+")
        if entries is None:
            return None
        return [fields for _, fields in _entries(entries)]

    async def ping(self) -> bool:
        """Return whether Redis answers."""
        return await self.call("PING") is not None

    async def aclose(self) -> None:
        """Send what is waiting and close the connections."""
        self._is_closed = True  # for what comes now, Redis is away
        under_way = [*self._calling, *([self._posting] if self._posting is not None else [])]
        if under_way:  # each might open a connection after that
            await asyncio.wait(under_way, timeout=_ANSWER_TIMEOUT_S)
            for each in under_way:
                each.cancel()
        await self._redis.aclose()

    def listener(
        self, heard: Callable[[str, bytes], Awaitable[None]], on_return: Callable[[], Awaitable[None]]
    ) -> "Listener":
        """Return a listener for notices. `on_return` is awaited when some may have been missed.

        Neither may raise: that would end the listening.
        """

        async def returned() -> None:
            self._came_back()
            await on_return()

        return Listener(self._client(answer_timeout_s=30.0), heard, returned)

    def reader(self, read: Callable[[str, bytes, Mapping[bytes, bytes]], Awaitable[None]]) -> "Reader":
        """Return a reader that follows streams as they grow."""
        return Reader(self._client(answer_timeout_s=_READ_BLOCK_MS / 1000 + 5), read)


def _entries(raw: Any) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
    entries = []
    for entry_id, fields in raw:
        if isinstance(fields, Mapping):
            entries.append((entry_id, fields))
        else:  # a flat list, as the wire has it
            entries.append((entry_id, dict(zip(fields[::2], fields[1::2], strict=True))))
    return entries


class Listener:
    """Hears the notices of the channels it joined, and joins them again when Redis returns."""

    def __init__(
        self,
        client: redis.Redis,
        heard: Callable[[str, bytes], Awaitable[None]],
        on_return: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._heard = heard
        self._on_return = on_return
        self._channels: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._pubsub: Any = None
        self._has_been_away = False
        self.is_listening = asyncio.Event()  # set once the first time

    async def join(self, channel: str) -> None:
        """Hear `channel` from now on; while Redis is away, from its return on."""
        self._channels.add(channel)
        await self._tell("subscribe", channel)

    async def leave(self, channel: str) -> None:
        """Hear `channel` no longer."""
        self._channels.discard(channel)
        await self._tell("unsubscribe", channel)

    async def _tell(self, verb: str, channel: str) -> None:
        pubsub = self._pubsub
        if pubsub is None:
            return
        telling = asyncio.create_task(_say(pubsub, verb, channel))
        telling.add_done_callback(_hear_error)
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        try:
            await asyncio.shield(telling)
        except Exception:  # the connection is ending, for which redis-py has no error of its own
            if self._pubsub is pubsub:
                self._pubsub = None  # run() notices and starts over with all channels

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            pubsub = self._client.pubsub(ignore_subscribe_messages=True)
            try:
                before = frozenset(self._channels)
                await _apart(pubsub.subscribe(PREFIX + "all", *(PREFIX + each for each in before)))
                self._pubsub = pubsub
                for late in self._channels - before:
                    await self._tell("subscribe", late)
                self.is_listening.set()
                if self._channels or self._has_been_away:
                    await self._on_return()
                while self._pubsub is pubsub:
                    notice = await pubsub.get_message(timeout=10.0)
                    if notice is not None:
                        await self._heard(notice["channel"].decode()[len(PREFIX) :], notice["data"])
            except (RedisError, OSError, TimeoutError):
                pass
            finally:
                self._pubsub = None
                self._has_been_away = True
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(_AWAY_S / 2)

    async def aclose(self) -> None:
        """Close the connection."""
        if self._telling:  # it might open one after that
            await asyncio.wait(self._telling, timeout=_CONNECT_TIMEOUT_S)
        await self._client.aclose()


async def _say(pubsub: Any, verb: str, channel: str) -> None:
    """Join or leave a channel. A broken connection is left alone: redis-py would open another one."""
    if not pubsub.connection.is_connected:
        raise ConnectionError
    await getattr(pubsub, verb)(PREFIX + channel)


class Reader:
    """Follows any number of streams over one connection."""

    def __init__(
        self, client: redis.Redis, read: Callable[[str, bytes, Mapping[bytes, bytes]], Awaitable[None]]
    ) -> None:
        self._client = client
        self._read = read
        self._after: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    def follow(self, key: str) -> None:
        """Read `key` from its beginning and on."""
        if key not in self._after:
            self._after[key] = b"0"
            self._changed.set()

    def drop(self, key: str) -> None:
        """Read `key` no longer."""
        self._after.pop(key, None)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            if not self._after:
                self._changed.clear()
                await self._changed.wait()
            self._changed.clear()
            try:
                await self._step()
            except (RedisError, OSError, TimeoutError):
                await self._client.connection_pool.disconnect()
                await asyncio.sleep(_AWAY_S / 2)

    async def _step(self) -> None:
        """Wait for news of the followed streams; a newly followed one ends the waiting."""
        keys = list(self._after)
        command = ["XREAD", "BLOCK", _READ_BLOCK_MS, "STREAMS"]
        reading = asyncio.ensure_future(
            self._client.execute_command(  # type: ignore[no-untyped-call]
                *command, *(PREFIX + key for key in keys), *(self._after[key] for key in keys)
            )
        )
        reading.add_done_callback(_hear_error)
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait([reading, changed], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return
            answer = reading.result() or []
        finally:
            changed.cancel()
            if not reading.done():
                reading.cancel()
                # Its answer is nobody's. An error here would hide that we are being cancelled.
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await self._client.connection_pool.disconnect()
        streams = answer.items() if isinstance(answer, Mapping) else answer
        for raw_key, raw in streams:
            key = raw_key.decode()[len(PREFIX) :]
            entries = (
                raw[0]
                if raw and isinstance(raw[0], list) and raw[0] and isinstance(raw[0][0], (list, tuple))
                else raw
            )
            for entry_id, fields in _entries(entries):
                if key in self._after:
                    self._after[key] = entry_id
                    await self._read(key, entry_id, fields)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


async def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Wait for what may lose a cancellation: redis-py sends with asyncio.wait_for (until Python 3.12)."""
    task = asyncio.create_task(work)
    task.add_done_callback(_hear_error)
    try:
        await asyncio.wait([task])
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    task.result()


def _hear_error(task: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()
