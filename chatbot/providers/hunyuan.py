"""Tencent Hunyuan's own API. Its successor, TokenHub, speaks OpenAI's language: see the presets.

    POST {base_url}/   X-TC-Action: ChatCompletions   Authorization: TC3-HMAC-SHA256 Credential=…
    {"Model": "hunyuan-turbos-latest", "Messages": [{"Role": "user", "Content": "…"}], "Stream": true}
    data: {"Choices": [{"Delta": {"Role": "assistant", "Content": "您好"}, "FinishReason": ""}], "Usage": …}

https://cloud.tencent.com/document/product/1729/105701 and, for the signature,
https://cloud.tencent.com/document/product/1729/101843 (read 2026-11-20), as the packages
tencentcloud-sdk-python-hunyuan 3.1.180 and -common 3.1.195 send and read it. There is no `[DONE]`: the
answer ends with a finish reason. Errors come with status 200, in place of the stream or within it.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from chatbot.providers.auth import SignedAuth, Unsigned
from chatbot.providers.base import ServiceSettings, Target
from chatbot.providers.bodies import TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.messages import (
    ChatMessage,
    CompletionRequest,
    FinishReason,
    Parameters,
    Usage,
)
from chatbot.providers.sse import Event
from chatbot.providers.tokens import TokenStore
from chatbot.providers.transport import Transport
from chatbot.providers.wire import Call, Reader, Wire, word

ACTION, VERSION, SERVICE = "ChatCompletions", "2023-09-01", "hunyuan"
SIGNED = "content-type;host"
MAX_MESSAGES = 40

# It knows no limit of the answer's length, no penalties and no JSON mode. It stops after a stop
# sequence, which is then part of the answer.
TAKES = Capabilities(temperature=(0.0, 2.0), top_p=(0.0, 1.0), stop=4, alternation=True)

FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "sensitive": "content_filter",  # what has been shown is to be taken back
}

# The longest beginning of a code decides. FailedOperation and what is not listed is their fault.
CODES: dict[str, ErrorKind] = {
    "AuthFailure": "auth",
    "AuthFailure.UnauthorizedOperation": "permission",
    "UnauthorizedOperation": "permission",
    "OperationDenied": "permission",
    "OperationDenied.TextIllegalDetected": "content_filter",
    "OperationDenied.ImageIllegalDetected": "content_filter",
    "FailedOperation.ResourcePackExhausted": "quota",
    "FailedOperation.ServiceStopArrears": "quota",
    "FailedOperation.ServiceNotActivated": "permission",
    "FailedOperation.ServiceStop": "permission",
    "FailedOperation.UserUnAuthError": "permission",
    "FailedOperation.EngineRequestTimeout": "timeout",
    "FailedOperation.EngineServerLimitExceeded": "rate_limit",
    "RequestLimitExceeded": "rate_limit",
    "LimitExceeded": "rate_limit",
    "ResourceInsufficient": "overloaded",
    "ResourceUnavailable": "quota",  # in arrears, balance too low
    "ResourceNotFound": "not_found",
    "InvalidParameter": "invalid_request",
    "InvalidParameterValue.Model": "not_found",
    "MissingParameter": "invalid_request",
    "UnknownParameter": "invalid_request",
    "InvalidRequest": "invalid_request",
    "UnsupportedOperation": "invalid_request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HunyuanSettings(ServiceSettings):
    """`token` belongs to temporary credentials, `region` is optional."""

    base_url: str = "https://hunyuan.tencentcloudapi.com"
    secret_id: str = ""
    secret_key: Secret | None = None
    token: Secret | None = None
    region: str | None = None

    def missing(self) -> tuple[str, ...]:
        lacks = (name for name in ("secret_id", "secret_key") if not getattr(self, name))
        return (*ServiceSettings.missing(self), *lacks)


class HunyuanWire(Wire):
    """Chat completions of API version 2023-09-01."""

    request_id_header = "x-tc-requestid"

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return TAKES

    def call(self, request: CompletionRequest, target: Target) -> Call:
        system = [{"Role": "system", "Content": request.system}] if request.system else []
        messages = fold(request.messages, at_most=MAX_MESSAGES - len(system))
        body: dict[str, object] = {
            "Model": target.model,
            "Messages": system + [{"Role": one.role, "Content": one.text} for one in messages],
            "Stream": target.stream,
        }
        asked = request.parameters
        said = {"Temperature": asked.temperature, "TopP": asked.top_p, "Stop": asked.stop or None}
        body |= {name: value for name, value in said.items() if value is not None}
        return Call("/", orjson.dumps(body))

    def reader(self, target: Target) -> Reader:
        return HunyuanReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return _reported(parse_error(body)) or by_status(status, body)


class HunyuanReader(Reader):
    """Reads events, which stand for themselves, or one whole answer, which stands in a `Response`."""

    def take(self, event: Event) -> None:
        self._read(parse(event.data), "Delta")

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        response = answer.get("Response", answer)
        self.request_id = word(response.get("RequestId")) or self.request_id
        self._read(response, "Message")
        self.finish = self.finish or "stop"

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        return Usage(input_tokens=counted.get("PromptTokens"), output_tokens=counted.get("CompletionTokens"))

    def _read(self, answer: Mapping[str, Any], part: str) -> None:
        if usage := answer.get("Usage"):  # all so far
            self.counted = usage
        if error := _reported(answer):
            raise error
        # An event may tell of the usage alone.
        for choice in (answer["Choices"] if "Usage" not in answer else answer.get("Choices") or ())[:1]:
            delta = choice.get(part) or {}
            if reasoning := delta.get("ReasoningContent"):
                self.think(reasoning)
            if text := delta.get("Content"):
                self.say(text)
            for tool in delta.get("ToolCalls") or ():
                function = tool.get("Function") or {}
                self.ask_tool(
                    tool.get("Index"),
                    call_id=tool.get("Id"),
                    name=function.get("Name"),
                    arguments=function.get("Arguments"),
                )
            if reason := choice.get("FinishReason"):
                self.done = True
                self.finish_raw, self.finish = reason, FINISH.get(reason, "stop")


def fold(messages: Sequence[ChatMessage], *, at_most: int) -> list[ChatMessage]:
    """Messages in turn, the visitor's first and last, as no more than `at_most`: the earliest of more are
    told in the first one, so that none is lost."""
    if len(messages) <= at_most:
        return list(messages)
    kept = (at_most - 1) // 2 * 2
    # A line of a message that looks like the beginning of another is moved in.
    told = [f"{one.role}: {one.text}".replace("\n", "\n  ") for one in messages[:-kept]]
    return [ChatMessage("user", "\n".join(told)), *messages[-kept:]]


def sign(
    request: Unsigned, at: float, *, secret_id: str, secret_key: Secret, token: Secret | None = None
) -> dict[str, str]:
    """The headers that sign a request by TC3-HMAC-SHA256. The service allows 5 minutes of difference
    between its clock and `at` (Unix time). `token` belongs to a temporary key."""
    key = f"TC3{secret_key.reveal()}".encode()
    for part in _scope(at).split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, string_to_sign(request, at).encode(), "sha256").hex()
    fields = f"Credential={secret_id}/{_scope(at)}, SignedHeaders={SIGNED}, Signature={signature}"
    return {
        "X-TC-Timestamp": str(int(at)),
        "Authorization": f"TC3-HMAC-SHA256 {fields}",
        **({"X-TC-Token": token.reveal()} if token else {}),
    }


def string_to_sign(request: Unsigned, at: float) -> str:
    """What is signed of a request."""
    digest = hashlib.sha256(canonical_request(request).encode()).hexdigest()
    return f"TC3-HMAC-SHA256\n{int(at)}\n{_scope(at)}\n{digest}"


def canonical_request(request: Unsigned) -> str:
    """The request in the form that is hashed: a POST to `/` has no query, and two headers are signed."""
    headers = "".join(f"{name}:{request.headers[name].strip().lower()}\n" for name in SIGNED.split(";"))
    body = hashlib.sha256(request.body).hexdigest()
    return f"{request.method}\n/\n\n{headers}\n{SIGNED}\n{body}"


def _scope(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}/{SERVICE}/tc3_request"


def _reported(answer: object) -> ProviderError | None:
    """The error that an answer holds: `{"Response": {"Error": {"Code": …, "Message": …}}}`, or in a stream
    `{"ErrorMsg": {"Code": 4001, "Msg": …}}`."""
    if not isinstance(answer, dict):
        return None
    response = answer.get("Response", answer)
    error = response.get("Error") or response.get("ErrorMsg")
    if not error:
        return None
    code, message = str(error.get("Code") or ""), str(error.get("Message") or error.get("Msg") or "")
    known = max((known for known in CODES if code.startswith(known)), key=len, default="")
    kind = CODES.get(known, "server")
    if kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    return of_kind(
        kind,
        message or f"The service reports an error: {code}.",
        code=code or None,
        request_id=word(response.get("RequestId")),
    )


def build(name: str, settings: HunyuanSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: hunyuan` row."""
    key, token = settings.secret_key or Secret(""), settings.token
    transport = Transport(
        name,
        auth=SignedAuth(partial(sign, secret_id=settings.secret_id, secret_key=key, token=token)),
        headers={
            "X-TC-Action": ACTION,
            "X-TC-Version": VERSION,
            **({"X-TC-Region": settings.region} if settings.region else {}),
            **settings.headers,
        },
        query=settings.query,
        proxy=settings.proxy,
    )
    secrets = [key, *([token] if token else [])]
    return HttpProvider(name, HunyuanWire(), transport, base_url=settings.base_url, secrets=secrets)
