"""OpenAI's chat completions, and the many services that speak them too.

    POST {base_url}/chat/completions   {"model": …, "messages": [{"role": "system", "content": …}, …], …}
    data: {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}], "usage": null}
    data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 6, …}}
    data: [DONE]

https://platform.openai.com/docs/api-reference/chat, as the openai package 3.51.0 sends and reads it
(November 2026). Compatible servers are looser; what they do differently is named where it is met.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from chatbot.providers.auth import Failure, KeyAuth, OAuth2, OAuth2Settings
from chatbot.providers.base import ModelTraits, Target
from chatbot.providers.bodies import parse
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ProviderError, TryLater
from chatbot.providers.events import CompletionFinished
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings
from chatbot.providers.keys import Secret
from chatbot.providers.messages import (
    CompletionRequest,
    FinishReason,
    JsonSchema,
    Parameters,
    Usage,
)
from chatbot.providers.openai_errors import failure, raise_reported, reported
from chatbot.providers.parameters import RANGED
from chatbot.providers.sse import Event
from chatbot.providers.thinking import TagReader, ThinkFilter
from chatbot.providers.tokens import TokenStore
from chatbot.providers.transport import Transport
from chatbot.providers.wire import Call, Reader, Wire, table

OutputLimitField = Literal["max_completion_tokens", "max_tokens"]
JsonMode = Literal["schema", "object", "none"]

OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")  # max_tokens is deprecated, a loose schema a 400
MAX_STOPS = 4

TAKES = Capabilities(
    temperature=(0.0, 2.0),
    top_p=(0.0, 1.0),
    max_output_tokens=True,
    frequency_penalty=(-2.0, 2.0),
    presence_penalty=(-2.0, 2.0),
    stop=MAX_STOPS,
    json_object=True,
    json_schema=True,
    most_effort="max",
)
WITHOUT_SAMPLING: dict[str, Any] = dict.fromkeys(RANGED)
# What a service lacks that refuses a field of the body.
LACKS: dict[str, dict[str, Any]] = {
    **{name: {name: None} for name in RANGED},
    "max_tokens": {"max_output_tokens": False},
    "max_completion_tokens": {"max_output_tokens": False},
    "stop": {"stop": 0},
    "response_format": {"json_object": False, "json_schema": False},
    "reasoning_effort": {"reasoning_effort": False},
}
# Models that think before they answer take no sampling parameters (400) and call the system prompt
# `developer`. A model row's `reasoning` overrules the name.
REASONING_NAMES = re.compile(r"o\d|gpt-5(?!.*-chat)")
WITHOUT_STOP = re.compile(r"o3|o4-mini")

FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",  # Mistral
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # GLM
    "error": "error",  # OpenRouter
    "abort": "error",  # vLLM
    "network_error": "error",  # GLM
    "insufficient_system_resource": "error",  # DeepSeek, Pangu
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """How to sign in where a fixed key is not enough."""

    oauth2: OAuth2Settings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings(KeyedSettings):
    """`output_limit_field` None: what the host is known to take. `include_usage`: ask for token counts
    by `stream_options`, which some servers refuse. `leave_out` names body fields the service refuses.
    `json_mode`: what it can promise of an answer's form. `think_tags`: its answers hold
    `<think>…</think>`; `starts_thinking`: they begin within a thought, and only `</think>` is seen."""

    base_url: str = "https://api.openai.com/v1"
    auth: AuthSettings | None = None
    organization: str | None = None
    project: str | None = None
    output_limit_field: OutputLimitField | None = None
    include_usage: bool = True
    json_mode: JsonMode = "schema"
    leave_out: tuple[str, ...] = ()
    think_tags: bool = False
    starts_thinking: bool = False

    def missing(self) -> tuple[str, ...]:
        oauth2 = self.auth and self.auth.oauth2
        needed = ("token_url", "client_id") if oauth2 else ()
        return (*KeyedSettings.missing(self), *(name for name in needed if not getattr(oauth2, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAITraits(ModelTraits):
    """What a model row may say over its provider; None leaves it to the provider, and to the name."""

    reasoning: bool | None = None
    output_limit_field: OutputLimitField | None = None
    json_mode: JsonMode | None = None
    think_tags: bool | None = None
    starts_thinking: bool | None = None


class ChatWire(Wire):
    """Chat completions."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        json_mode = _traits(target).json_mode or self._settings.json_mode
        by_schema = json_mode == "schema"
        if by_schema and self._is_openai and isinstance(asked.json, JsonSchema):
            by_schema = _is_strict(asked.json.schema)
        can = replace(TAKES, json_object=json_mode != "none", json_schema=by_schema)
        if _thinks(target):
            stop = 0 if WITHOUT_STOP.match(target.model) else MAX_STOPS
            can = replace(can, **WITHOUT_SAMPLING, stop=stop, reasoning_effort=True)
        for field in self._settings.leave_out:
            can = replace(can, **LACKS.get(field, {}))
        return can

    def call(self, request: CompletionRequest, target: Target) -> Call:
        thinks = _thinks(target)
        body: dict[str, object] = {
            "model": target.model,
            "messages": _messages(request, system_role="developer" if thinks else "system"),
            "stream": target.stream,
        }
        parameters = request.parameters
        limit_field = _traits(target).output_limit_field or ("max_completion_tokens" if thinks else None)
        put(body, limit_field or self._limit_field(), parameters.max_output_tokens)
        for name in (*RANGED, "reasoning_effort"):
            put(body, name, getattr(parameters, name))
        put(body, "stop", parameters.stop or None)
        put(body, "response_format", _response_format(parameters))
        return Call("/chat/completions", self.body(body, target))

    def reader(self, target: Target) -> Reader:
        settings, traits = self._settings, _traits(target)
        tags = settings.think_tags if traits.think_tags is None else traits.think_tags
        opened = settings.starts_thinking if traits.starts_thinking is None else traits.starts_thinking
        return ChatReader(ThinkFilter(is_open=opened) if tags or opened else None)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, body)

    def _limit_field(self) -> OutputLimitField:
        if self._settings.output_limit_field is not None:
            return self._settings.output_limit_field
        return "max_completion_tokens" if self._is_openai else "max_tokens"

    @property
    def _is_openai(self) -> bool:
        host = self._settings.base_url.partition("://")[2].partition("/")[0]
        return host.endswith(OPENAI_HOSTS)

    def body(self, body: dict[str, object], target: Target) -> bytes:
        if target.stream and self._settings.include_usage:
            body["stream_options"] = {"include_usage": True}
        for name in self._settings.leave_out:
            body.pop(name, None)
        return orjson.dumps(body)


