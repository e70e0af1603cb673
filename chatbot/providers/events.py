"""What comes back from a model service: a closed union, read with `match`."""

from dataclasses import dataclass, field

from chatbot.providers.errors import ProviderError
from chatbot.providers.messages import UNKNOWN_USAGE, FinishReason, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A target failed before its first visible delta; another attempt (or RouteExhausted) follows.

    `attempt` is the number that was given to `compose` for it (from 1, over the whole route), and
    `error.usage` what the service said it counted before it failed.
    """

    attempt: int
    error: ProviderError


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's own thinking, never shown to visitors."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionFinished:
    """The service's own end mark was seen. Always the last event, and there is exactly one."""

    finish: FinishReason
    finish_raw: str | None = None
    usage: Usage = UNKNOWN_USAGE
    request_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = field(default=())


ProviderEvent = TextDelta | ReasoningDelta | CompletionFinished
RouteEvent = AttemptFailed | ProviderEvent
