"""Google Gemini's generateContent, in the API versions v1 and v1beta.

    POST {base_url}/v1/models/{model}:streamGenerateContent?alt=sse
    {"contents": [{"role": "user", "parts": [{"text": …}]}, {"role": "model", …}], "systemInstruction": …,
     "generationConfig": {"temperature": 0.3, "maxOutputTokens": 800, …}}
    data: {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "index": 0}], "usageMetadata": {…}}
    data: {"candidates": [{"content": …, "finishReason": "STOP"}], "usageMetadata": {…}}

https://ai.google.dev/api/generate-content, as google-genai 3.3.0 sends and reads it (November 2026). There
is no end mark but the finish reason, and then the end of the body.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from chatbot.providers.base import ModelTraits, Target
from chatbot.providers.bodies import TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, TryLater, of_kind
from chatbot.providers.events import CompletionFinished
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
from chatbot.providers.sse import Event
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader, Wire, count, kind_of_status, table

Thinking = Literal["budget", "level", "none"]

TAKES = Capabilities(
    temperature=(0.0, 2.0),
    top_p=(0.0, 1.0),
    max_output_tokens=True,
    frequency_penalty=(-2.0, 1.99),  # 2 itself is refused
    presence_penalty=(-2.0, 1.99),
    stop=5,
    json_object=True,
    json_schema=True,
    reasoning_effort=True,
    alternation=True,
)
FIELDS = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_output_tokens": "maxOutputTokens",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}

BUDGETED = re.compile(r"gemini-2\.5")
THOUGHTLESS = re.compile(r"gemini-(?:1|2\.0)|gemma|learnlm")
BUDGETS = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24576}
LEAST_BUDGET = 128  # of a Pro model, which cannot but think; Flash takes 0

FILTERED = (
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
)  # fmt: skip
FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(FILTERED, "content_filter"),
}  # all others, as OTHER and MALFORMED_FUNCTION_CALL, are errors

KINDS: dict[str, ErrorKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "permission",  # the country, or billing that has to be set up first
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "INTERNAL": "server",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
}
REASONS: dict[str, ErrorKind] = {
    "API_KEY_INVALID": "auth",
    "API_KEY_EXPIRED": "auth",
    "BILLING_DISABLED": "quota",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiSettings(KeyedSettings):
    base_url: str = "https://generativelanguage.googleapis.com"
    api_version: Literal["v1", "v1beta"] = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiTraits(ModelTraits):
    """`thinking` is how a model is told to think: by a budget of tokens, a level, or not at all (None: as
    its name suggests). `penalties`: it takes them, which some models do not."""

    thinking: Thinking | None = None
    penalties: bool = True


class GenerateWire(Wire):
    """generateContent and streamGenerateContent."""

    def __init__(self, settings: GeminiSettings) -> None:
        self._settings = settings

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        can = replace(TAKES, reasoning_effort=_thinking(target) != "none")
        if not _traits(target).penalties:
            can = replace(can, frequency_penalty=None, presence_penalty=None)
        return can

    def call(self, request: CompletionRequest, target: Target) -> Call:
        body: dict[str, object] = {
            "contents": [
                {"role": "user" if message.role == "user" else "model", "parts": [{"text": message.text}]}
                for message in request.messages
            ]
        }
        if request.system:
            body["systemInstruction"] = {"role": "user", "parts": [{"text": request.system}]}
        if config := _generation_config(request.parameters, target):
            body["generationConfig"] = config
        model = target.model if "/" in target.model else f"models/{target.model}"
        method = "streamGenerateContent?alt=sse" if target.stream else "generateContent"
        return Call(f"/{self._settings.api_version}/{model}:{method}", orjson.dumps(body))

    def reader(self, target: Target) -> Reader:
        return CandidateReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        answer = parse_error(body)
        if isinstance(answer, list) and answer:  # where a stream was asked for
            answer = answer[0]
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            return _classed(answer["error"], status)
        return by_status(status, body)


class CandidateReader(Reader):
    """Reads the first candidate, in pieces or whole: both have one shape."""

    def take(self, event: Event) -> None:
        data = event.data
        # An error may stand in a list, as it does without `alt=sse`.
        self._take(parse(data[1:-1] if data.startswith(b"[") and data.endswith(b"]") else data))

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        self._take(answer)
        if "candidates" not in answer and self.finish is None:
            raise TryLater("bad_response", "The answer holds no candidate.")
        self.finish = self.finish or "stop"

    def end(self) -> CompletionFinished:
        finished = super().end()
        if finished.tool_calls and finished.finish == "stop":
            return replace(finished, finish="tool_calls")
        return finished

    def _take(self, chunk: Mapping[str, Any]) -> None:
        if error := chunk.get("error"):
            raise _classed(error, None)
        self.request_id = self.request_id or chunk.get("responseId")
        if usage := chunk.get("usageMetadata"):
            self.counted = usage
        if candidates := chunk.get("candidates"):
            self._candidate(candidates[0])
        elif reason := (chunk.get("promptFeedback") or {}).get("blockReason"):
            self.finish_raw, self.finish = reason, "content_filter"

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        """Cached tokens are already part of the prompt's; thoughts are not part of the candidates'. A count
        of nothing is left out by the service; only a prompt has always some."""
        thoughts, prompt = count(counted.get("thoughtsTokenCount")), count(counted.get("promptTokenCount"))
        tools, said = (count(counted.get(f"{what}TokenCount")) for what in ("toolUsePrompt", "candidates"))
        return Usage(
            input_tokens=None if prompt is None else prompt + (tools or 0),
            output_tokens=(said or 0) + (thoughts or 0),
            cached_input_tokens=counted.get("cachedContentTokenCount"),
            reasoning_tokens=thoughts,
        )

    def _candidate(self, candidate: Mapping[str, Any]) -> None:
        for part in (candidate.get("content") or {}).get("parts") or ():
            if text := part.get("text"):
                (self.think if part.get("thought") else self.say)(text)
            elif call := part.get("functionCall"):
                arguments = orjson.dumps(call.get("args") or {}).decode()
                self.ask_tool(None, call_id=call.get("id"), name=call["name"], arguments=arguments)
        reason = candidate.get("finishReason")
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            self.moved = True
            self.finish_raw, self.finish = reason, FINISH.get(reason, "error")
            if self.finish == "error":
                said = candidate.get("finishMessage") or f"The service gave up on the answer: `{reason}`."
                raise TryLater("server", said, code=reason)


def build(name: str, settings: GeminiSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: gemini` row."""
    return connect(name, settings, GenerateWire(settings), key_header="x-goog-api-key")