class ChatReader(TagReader):
    """Reads chunks, or one whole answer."""

    def __init__(self, think: ThinkFilter | None = None) -> None:
        super().__init__(think)
        self._refused = False

    def take(self, event: Event) -> None:
        if event.data == b"[DONE]":
            self.done = True
            return
        chunk = parse(event.data)
        self.check(chunk)
        if event.name == b"error":  # a gateway's: without the word `error` in the object
            raise reported(chunk)
        if choices := chunk.get("choices"):  # none in Azure's first chunk and in the one with the usage
            self.choice(choices[0], "delta")
        if usage := chunk.get("usage"):
            self.counted = usage

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        self.check(answer)
        self.choice(answer["choices"][0], "message")
        if usage := answer.get("usage"):
            self.counted = usage
        self.finish = self.finish or "stop"

    def check(self, answer: Mapping[str, Any]) -> None:
        """Raise the error that a chunk or a whole answer carries, if it carries one."""
        raise_reported(answer)

    def end(self) -> CompletionFinished:
        if self._refused and self.finish == "stop":
            self.finish = "content_filter"
        return super().end()

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        """Cached tokens are already part of the prompt's, reasoning of the answer's."""
        prompt, answer = (table(counted.get(f"{part}_tokens_details")) for part in ("prompt", "completion"))
        return Usage(
            input_tokens=counted.get("prompt_tokens"),
            output_tokens=counted.get("completion_tokens"),
            cached_input_tokens=prompt.get(
                "cached_tokens", counted.get("prompt_cache_hit_tokens")
            ),  # DeepSeek
            reasoning_tokens=answer.get("reasoning_tokens"),
        )

    def choice(self, choice: Mapping[str, Any], part: str) -> None:
        if delta := choice.get(part):
            if len(delta) > 1 or "content" not in delta:  # most deltas are `content` alone
                self._beside_content(delta)
            if text := delta.get("content"):
                self._content(text)
        if reason := choice.get("finish_reason"):
            self.finished(reason)
            if usage := choice.get("usage"):  # Kimi
                self.counted = usage

    def _content(self, text: str | list[Mapping[str, Any]]) -> None:
        if isinstance(text, list):  # Mistral's thinking models send parts
            for part in text:
                if part.get("type") == "thinking":
                    self.think("".join(piece.get("text", "") for piece in part["thinking"]))
                else:
                    self._content(part.get("text", ""))
        else:
            self.content(text)

    def _beside_content(self, delta: Mapping[str, Any]) -> None:
        """DeepSeek, vLLM and Qwen call thinking `reasoning_content`, OpenRouter `reasoning`."""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            self.think(reasoning)
        if refusal := delta.get("refusal"):  # the model's own words in place of a structured answer
            self._refused = True
            self.say(refusal)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            self.ask_tool(
                call.get("index"),
                call_id=call.get("id"),
                name=function.get("name"),
                arguments=function.get("arguments"),
            )

    def finished(self, reason: str) -> None:
        self.moved = True
        self.finish_raw, self.finish = reason, FINISH.get(reason, "stop")
        if self.finish == "error":
            raise TryLater("server", f"The service gave up on the answer: `{reason}`.", code=reason)


