"""Anthropic's Messages, in both API versions that are live.

    POST {base_url}/v1/messages   {"model": …, "max_tokens": 800, "system": "…", "messages": [{"role": …}], …}
    data: {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1, …}, …}}
    data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}}
    data: {"type": "message_stop"}

https://platform.claude.com/docs/en/api/messages and …/api/versioning, as the anthropic packages 2.10.0
(API version 2026-10-21) and 0.125.0 (2023-06-01) send and read it (November 2026). New event and block
types may come at any time and are passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from chatbot.providers.base import ModelTraits, Target
from chatbot.providers.bodies import MONEY, TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import ANY_NUMBER, Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, TryLater, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings, connect
from chatbot.providers.messages import (
    CompletionRequest,
    FinishReason,
    JsonSchema,
    Parameters,
    ToolCall,
    Usage,
)
from chatbot.providers.sse import Event
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader, Wire, count, kind_of_status, table, word

ApiVersion = Literal["2026-10-21", "2023-06-01"]
Thinking = Literal["adaptive", "budget", "none"]
Sampling = Literal["both", "one", "none"]

OUTPUT_TOKENS = 4096  # the service has no default of its own

# Since 2026-10-21 any temperature or top_p is a 400.
TAKES: dict[ApiVersion, Capabilities] = {
    "2026-10-21": Capabilities(
        max_output_tokens=True, stop=ANY_NUMBER, json_schema=True, reasoning_effort=True, alternation=True
    ),
    "2023-06-01": Capabilities(
        temperature=(0.0, 1.0),
        top_p=(0.0, 1.0),
        max_output_tokens=True,
        stop=ANY_NUMBER,
        reasoning_effort=True,
        alternation=True,
    ),
}
KEY_HEADERS: dict[ApiVersion, str | None] = {"2026-10-21": None, "2023-06-01": "x-api-key"}

# claude-opus-4-6, claude-haiku-4-5-20251001, claude-3-7-sonnet-20250219
MODEL_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")
FIRST_TO_THINK = (3, 7)
FIRST_ADAPTIVE = (4, 6)

EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384}  # 1024 is the least there is

FINISH: dict[str | None, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "error",  # the service's own tools took too long, of which we ask for none
}
KINDS: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "auth",
    "billing_error": "quota",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "overloaded",
    "request_too_large": "invalid_request",
    "rate_limit_error": "rate_limit",
    "api_error": "server",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicSettings(KeyedSettings):
    """`api_version` decides what may be sent: see TAKES."""

    base_url: str = "https://api.anthropic.com"
    api_version: ApiVersion = "2026-10-21"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicTraits(ModelTraits):
    """`thinking` is how a model is told to think (None: as its name suggests), `sampling` whether it
    takes temperature and top_p (API version 2023-06-01 only): newer models take one of them, or none."""

    thinking: Thinking | None = None
    sampling: Sampling = "both"


class MessagesWire(Wire):
    """Messages."""

    request_id_header = "request-id"

    def __init__(self, settings: AnthropicSettings) -> None:
        self._settings = settings

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        can = TAKES[self._settings.api_version]
        thinking, sampling = _thinking(target), _traits(target).sampling
        thinks = thinking != "none" and asked.reasoning_effort not in (None, "none")
        if thinks or sampling == "none":  # a thinking model refuses both
            can = replace(can, temperature=None, top_p=None)
        elif sampling == "one" and asked.temperature is not None:
            can = replace(can, top_p=None)
        return replace(can, reasoning_effort=thinking != "none")

    def call(self, request: CompletionRequest, target: Target) -> Call:
        parameters = request.parameters
        body: dict[str, Any] = {
            "model": target.model,
            "max_tokens": parameters.max_output_tokens or OUTPUT_TOKENS,
            "messages": [{"role": message.role, "content": message.text} for message in request.messages],
            "stream": target.stream,
        }
        if request.system:
            body["system"] = request.system
        for name in ("temperature", "top_p"):
            if (value := getattr(parameters, name)) is not None:
                body[name] = value
        if stops := [stop for stop in parameters.stop if stop.strip()]:  # a blank one is a 400
            body["stop_sequences"] = stops
        if isinstance(parameters.json, JsonSchema):
            body["output_config"] = {"format": {"type": "json_schema", "schema": parameters.json.schema}}
        _put_effort(body, parameters, _thinking(target))
        return Call("/v1/messages", orjson.dumps(body))

    def reader(self, target: Target) -> Reader:
        return MessagesReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        answer = parse_error(body)
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            return _classed(answer, status)
        return by_status(status, body)


class MessagesReader(Reader):
    """Reads events, or one whole message."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._is_counted = False
        self._stop_reason: str | None = None

    def take(self, event: Event) -> None:
        chunk = parse(event.data)
        match chunk.get("type") or event.name.decode() or chunk["type"]:
            case "content_block_delta":
                self._delta(chunk["index"], chunk["delta"])
            case "content_block_start":
                self._block(chunk["index"], chunk["content_block"])
            case "message_start":
                self._count(chunk["message"].get("usage"))
            case "message_delta":
                self._stop_reason = table(chunk.get("delta")).get("stop_reason") or self._stop_reason
                self._count(chunk.get("usage"))
                self._is_counted = True
            case "message_stop":
                self._finished()
                self.done = True
            case "error":
                raise _classed(chunk, None)

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        if answer.get("type") == "error":
            raise _classed(answer, None)
        for index, block in enumerate(answer["content"]):
            self._block(index, block)
        self._stop_reason = answer.get("stop_reason")
        self._count(answer.get("usage"))
        self._is_counted = True
        self._finished()

    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(replace(call, arguments=call.arguments or "{}") for call in super().tool_calls())

    def _block(self, index: int, block: Mapping[str, Any]) -> None:
        """A block begins; in a whole answer it is all there."""
        self.moved = True
        match block["type"]:
            case "text":
                self.say(block.get("text") or "")
            case "thinking":
                self.think(block.get("thinking") or "")
            case "tool_use":
                said = block.get("input")
                arguments = orjson.dumps(said).decode() if said else ""
                self.ask_tool(index, call_id=block["id"], name=block["name"], arguments=arguments)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> None:
        match delta["type"]:
            case "text_delta":
                self.say(delta["text"])
            case "thinking_delta":
                self.think(delta["thinking"])
            case "input_json_delta":
                self.ask_tool(index, call_id=None, name=None, arguments=delta["partial_json"])

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Counts that come later replace the ones before; what they do not name stays."""
        if not usage:
            return
        self._counts.update({name: said for name, said in usage.items() if said is not None})
        self.counted = self._counts

    def spent(self) -> Usage:
        """Until the answer is at its end, the service says that it has about one token."""
        usage = super().spent()
        return usage if self._is_counted or usage.kind != "exact" else replace(usage, kind="estimated")

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        cached, made = (count(counted.get(f"cache_{how}_input_tokens")) for how in ("read", "creation"))
        fresh = count(counted.get("input_tokens"))
        return Usage(
            input_tokens=None if fresh is None else fresh + (cached or 0) + (made or 0),
            output_tokens=counted.get("output_tokens"),
            cached_input_tokens=cached,
            reasoning_tokens=table(counted.get("output_tokens_details")).get("thinking_tokens"),
        )

    def _finished(self) -> None:
        self.finish_raw = self._stop_reason
        self.finish = FINISH.get(self._stop_reason, "stop")
        if self.finish == "error":
            message = f"The service left the answer unfinished: `{self._stop_reason}`."
            raise TryLater("server", message, code=self._stop_reason)


def build(name: str, settings: AnthropicSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: anthropic` row."""
    return connect(
        name,
        settings,
        MessagesWire(settings),
        key_header=KEY_HEADERS[settings.api_version],
        headers={"anthropic-version": settings.api_version},
    )


