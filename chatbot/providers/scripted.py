"""A provider that says what it is told: for tests, benchmarks and trying things out."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from chatbot.providers.base import Target
from chatbot.providers.errors import IncompleteStream, ProviderError
from chatbot.providers.events import CompletionFinished, ProviderEvent, TextDelta
from chatbot.providers.messages import CompletionRequest


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause in a script. `seconds` None hangs until the stream is closed."""

    seconds: float | None = None


Line = ProviderEvent | Wait | ProviderError | str
Script = Sequence[Line]
"""What one answer does, in order. A `str` is a TextDelta, an error is raised. A script that ends
without CompletionFinished or an error is a stream that broke off (IncompleteStream)."""

Playwright = Callable[[CompletionRequest, Target], Script]


class Scripted:
    """Plays one script a request: the next of `scripts` (the last one again when they run out), or
    what a function makes of the request.

    `requests` keeps what was asked, `closed` counts the streams that were ended by their reader
    before their last line, `open` those running now. `sleep` is how a Wait waits.
    """

    def __init__(
        self,
        *scripts: Script,
        write: Playwright | None = None,
        name: str = "scripted",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not scripts and write is None:
            raise ValueError("Give at least one script, or a function that writes them.")
        self.name = name
        self.requests: list[CompletionRequest] = []
        self.closed = 0
        self.open = 0
        self._scripts = list(scripts)
        self._write = write
        self._sleep = sleep

    async def stream(
        self, request: CompletionRequest, *, target: Target
    ) -> AsyncGenerator[ProviderEvent, None]:
        self.requests.append(request)
        script = self._write(request, target) if self._write else self._next()
        self.open += 1
        whole = False
        try:
            for line in script:
                match line:
                    case str():
                        yield TextDelta(line)
                    case Wait():
                        await (asyncio.Event().wait() if line.seconds is None else self._sleep(line.seconds))
                    case ProviderError():
                        whole = True
                        raise line
                    case CompletionFinished():
                        whole = True
                        yield line
                        return
                    case _:
                        yield line
            whole = True
            raise IncompleteStream("The script ended without a last word.")
        finally:
            self.open -= 1
            self.closed += not whole

    async def aclose(self) -> None:
        """Nothing is open."""

    def _next(self) -> Script:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]


def says(text: str, *, pieces: int = 1, finished: CompletionFinished | None = None) -> Script:
    """A script that says `text` in about `pieces` deltas and finishes."""
    size = max(1, -(-len(text) // pieces))
    cut: Iterable[str] = (text[at : at + size] for at in range(0, len(text), size))
    return [*cut, finished or CompletionFinished(finish="stop", finish_raw="stop")]
