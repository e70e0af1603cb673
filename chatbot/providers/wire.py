"""What an adapter has to say about its service: how to ask, how to read the answer, what errors mean.

All of it is pure: bytes and values in, values out. `http.py` does the sending and waiting.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chatbot.providers.base import Target
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, IncompleteStream, ProviderError
from chatbot.providers.events import CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import (
    UNKNOWN_USAGE,
    CompletionRequest,
    FinishReason,
    Parameters,
    ToolCall,
    Usage,
)
from chatbot.providers.sse import Event, EventSplitter, Splitter

MOST_TOKENS = 2**31 - 1  # what a database column holds, and more than any model reads

# What a status means where the service does not say more: 4xx are ours to change, but for these.
BY_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "auth",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "overloaded",  # the official SDKs send the same request again
    413: "invalid_request",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status says, if nothing else does."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:
        return "server"
    return "invalid_request" if status >= 400 else "bad_response"


COUNTS = tuple(one.name for one in fields(Usage) if one.name != "kind")


def count(value: object) -> int | None:
    """A number of tokens out of a stranger's JSON, where some are floats; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def table(value: object) -> dict[str, Any]:
    """An object inside a stranger's JSON; an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def word(value: object) -> str | None:
    """A name or number out of a stranger's JSON, as text; None for anything else, and for nothing."""
    return str(value).replace("\0", "") or None if isinstance(value, str | int) else None


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be sent: `path` follows the base URL, `body` is JSON."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Reader(ABC):
    """Reads one answer. Gathers deltas as events are taken in; neighbours of one sort become one.

    `moved` turns true when an event brought the answer forward; comments and empty deltas do not.
    `done` is true when the service's last word has come, and nothing after it matters. `counted` is the
    last that the service said of its usage, as it came: many say it with every delta, and it is read once.
    """

    def __init__(self) -> None:
        self.counted: object = None
        self.request_id: str | None = None
        self.finish: FinishReason | None = None
        self.finish_raw: str | None = None
        self.done = False
        self.moved = False
        self._tools: dict[int, list[str]] = {}  # by index: id, name, arguments
        self._texts: list[str] = []
        self._is_reasoning = False
        self._deltas: list[TextDelta | ReasoningDelta] = []

    @abstractmethod
    def take(self, event: Event) -> None:
        """Read one event of a stream. Raises ProviderError for one that reports an error."""

    @abstractmethod
    def take_whole(self, body: bytes) -> None:
        """Read an answer that came in one piece. Raises ProviderError as `take` does."""

    def deltas(self) -> list[TextDelta | ReasoningDelta]:
        """Hand out what has gathered, in order."""
        self._close_run()
        deltas, self._deltas = self._deltas, []
        return deltas

    def end(self) -> CompletionFinished:
        """The body is at its end. Raises IncompleteStream if the service had not finished."""
        if self.finish is None:
            raise IncompleteStream("The stream ended before the answer did.", usage=self.spent())
        return CompletionFinished(
            finish=self.finish,
            finish_raw=word(self.finish_raw),
            usage=self.spent(),
            request_id=word(self.request_id),
            tool_calls=self.tool_calls(),
        )

    def spent(self) -> Usage:
        """What the service has counted so far; what it sent in place of a count is unknown."""
        if self.counted is None:
            return UNKNOWN_USAGE
        said = self.read_usage(table(self.counted))
        counts: dict[str, Any] = {name: count(getattr(said, name)) for name in COUNTS}
        is_known = counts["input_tokens"] is not None and counts["output_tokens"] is not None
        return Usage(**counts, kind="exact" if is_known else "unknown")

    @abstractmethod
    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        """Read what the service has counted. Whether its counts are such, and all there, is seen to."""

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools asked for, once all is read."""
        return tuple(ToolCall(*self._tools[index]) for index in sorted(self._tools))

    def say(self, text: str) -> None:
        """Add visible text. Raises TypeError for what a stranger sends in its place."""
        if type(text) is not str:
            raise TypeError(f"text expected, {type(text).__name__} found")
        if self._is_reasoning:
            self._close_run()
            self._is_reasoning = False
        self._texts.append(text)

    def think(self, text: str) -> None:
        """Add the model's own thinking; see `say`."""
        if type(text) is not str:
            raise TypeError(f"text expected, {type(text).__name__} found")
        if not self._is_reasoning:
            self._close_run()
            self._is_reasoning = True
        self._texts.append(text)

    def ask_tool(
        self, index: int | None, *, call_id: str | None, name: str | None, arguments: str | None
    ) -> None:
        """Add a piece of a tool call: pieces of one call have the same index, None begins a new one.
        Raises TypeError as `say` does."""
        pieces = (call_id, name, arguments)
        if type(index) not in (int, type(None)) or any(type(one) not in (str, type(None)) for one in pieces):
            raise TypeError("a piece of a tool call is no text")
        self.moved = True
        tool = self._tools.setdefault(len(self._tools) if index is None else index, ["", "", ""])
        tool[0] = tool[0] or call_id or ""
        tool[1] = tool[1] or name or ""
        tool[2] += arguments or ""

    def _close_run(self) -> None:
        if not self._texts:
            return
        # PostgreSQL takes no U+0000 in a text; nobody else needs to think of it.
        text = "".join(self._texts).replace("\0", "�")
        self._texts.clear()
        if text:
            self.moved = True
            self._deltas.append(ReasoningDelta(text) if self._is_reasoning else TextDelta(text))


class Wire(ABC):
    """The language of one kind of service."""

    accepts = "text/event-stream"
    request_id_header = "x-request-id"

    @abstractmethod
    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        """What `target` takes when it is asked with these parameters: some exclude each other."""

    @abstractmethod
    def call(self, request: CompletionRequest, target: Target) -> Call:
        """Write down a request that fits the capabilities."""

    @abstractmethod
    def reader(self, target: Target) -> Reader:
        """A reader for one answer."""

    @abstractmethod
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read the answer to a request that failed; waits in the usual headers are read for it."""

    def splitter(self) -> Splitter:
        """What cuts the stream of one answer into events."""
        return EventSplitter()
