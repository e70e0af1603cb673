"""A model that says what the test makes it say, when the test makes it."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from chatbot.providers.base import Target
from chatbot.providers.capabilities import ALL, Capabilities
from chatbot.providers.errors import ErrorKind, IncompleteStream, ProviderError, of_kind
from chatbot.providers.events import CompletionFinished, ProviderEvent, ReasoningDelta, TextDelta
from chatbot.providers.messages import CompletionRequest, FinishReason, Parameters, Usage

PATIENCE_S = 10.0
EXACT = Usage(input_tokens=11, output_tokens=7, kind="exact")


class Call:
    """One request to the model. `is_closed` once nobody listens to its answer any more.

    `said` is all the text it was made to say; `has_ended` once that was all.
    """

    def __init__(self, request: CompletionRequest) -> None:
        self.request = request
        self.is_closed = False
        self.has_ended = False
        self.said = ""
        self.lines: asyncio.Queue[ProviderEvent | ProviderError] = asyncio.Queue()

    @property
    def question(self) -> str:
        """What the visitor said last, with all that was joined to it."""
        return self.request.messages[-1].text

    def say(self, *pieces: str) -> "Call":
        """Say these pieces."""
        for piece in pieces:
            self.said += piece
            self.lines.put_nowait(TextDelta(piece))
        return self

    def think(self, text: str) -> "Call":
        """Say something that is not for visitors."""
        self.lines.put_nowait(ReasoningDelta(text))
        return self

    def finish(self, finish: FinishReason = "stop", usage: Usage = EXACT) -> None:
        """Say that this was all."""
        self._end(CompletionFinished(finish=finish, finish_raw=finish, usage=usage))

    def fail(self, kind: ErrorKind) -> None:
        """Give up for this reason."""
        self._end(of_kind(kind, "The test says so."))

    def cut(self) -> None:
        """Break off in the middle."""
        self._end(IncompleteStream("The test cut it."))

    def _end(self, line: ProviderEvent | ProviderError) -> None:
        self.has_ended = True
        self.lines.put_nowait(line)


class Puppet:
    """The model of one or more processes. `calls` are the requests it got, in order."""

    name = "puppet"

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._news = asyncio.Event()

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        """Take everything."""
        return ALL

    async def stream(
        self, request: CompletionRequest, *, target: Target
    ) -> AsyncGenerator[ProviderEvent, None]:
        call = Call(request)
        self.calls.append(call)
        self._news.set()
        try:
            while True:
                line = await call.lines.get()
                if isinstance(line, ProviderError):
                    raise line
                yield line
                if isinstance(line, CompletionFinished):
                    return
        finally:
            call.is_closed = True
            self._news.set()

    async def call(self, number: int = 1) -> Call:
        """Wait for the request of this number, counted from 1."""
        await self.until(lambda: len(self.calls) >= number)
        return self.calls[number - 1]

    async def asked(self, question: str) -> Call:
        """Wait until somebody waits for the answer to this question, with all that was joined to it."""

        def waiting() -> list[Call]:
            return [call for call in self.calls if not call.is_closed and call.question == question]

        await self.until(lambda: bool(waiting()))
        return waiting()[-1]

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so of the requests."""
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                self._news.clear()
                await self._news.wait()

    async def aclose(self) -> None:
        """Nothing is open."""
