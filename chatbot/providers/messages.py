"""What we ask of a model service, and the words both sides share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "error"]
UsageKind = Literal["exact", "estimated", "unknown"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One earlier or current utterance. The system prompt is no message: see CompletionRequest."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Ask for an answer that is one JSON value of this schema (JSON Schema, draft 2020-12)."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How to answer. None (or an empty tuple) leaves the choice to the service.

    `temperature` and the penalties are in OpenAI's ranges (0-2 and -2..2); an adapter clamps
    them into its own service's range. `json` is "object" for any JSON object.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    json: Literal["object"] | JsonSchema | None = None
    reasoning_effort: ReasoningEffort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One request for an answer: `messages` are oldest first and end with the visitor's words."""

    system: str
    messages: tuple[ChatMessage, ...]
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one completion, counted inclusively.

    Cached tokens are part of `input_tokens`, reasoning tokens part of `output_tokens`; adapters
    normalise. None is unknown, never zero. `kind` says how the two main counts came about. The billed
    counts are None where all that is used is billed, which is nearly everywhere.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    billed_input_tokens: int | None = None
    billed_output_tokens: int | None = None
    kind: UsageKind = "unknown"


UNKNOWN_USAGE = Usage()
NOTHING = Usage(input_tokens=0, output_tokens=0, kind="exact")  # of a call that was never made


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asks for. `arguments` is the JSON text as sent."""

    id: str
    name: str
    arguments: str
