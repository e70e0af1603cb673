"""A provider that is asked over HTTP and answers with a stream: sending, waiting, limits, ends."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import ClassVar, TypeVar

from chatbot.providers import retry_after, structured
from chatbot.providers.base import Target
from chatbot.providers.bodies import STRANGE, by_status
from chatbot.providers.capabilities import Capabilities, fit
from chatbot.providers.carrier import Carrier, Incoming
from chatbot.providers.errors import IncompleteStream, ProviderError, TimedOut, TimeoutPhase, TryLater
from chatbot.providers.events import ProviderEvent, TextDelta
from chatbot.providers.keys import KeyRing, Secret, mask
from chatbot.providers.messages import UNKNOWN_USAGE, CompletionRequest, Parameters
from chatbot.providers.watch import Watch
from chatbot.providers.wire import Reader, Wire, word

Piece = TypeVar("Piece")

OK = 200
PACE_S = 0.03  # at most between two reads once the answer is visible: more deltas a wake-up, less work each
MANY_STREAMS = 100  # running in this process at once; beyond them the beat is twice as long
LARGE_READ_BYTES = 1000  # a few deltas: to hold a trickle back costs more than to let it wake us
END_S = 2.0  # for usage and the end mark, once the answer itself has finished
DRAIN_S = 0.1  # for the end of the body after the end mark; the connection is used again
ERROR_BYTES = 65536  # of an error's body: more is no explanation
WHOLE_BYTES = 8 << 20  # of an answer in one piece
VAGUE = ("", "text/plain", "application/octet-stream")  # what careless servers call their streams


class HttpProvider:
    """Asks a service that speaks `wire` over `transport`.

    The first delta is handed on at once. After the first TextDelta the stream is read on a beat of
    `pace_s` (0: as it comes), and what came in between comes out as one delta. `streams` counts those
    that run in this process, of all providers.
    """

    streams: ClassVar[int] = 0

    def __init__(
        self,
        name: str,
        wire: Wire,
        transport: Carrier,
        *,
        base_url: str,
        secrets: Sequence[Secret] = (),
        pace_s: float = PACE_S,
    ) -> None:
        self.name = name
        self._wire = wire
        self._transport = transport
        self._base_url = base_url
        self._secrets = tuple(secrets)
        self._pace_s = pace_s

    @property
    def keys(self) -> KeyRing | None:
        """The keys that take turns, where there are any."""
        return self._transport.keys

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return self._wire.capabilities(target, asked)

    def stream(self, request: CompletionRequest, *, target: Target) -> AsyncGenerator[ProviderEvent, None]:
        can = self._wire.capabilities(target, request.parameters)
        if can.promises(request.parameters):
            return self._ask(fit(request, can), target)
        return structured.stream(lambda asked: self._ask(fit(asked, can), target), request, can)

    async def _ask(self, request: CompletionRequest, target: Target) -> AsyncGenerator[ProviderEvent, None]:
        clock, limits = asyncio.get_running_loop().time, target.timeouts
        call, reader = self._wire.call(request, target), self._wire.reader(target)
        total_at = clock() + limits.total_s
        watch = Watch(min(clock() + limits.first_s, total_at) if target.stream else total_at)
        answer: Incoming | None = None
        begun = False
        HttpProvider.streams += 1
        try:
            with watch:
                answer = await self._transport.post(
                    self._base_url + call.path,
                    call.body,
                    headers=call.headers,
                    connect_s=limits.connect_s,
                    key=target.key,
                )
                reader.request_id = answer.headers.get(self._wire.request_id_header)
                is_stream = await self._check(answer, target)
                body = b"" if is_stream else await answer.body(at_most=WHOLE_BYTES)
            if not is_stream and (failure := _take_all(reader, reader.take_whole, [body])):
                failure.retry_after_s = self._wait_s(failure, answer)
                raise failure
            for delta in reader.deltas():
                yield delta
            splitter = self._wire.splitter()
            visible = False
            while is_stream:
                try:
                    with watch:
                        piece = await answer.read()
                except (ConnectionError, TimeoutError) as error:
                    if reader.finish is not None:  # the answer is whole, only the farewell is missing
                        break
                    if isinstance(error, TimeoutError):
                        raise
                    raise IncompleteStream("The connection broke off in the middle of the answer.") from error
                events = splitter.feed(piece) if piece else splitter.end()
                failure = _take_all(reader, reader.take, events)
                for delta in reader.deltas():
                    visible = visible or type(delta) is TextDelta
                    yield delta
                if failure is not None:
                    raise failure
                if not piece or reader.done:
                    break
                if reader.moved:
                    reader.moved, begun = False, True
                    watch.due = min(clock() + (END_S if reader.finish else limits.idle_s), total_at)
                if visible and reader.finish is None and self._pace_s:
                    # All streams pause to the same beat: one turn of the event loop serves many.
                    beat_s = self._pace_s * (1 if HttpProvider.streams <= MANY_STREAMS else 2)
                    next_beat = (clock() // beat_s + 1) * beat_s
                    with watch:  # what trickles in would always be there when we read, and never be late
                        await answer.pause(next_beat, hold_back=len(piece) >= LARGE_READ_BYTES)
            finished = reader.end()
            watch.due = clock() + DRAIN_S
            with suppress(TimeoutError, ConnectionError), watch:
                while await answer.read():
                    pass
            yield finished
        except TimeoutError:
            phase: TimeoutPhase = "total" if clock() >= total_at else "idle" if begun else "first"
            raise self._timed_out(phase, target, reader) from None
        except ProviderError as error:
            self._complete(error, reader)
            if error.kind == "auth_expired":
                await self._transport.forget_token()
            raise
        finally:
            HttpProvider.streams -= 1
            watch.close()
            if answer is not None:
                answer.close()

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _check(self, answer: Incoming, target: Target) -> bool:
        """True when the answer is a stream, False when it is one piece of JSON. Raises what else it is."""
        if answer.status != OK:
            body = await answer.body(at_most=ERROR_BYTES)
            try:
                error = self._wire.failure(answer.status, answer.headers, body)
            except STRANGE:  # its JSON has another shape than this service's errors
                error = by_status(answer.status, b"")
            error.status = answer.status
            error.retry_after_s = self._wait_s(error, answer)
            if (should_retry := answer.headers.get("x-should-retry")) in ("true", "false"):
                error.retryable = should_retry == "true"
            raise error
        media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media == self._wire.accepts or (media in VAGUE and target.stream):
            return True
        if media in ("application/json", *VAGUE):
            return False
        raise TryLater("bad_response", f"`{self.name}` answered with `{media}`.", status=answer.status)

    def _wait_s(self, error: ProviderError, answer: Incoming) -> float | None:
        """How long the service asks to wait: in its own words, or in a header."""
        if error.retry_after_s is not None:
            return error.retry_after_s
        return retry_after.seconds(answer.headers, now=time.time())

    def _timed_out(self, phase: TimeoutPhase, target: Target, reader: Reader) -> TimedOut:
        limits = target.timeouts
        message = {
            "first": f"`{self.name}` had said nothing after {limits.first_s:g} s.",
            "idle": f"`{self.name}` fell silent for {limits.idle_s:g} s in the middle of the answer.",
        }.get(phase, f"`{self.name}` was not done after {limits.total_s:g} s.")
        return TimedOut(phase, message, request_id=reader.request_id, usage=reader.spent())

    def _complete(self, error: ProviderError, reader: Reader) -> None:
        """Add what only the provider knows, and take out what nobody may see."""
        token = self._transport.token
        error.message = mask(error.message, (*self._secrets, *([token] if token else [])))
        error.args = (error.message,)
        error.code = word(error.code)
        error.request_id = word(error.request_id) or word(reader.request_id)
        if error.usage is UNKNOWN_USAGE:
            error.usage = reader.spent()


def _take_all(reader: Reader, take: Callable[[Piece], None], pieces: Sequence[Piece]) -> ProviderError | None:
    """Read up to the service's last word, or the first error, which is handed back: what came before it
    is still said."""
    try:
        for piece in pieces:
            take(piece)
            if reader.done:
                break
    except ProviderError as error:
        return error
    except STRANGE as error:
        # JSON, but not of the shape the wire has: a stranger answers at this address.
        return TryLater("bad_response", f"The answer has an unknown shape: {error!r}.")
    return None
