"""Ollama: models on one's own machines, by chat or by a single prompt.

    POST {base_url}/api/chat   {"model": …, "messages": […], "options": {"num_predict": 800, …}}
    {"message": {"role": "assistant", "content": "Hello"}, "done": false}
    {"message": {"content": ""}, "done": true, "done_reason": "stop", "eval_count": 11, …}

    POST {base_url}/api/generate   {"model": …, "prompt": "…", "system": "…", "options": {…}}
    {"response": "Hello", "done": false}

https://docs.ollama.com/api, as ollama 0.6.3 sends and reads it (November 2026). A prompt longer than
`num_ctx`, a few thousand tokens unless told, is cut without a word: it is set from `context_tokens`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from chatbot.providers.base import ModelTraits, Target, Timeouts
from chatbot.providers.bodies import TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import ANY_NUMBER, Capabilities
from chatbot.providers.completions import LABELS, flatten
from chatbot.providers.errors import ErrorKind, ProviderError, TryLater, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings, connect
from chatbot.providers.messages import (
    CompletionRequest,
    FinishReason,
    JsonSchema,
    Parameters,
    ReasoningEffort,
    Usage,
)
from chatbot.providers.ndjson import LineSplitter
from chatbot.providers.sse import Event, Splitter
from chatbot.providers.thinking import TagReader, ThinkFilter
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader, Wire, kind_of_status

Thinking = Literal["switch", "levels", "none"]

TAKES = Capabilities(
    temperature=(0.0, 2.0),
    top_p=(0.0, 1.0),
    max_output_tokens=True,
    frequency_penalty=(-2.0, 2.0),
    presence_penalty=(-2.0, 2.0),
    stop=ANY_NUMBER,
    json_object=True,
    json_schema=True,
)
OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "num_predict",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}

# A model that does not think refuses to be told to (400).
THINKS = re.compile(r"deepseek-(?:r1|v3\.)|qwen3|qwq|magistral|think|reason")
THINKS_BY_LEVEL = re.compile(r"gpt-oss")  # and cannot be kept from it

FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSettings(KeyedSettings):
    """`keep_alive` is how long the model stays in memory after an answer ("5m", "-1": for ever).
    `think_tags`: answers may hold `<think>…</think>`, as those of models do that Ollama does not know to
    think. The first answer waits until the model is loaded, hence the long time-out."""

    base_url: str = "http://localhost:11434"
    timeout_s: Timeouts = field(default_factory=lambda: Timeouts(first_s=120.0))
    keep_alive: str | None = None
    think_tags: bool = True
    starts_thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaTraits(ModelTraits):
    """`thinking` is how a model is told to think: on and off, by level, or not at all (None: as its name
    suggests)."""

    thinking: Thinking | None = None
    think_tags: bool | None = None
    starts_thinking: bool | None = None


class ChatWire(Wire):
    """`/api/chat`"""

    accepts = "application/x-ndjson"

    def __init__(self, settings: OllamaSettings) -> None:
        self._settings = settings

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return replace(TAKES, reasoning_effort=_thinking(target) != "none")

    def call(self, request: CompletionRequest, target: Target) -> Call:
        system = [{"role": "system", "content": request.system}] if request.system else []
        messages = system + [{"role": one.role, "content": one.text} for one in request.messages]
        return self._post("/api/chat", {"messages": messages}, request.parameters, target)

    def reader(self, target: Target) -> Reader:
        return LineReader(self._think_filter(target))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        answer = parse_error(body)
        if isinstance(answer, dict) and answer.get("error"):
            return _classed(answer["error"], status)
        return by_status(status, body)

    def splitter(self) -> Splitter:
        return LineSplitter()

    def _post(self, path: str, body: dict[str, Any], parameters: Parameters, target: Target) -> Call:
        options = {
            option: value
            for name, option in OPTIONS.items()
            if (value := getattr(parameters, name)) is not None
        }
        if parameters.stop:
            options["stop"] = parameters.stop
        if target.context_tokens is not None:
            options["num_ctx"] = target.context_tokens
        body |= {"model": target.model, "stream": target.stream, "options": options}
        match parameters.json:
            case JsonSchema(schema=schema):
                body["format"] = schema
            case "object":
                body["format"] = "json"
        if parameters.reasoning_effort is not None:
            body["think"] = _think(parameters.reasoning_effort, _thinking(target))
        if self._settings.keep_alive is not None:
            body["keep_alive"] = self._settings.keep_alive
        return Call(path, orjson.dumps(body))

    def _think_filter(self, target: Target) -> ThinkFilter | None:
        settings, traits = self._settings, _traits(target)
        tags = settings.think_tags if traits.think_tags is None else traits.think_tags
        opened = settings.starts_thinking if traits.starts_thinking is None else traits.starts_thinking
        return ThinkFilter(is_open=opened) if tags or opened else None


class PromptWire(ChatWire):
    """`/api/generate`: a single question goes as it is, a conversation as a script of both sides."""

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return replace(super().capabilities(target, asked), alternation=True)

    def call(self, request: CompletionRequest, target: Target) -> Call:
        parameters = request.parameters
        if len(request.messages) == 1:
            prompt = request.messages[0].text
        else:
            prompt = flatten(replace(request, system=""))
            parameters = replace(parameters, stop=(f"\n{LABELS['user']}", *parameters.stop))
        system = {"system": request.system} if request.system else {}
        return self._post("/api/generate", {"prompt": prompt, **system}, parameters, target)

    def reader(self, target: Target) -> Reader:
        return PromptReader(self._think_filter(target))


class LineReader(TagReader):
    """Reads lines, or the one line of a whole answer: both have one shape."""

    def take(self, event: Event) -> None:
        line = parse(event.data)
        if error := line.get("error"):
            raise _classed(error, None)
        self.line(line)
        if line.get("done"):
            self._finished(line)

    def take_whole(self, body: bytes) -> None:
        self.take(Event(b"", body))

    def line(self, line: Mapping[str, Any]) -> None:
        """Read what a line says; the last one, like all of a model, may do without words."""
        message = line["message"] if "model" not in line else line.get("message") or {}
        if thinking := message.get("thinking"):
            self.think(thinking)
        if text := message.get("content"):
            self.content(text)
        for call in message.get("tool_calls") or ():
            function = call["function"]
            arguments = orjson.dumps(function.get("arguments") or {}).decode()
            self.ask_tool(None, call_id=call.get("id"), name=function["name"], arguments=arguments)

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        return Usage(input_tokens=counted.get("prompt_eval_count"), output_tokens=counted.get("eval_count"))

    def _finished(self, line: Mapping[str, Any]) -> None:
        self.counted = line
        reason = line.get("done_reason") or "stop"  # older versions do not say
        if reason in ("load", "unload"):
            raise TryLater("server", f"The model was moved (`{reason}`), and gave no answer.", code=reason)
        self.finish_raw, self.finish = reason, FINISH.get(reason, "stop")
        if self.tool_calls():
            self.finish = "tool_calls"
        self.done = True


class PromptReader(LineReader):
    """The same lines, with `response` in place of `message`."""

    def line(self, line: Mapping[str, Any]) -> None:
        if thinking := line.get("thinking"):
            self.think(thinking)
        if text := line["response"] if "model" not in line else line.get("response"):
            self.content(text)


def build(name: str, settings: OllamaSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: ollama` row."""
    return connect(name, settings, ChatWire(settings))


def build_generate(name: str, settings: OllamaSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: ollama_generate` row."""
    return connect(name, settings, PromptWire(settings))


def _thinking(target: Target) -> Thinking:
    """How the model is told to think: the row says so, or its name."""
    if (said := _traits(target).thinking) is not None:
        return said
    if THINKS_BY_LEVEL.search(target.model):
        return "levels"
    return "switch" if THINKS.search(target.model) else "none"


def _think(effort: ReasoningEffort, thinking: Thinking) -> bool | str:
    if thinking == "switch":
        return effort != "none"
    return "low" if effort in ("none", "minimal") else effort


def _traits(target: Target) -> OllamaTraits:
    return target.traits if isinstance(target.traits, OllamaTraits) else OllamaTraits()


def _classed(error: object, status: int | None) -> ProviderError:
    """Class `{"error": "text"}`; gateways before it send an object. `status` None: it came in a stream."""
    said = error.get("message") if isinstance(error, dict) else error
    kind: ErrorKind = kind_of_status(status or 500)
    if kind in ("invalid_request", "server") and TOO_LONG.search(str(said)):
        kind = "context_length"
    return of_kind(kind, str(said), status=status)