def connect(name: str, settings: OpenAISettings, wire: Wire, tokens: TokenStore) -> HttpProvider:
    """A provider with OpenAI's ways of signing in."""
    carrier, secrets = carrier_to(name, settings, failure=wire.failure, tokens=tokens)
    return HttpProvider(name, wire, carrier, base_url=settings.base_url, secrets=secrets)


def carrier_to(
    name: str, settings: OpenAISettings, *, failure: Failure, tokens: TokenStore
) -> tuple[Transport, list[Secret]]:
    """What carries requests to a service that signs in as OpenAI does, and the secrets it sends."""
    keys = settings.keys()
    secrets = [*keys.all()]
    auth: KeyAuth | OAuth2 | None = None
    if keys:
        auth = KeyAuth(keys, header=settings.auth_header, failure=failure)
    if settings.auth and (oauth2 := settings.auth.oauth2):
        auth = OAuth2(name, oauth2, tokens)
        secrets += [oauth2.client_secret] if oauth2.client_secret else []
    named = {"OpenAI-Organization": settings.organization, "OpenAI-Project": settings.project}
    transport = Transport(
        name,
        auth=auth,
        headers={**{header: value for header, value in named.items() if value}, **settings.headers},
        query=settings.query,
        proxy=settings.proxy,
    )
    return transport, secrets


def build(name: str, settings: OpenAISettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: openai` row."""
    return connect(name, settings, ChatWire(settings), tokens)


def put(body: dict[str, object], name: str, value: object) -> None:
    """Say it if there is something to say."""
    if value is not None:
        body[name] = value


def _messages(request: CompletionRequest, *, system_role: str) -> list[dict[str, str]]:
    system = [{"role": system_role, "content": request.system}] if request.system else []
    return system + [{"role": message.role, "content": message.text} for message in request.messages]


def _response_format(parameters: Parameters) -> dict[str, object] | None:
    match parameters.json:
        case None:
            return None
        case JsonSchema(name=name, schema=schema):
            return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
        case _:
            return {"type": "json_object"}


def _is_strict(schema: object) -> bool:
    """Whether OpenAI promises this schema: of every object in it all properties are required, and no others
    allowed. See https://platform.openai.com/docs/guides/structured-outputs (read 2026-11-20)."""
    if isinstance(schema, list | tuple):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required")
        names = required if isinstance(required, list) else []
        if schema.get("additionalProperties") is not False or any(n not in names for n in table(properties)):
            return False
    return all(map(_is_strict, schema.values()))


def _thinks(target: Target) -> bool:
    """Whether the model thinks before it answers: the row says so, or its name."""
    thinks = _traits(target).reasoning
    return REASONING_NAMES.match(target.model) is not None if thinks is None else thinks


def _traits(target: Target) -> OpenAITraits:
    return target.traits if isinstance(target.traits, OpenAITraits) else OpenAITraits()
