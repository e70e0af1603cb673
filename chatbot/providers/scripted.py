"""A provider that says what it is told: for tests, benchmarks and trying things out.

In Python, `Scripted(...)` plays the scripts it is given. In config.yaml, `kind: scripted` does one of:

- `file: scripts.json`: plays the scripts of the file in turn, from the first again after the last. A
  script is a list of lines: `"text"`, `{"wait_ms": 20}` (null hangs), `{"reasoning": "hm"}`,
  `{"error": "rate_limit", "retry_after_s": 2}`, `{"finish": "stop"}`; without the last two it breaks off.
- otherwise the visitor's last message writes the script, if it has words like
  `script: pieces=200 delay_ms=5 seed=7`, and is echoed if it has not. All the words there are:
  `pieces` (20), `seed` (0): the text is `recital(pieces, seed)`, a piece a delta; `first_ms` (0) before
  the first, `delay_ms` (0) between two; `fault`: an error kind, `cut` or `hang`, after `at` (0) pieces;
  `times` (every time): the fault strikes the first so many requests with these very words only;
  `finish` (stop), a FinishReason.

Usage is exact: words of the prompt in, pieces out.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import orjson

from chatbot.providers.base import ServiceSettings, Target
from chatbot.providers.capabilities import ALL, Capabilities
from chatbot.providers.errors import ErrorKind, IncompleteStream, ProviderError, of_kind
from chatbot.providers.events import CompletionFinished, ProviderEvent, ReasoningDelta, TextDelta
from chatbot.providers.messages import CompletionRequest, FinishReason, Parameters, Usage
from chatbot.providers.tokens import TokenStore

# Words of one byte a character and of more, joined emoji, Markdown, and what looks like an end of line.
WORDS = (
    "yes", "parcel", "the", "return", "of", "**two**", "days", "`code`", "您好", "订单", "发货。", "naïve",
    "Größe", "€12", "🚚", "👨‍👩‍👧‍👦", "line\u2028end", "\n\n- item", "<b>", "e\u0301",
)  # fmt: skip


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

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return ALL

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
                        raise line.with_traceback(None)  # a script may be played again
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedSettings(ServiceSettings):
    """`file` holds scripts as JSON; without it the visitor's last message is the script."""

    file: str | None = None

    def missing(self) -> tuple[str, ...]:
        return ()


def build(name: str, settings: ScriptedSettings, tokens: TokenStore) -> Scripted:
    """Make the provider of a `kind: scripted` row. Raises ValueError when its file is no list of scripts."""
    if settings.file is None:
        return Scripted(write=Prompter(), name=name)
    scripts = [_read(script) for script in orjson.loads(Path(settings.file).read_bytes())]
    played = 0

    def next_script(request: CompletionRequest, target: Target) -> Script:
        nonlocal played
        played += 1
        return scripts[(played - 1) % len(scripts)]

    return Scripted(write=next_script, name=name)


def _read(lines: list[Any]) -> Script:
    """One script of a file."""
    script: list[Line] = []
    for line in lines:
        match line:
            case str():
                script.append(line)
            case {"wait_ms": wait_ms}:
                script.append(Wait(None if wait_ms is None else wait_ms / 1000))
            case {"reasoning": str(text)}:
                script.append(ReasoningDelta(text))
            case {"error": kind, **more}:
                wait_s: Any = more.get("retry_after_s")
                script.append(of_kind(kind, "The script says so.", retry_after_s=wait_s))
            case {"finish": finish}:
                script.append(CompletionFinished(finish=finish, finish_raw=finish))
            case _:
                raise ValueError(f"A script has no line such as {line!r}.")
    return script


class Prompter:
    """Writes the script that the visitor's last message asks for, or one that echoes it."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def __call__(self, request: CompletionRequest, target: Target) -> Script:
        words = request.messages[-1].text if request.messages else ""
        said = [request.system, *(message.text for message in request.messages)]
        input_tokens = sum(len(text.split()) for text in said)
        if "script:" not in words:
            return says(
                words or "…", pieces=max(1, len(words) // 5), finished=_finished("stop", input_tokens, 1)
            )
        orders = dict(re.findall(r"(\w+)=(\S+)", words.partition("script:")[2]))
        number = {name: int(orders.get(name, default)) for name, default in NUMBERS.items()}
        self._asked[words] += 1
        struck = "times" not in orders or self._asked[words] <= int(orders["times"])
        fault = orders.get("fault") if struck else None
        script: list[Line] = [Wait(number["first_ms"] / 1000)] if number["first_ms"] else []
        for index, piece in enumerate(recital(number["pieces"], number["seed"])):
            if fault and index == number["at"]:
                return [*script, *_fault(fault)]
            if index and number["delay_ms"]:
                script.append(Wait(number["delay_ms"] / 1000))
            script.append(piece)
        if fault:
            return [*script, *_fault(fault)]
        finish = cast(FinishReason, orders.get("finish", "stop"))
        return [*script, _finished(finish, input_tokens, number["pieces"])]


NUMBERS = {"pieces": "20", "seed": "0", "first_ms": "0", "delay_ms": "0", "at": "0"}


def recital(pieces: int, seed: int) -> list[str]:
    """The numbered answer a script asks for: the same for the same numbers, piece by piece.

    Pieces are `1:word `, `2:word `, …, so that a gap, a repeat or a swap shows.
    """
    choose = random.Random(seed).choice  # noqa: S311 (no secret in it)
    return [f"{number}:{choose(WORDS)} " for number in range(1, pieces + 1)]


def _fault(fault: str) -> Script:
    if fault == "cut":
        return []
    if fault == "hang":
        return [Wait(None)]
    if fault not in get_args(ErrorKind):
        raise ValueError(f"A script has no fault `{fault}`.")
    return [of_kind(cast(ErrorKind, fault), "The script says so.")]


def _finished(finish: FinishReason, input_tokens: int, output_tokens: int) -> CompletionFinished:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, kind="exact")
    return CompletionFinished(finish=finish, finish_raw=finish, usage=usage)