def _put_effort(body: dict[str, Any], parameters: Parameters, thinking: Thinking) -> None:
    """Tell the model how hard to think. A budget comes on top of the answer's own limit, which it would
    otherwise use up."""
    effort = parameters.reasoning_effort
    if effort is None:
        return
    if effort == "none":
        if thinking == "adaptive":  # the others think only when asked to
            body["thinking"] = {"type": "disabled"}
    elif thinking == "adaptive":
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {**body.get("output_config", {}), "effort": EFFORTS[effort]}
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": BUDGETS[effort]}
        body["max_tokens"] += BUDGETS[effort]


def _thinking(target: Target) -> Thinking:
    """How the model is told to think: the row says so, or its name."""
    if (said := _traits(target).thinking) is not None:
        return said
    found = MODEL_VERSION.search(target.model)
    version = (int(found[1]), int(found[2] or 0)) if found else FIRST_ADAPTIVE
    if version < FIRST_TO_THINK:
        return "none"
    return "budget" if version < FIRST_ADAPTIVE else "adaptive"


def _traits(target: Target) -> AnthropicTraits:
    return target.traits if isinstance(target.traits, AnthropicTraits) else AnthropicTraits()


def _classed(answer: Mapping[str, Any], status: int | None) -> ProviderError:
    """Class `{"type": "error", "error": {"type", "message", "details"?}, "request_id"?}`. `status` None:
    it came inside a stream."""
    error = answer["error"]
    sort, message = word(error.get("type")) or "", str(error.get("message") or "")
    cause = word(table(error.get("details")).get("error_code")) or ""  # enforced_spend_limit_reached
    kind = KINDS.get(sort) or kind_of_status(status or 500)
    if MONEY.search(cause):
        kind = "quota"
    elif kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    elif kind == "invalid_request" and "credit balance" in message:  # told in words only
        kind = "quota"
    return of_kind(
        kind,
        message or f"The service reports an error: {sort or status}.",
        status=status,
        code=cause or sort or None,
        request_id=answer.get("request_id"),
    )
