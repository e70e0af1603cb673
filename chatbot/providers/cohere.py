"""Cohere's chat, version 2.

    POST {base_url}/v2/chat   {"model": …, "messages": [{"role": "system", "content": …}, …], "p": 0.9, …}
    data: {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", …}}}}
    data: {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}}
    data: {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {…}, …}}}

https://docs.cohere.com/reference/chat-stream, as cohere 7.3.1 sends and reads it (November 2026).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from chatbot.providers import retry_after
from chatbot.providers.base import ModelTraits, Target
from chatbot.providers.bodies import TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings, connect
from chatbot.providers.messages import (
    CompletionRequest,
    FinishReason,
    JsonSchema,
    Parameters,
    Usage,
)
from chatbot.providers.sse import Event
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader, Wire, kind_of_status, table

TAKES = Capabilities(
    temperature=(0.0, 2.0),
    top_p=(0.01, 0.99),
    max_output_tokens=True,
    frequency_penalty=(0.0, 1.0),
    presence_penalty=(0.0, 1.0),
    stop=5,
    json_object=True,
    json_schema=True,
)
FIELDS = {
    "temperature": "temperature",
    "top_p": "p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}

FINISH: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
    "TIMEOUT": "error",
}
BLOCKED = 498  # the input or the answer is on Cohere's deny list


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereSettings(KeyedSettings):
    base_url: str = "https://api.cohere.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereTraits(ModelTraits):
    """`reasoning`: the model can think first. None: as its name suggests."""

    reasoning: bool | None = None


class ChatWire(Wire):
    """Chat. `clock` gives Unix time: one header names the moment when a limit ends."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return replace(TAKES, reasoning_effort=_thinks(target))

    def call(self, request: CompletionRequest, target: Target) -> Call:
        parameters = request.parameters
        system = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, Any] = {
            "model": target.model,
            "messages": system + [{"role": one.role, "content": one.text} for one in request.messages],
            "stream": target.stream,
        }
        for name, field in FIELDS.items():
            if (value := getattr(parameters, name)) is not None:
                body[field] = value
        if parameters.stop:
            body["stop_sequences"] = parameters.stop
        if parameters.json is not None:
            body["response_format"] = {"type": "json_object"}
        if isinstance(parameters.json, JsonSchema):
            body["response_format"]["json_schema"] = parameters.json.schema
        effort = parameters.reasoning_effort
        if effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif effort is not None:
            body["thinking"] = {"type": "enabled", "token_budget": BUDGETS[effort]}
            if "max_tokens" in body:  # thinking would use it up
                body["max_tokens"] += BUDGETS[effort]
        return Call("/v2/chat", orjson.dumps(body))

    def reader(self, target: Target) -> Reader:
        return ChatReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        answer = parse_error(body)
        error = _classed(answer, status) if isinstance(answer, dict) else by_status(status, body)
        if retry_after.seconds(headers, now=self._clock()) is None:
            error.retry_after_s = self._until_reset(headers)
        return error

    def _until_reset(self, headers: Mapping[str, str]) -> float | None:
        """What `X-RateLimit-Reset`, Unix time in seconds, leaves to wait."""
        reset = headers.get("x-ratelimit-reset", "")
        wait_s = float(reset) - self._clock() if reset.isdigit() else -1.0
        return wait_s if wait_s >= 0 else None


class ChatReader(Reader):
    """Reads events, or one whole answer."""

    def take(self, event: Event) -> None:
        if event.data == b"[DONE]":
            return
        chunk = parse(event.data)
        if "type" not in chunk and "message" in chunk:
            raise _classed(chunk, None)
        match chunk["type"]:
            case "content-delta" | "content-start":
                self._content(chunk["delta"]["message"]["content"])
            case "message-start":
                self.request_id = self.request_id or chunk.get("id")
            case "tool-plan-delta":
                self.think(chunk["delta"]["message"]["tool_plan"])
            case "tool-call-start" | "tool-call-delta":
                self._tool(chunk["index"], chunk["delta"]["message"]["tool_calls"])
            case "message-end":
                self._finished(chunk["delta"])
                self.done = True

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        self.request_id = self.request_id or answer.get("id")
        message = answer["message"]
        if plan := message.get("tool_plan"):
            self.think(plan)
        for content in message.get("content") or ():
            self._content(content)
        for index, call in enumerate(message.get("tool_calls") or ()):
            self._tool(index, call)
        self._finished(answer)

    def _content(self, content: Mapping[str, Any]) -> None:
        if text := content.get("text"):
            self.say(text)
        elif thinking := content.get("thinking"):
            self.think(thinking)

    def _tool(self, index: int, call: Mapping[str, Any]) -> None:
        function = call.get("function") or {}
        self.ask_tool(
            index, call_id=call.get("id"), name=function.get("name"), arguments=function.get("arguments")
        )

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        """What was used, and what of it is billed: Cohere's own preamble is not."""
        tokens, billed = table(counted.get("tokens")), table(counted.get("billed_units"))
        return Usage(
            input_tokens=tokens.get("input_tokens", billed.get("input_tokens")),
            output_tokens=tokens.get("output_tokens", billed.get("output_tokens")),
            cached_input_tokens=counted.get("cached_tokens"),
            billed_input_tokens=billed.get("input_tokens"),
            billed_output_tokens=billed.get("output_tokens"),
        )

    def _finished(self, said: Mapping[str, Any]) -> None:
        """Read `finish_reason`, `error` and `usage`."""
        if usage := said.get("usage"):
            self.counted = usage
        reason = said["finish_reason"]
        self.finish_raw, self.finish = reason, FINISH.get(reason, "stop")
        if self.finish == "error":
            message = said.get("error") or f"The service gave up on the answer: `{reason}`."
            raise of_kind("timeout" if reason == "TIMEOUT" else "server", message, code=reason)


def build(name: str, settings: CohereSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: cohere` row."""
    return connect(name, settings, ChatWire())


def _thinks(target: Target) -> bool:
    said = target.traits.reasoning if isinstance(target.traits, CohereTraits) else None
    return "reasoning" in target.model if said is None else said


def _classed(answer: Mapping[str, Any], status: int | None) -> ProviderError:
    """Class `{"message", "id"?}`. `status` None: it came inside a stream."""
    message = str(answer.get("message") or "")
    kind: ErrorKind = "content_filter" if status == BLOCKED else kind_of_status(status or 500)
    if kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    elif kind == "rate_limit" and "/ month" in message:  # a trial key's; told in words only
        kind = "quota"
    return of_kind(
        kind,
        message or f"The service answered with HTTP {status}.",
        status=status,
        request_id=answer.get("id"),
    )