def _generation_config(parameters: Parameters, target: Target) -> dict[str, Any]:
    config: dict[str, Any] = {
        field: value for name, field in FIELDS.items() if (value := getattr(parameters, name)) is not None
    }
    if parameters.stop:
        config["stopSequences"] = parameters.stop
    if parameters.json is not None:
        config["responseMimeType"] = "application/json"
    if isinstance(parameters.json, JsonSchema):
        config["responseJsonSchema"] = parameters.json.schema
    if parameters.reasoning_effort is not None:
        config["thinkingConfig"] = thinking = _thinking_config(parameters.reasoning_effort, target)
        if "maxOutputTokens" in config:  # thinking would use it up
            config["maxOutputTokens"] += thinking.get("thinkingBudget", 0)
    return config


def _thinking_config(effort: ReasoningEffort, target: Target) -> dict[str, Any]:
    """How hard to think. Thoughts are asked for, as a sign of life."""
    is_flash = "flash" in target.model
    if _thinking(target) == "budget":
        budget = BUDGETS.get(effort, 0 if is_flash else LEAST_BUDGET)
        return {"thinkingBudget": budget, **({"includeThoughts": True} if budget else {})}
    if effort in ("none", "minimal"):
        effort = "minimal" if is_flash else "low"
    return {"thinkingLevel": effort, "includeThoughts": True}


def _thinking(target: Target) -> Thinking:
    """How the model is told to think: the row says so, or its name."""
    if (said := _traits(target).thinking) is not None:
        return said
    if THOUGHTLESS.search(target.model):
        return "none"
    return "budget" if BUDGETED.search(target.model) else "level"


def _traits(target: Target) -> GeminiTraits:
    return target.traits if isinstance(target.traits, GeminiTraits) else GeminiTraits()


def _classed(error: Mapping[str, Any], status: int | None) -> ProviderError:
    """Class `{"code", "message", "status", "details"}`. `status` None: it came inside a stream."""
    code, message = error.get("status") or "", str(error.get("message") or "")
    number = error.get("code")
    status = status or (number if isinstance(number, int) and 400 <= number < 600 else None)
    details = [detail for detail in error.get("details") or () if isinstance(detail, dict)]
    kind = KINDS.get(code) or kind_of_status(status or 500)
    for detail in details:
        kind = REASONS.get(str(detail.get("reason")), kind)
        for violation in detail.get("violations") or ():
            if "PerDay" in (table(violation).get("quotaId") or ""):  # it comes back at midnight
                kind = "quota"
    if kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    return of_kind(
        kind,
        message or f"The service reports an error: {code or status}.",
        status=status,
        code=code or None,
        retry_after_s=_retry_delay(details),
    )


def _retry_delay(details: list[dict[str, Any]]) -> float | None:
    """`{"@type": "…/google.rpc.RetryInfo", "retryDelay": "46s"}`"""
    for detail in details:
        if found := re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", ""))):
            return float(found[1])
    return None
