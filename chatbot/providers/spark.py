"""iFlytek Spark, over HTTP in OpenAI's language and over a WebSocket in its own.

    POST {base_url}/chat/completions   Authorization: Bearer APIPassword
    data:{"code":0,"sid":"cha…","choices":[{"delta":{"role":"assistant","content":"你好"},"index":0}]}
    data:[DONE]

    GET {base_url}/v3.5/chat?authorization=…&date=…&host=…   Upgrade: websocket
    -> {"header": {"app_id": …}, "parameter": {"chat": {"domain": "generalv3.5", …}},
        "payload": {"message": {"text": [{"role": "user", "content": "…"}]}}}
    <- {"header": {"code": 0, "sid": …}, "payload": {"choices": {"status": 0, "text": [{"content": "您好"}]}}}

https://www.xfyun.cn/doc/spark/HTTP调用文档.html, Web.html and X1ws.html there, and for the signature
https://www.xfyun.cn/doc/spark/general_url_authentication.html (read 2026-11-20), as spark-ai-python 0.4.5
sends and reads them. A stream over HTTP has no finish reason, one over the WebSocket ends with status 2.
An error is a code other than 0, wherever it comes.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from chatbot.providers.base import ModelTraits, ServiceSettings, Target
from chatbot.providers.bodies import parse, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, TryLater, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings, connect
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, Parameters, Usage
from chatbot.providers.ndjson import LineSplitter
from chatbot.providers.openai import ChatReader, ChatWire, OpenAISettings
from chatbot.providers.openai_errors import failure, raise_reported
from chatbot.providers.spark_socket import SocketTransport
from chatbot.providers.sse import Event, Splitter
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader, Wire, word

# Where each model (its `domain`) is asked over the WebSocket.
PATHS = {
    "lite": "/v1.1/chat",
    "general": "/v1.1/chat",
    "generalv3": "/v3.1/chat",
    "pro-128k": "/chat/pro-128k",
    "generalv3.5": "/v3.5/chat",
    "max-32k": "/chat/max-32k",
    "4.0Ultra": "/v4.0/chat",
    "x1": "/v1/x1",
    "spark-x": "/v1/x1",
}
WITH_SYSTEM = ("generalv3.5", "max-32k", "4.0Ultra")  # Max and Ultra; others get it with the first question
THINKING = ("x1", "spark-x")

TAKES = Capabilities(temperature=(0.01, 1.0), max_output_tokens=True, alternation=True)
THINKING_TAKES = replace(
    TAKES,
    temperature=(0.01, 2.0),
    top_p=(0.01, 1.0),
    frequency_penalty=(-2.0, 2.0),
    presence_penalty=(-2.0, 2.0),
)

CODES: dict[int, ErrorKind] = {
    10003: "invalid_request",
    10004: "invalid_request",
    10005: "invalid_request",
    10006: "rate_limit",  # one request at a time
    10007: "rate_limit",
    10008: "overloaded",
    10009: "server",
    10010: "overloaded",
    10011: "server",
    10012: "server",
    10013: "content_filter",  # of the question
    10014: "content_filter",  # of the answer
    10015: "permission",
    10016: "permission",
    10019: "content_filter",
    10021: "content_filter",
    10110: "overloaded",
    10222: "server",
    10907: "context_length",
    11200: "permission",
    11201: "quota",  # of the day
    11202: "rate_limit",
    11203: "rate_limit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSettings(KeyedSettings):
    """`api_key` is the APIPassword. The thinking models are at `…/v2`."""

    base_url: str = "https://spark-api-open.xf-yun.com/v1"

    def missing(self) -> tuple[str, ...]:
        return (*KeyedSettings.missing(self), *(() if self.keys() else ("api_key",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSocketSettings(ServiceSettings):
    """`base_url` may hold a path; without one, that of each model's `domain` is added, where we know it."""

    base_url: str = "wss://spark-api.xf-yun.com"
    app_id: str = ""
    api_key: Secret | None = None
    api_secret: Secret | None = None

    def missing(self) -> tuple[str, ...]:
        lacks = (name for name in ("app_id", "api_key", "api_secret") if not getattr(self, name))
        return (*ServiceSettings.missing(self), *lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkTraits(ModelTraits):
    """What a model row may say of a model that is not known by its name: `reasoning`, it thinks first and
    takes more parameters; `system_role`, it takes a system prompt, or else it goes into the first
    question."""

    reasoning: bool | None = None
    system_role: bool | None = None


def capabilities(target: Target) -> Capabilities:
    """What a Spark model takes, however it is asked."""
    traits = target.traits if isinstance(target.traits, SparkTraits) else SparkTraits()
    thinks = target.model in THINKING if traits.reasoning is None else traits.reasoning
    system = target.model in WITH_SYSTEM if traits.system_role is None else traits.system_role
    return replace(THINKING_TAKES if thinks else TAKES, system=system)


class SparkWire(ChatWire):
    """Chat completions over HTTP."""

    def __init__(self, settings: SparkSettings) -> None:
        super().__init__(
            OpenAISettings(base_url=settings.base_url, include_usage=False, output_limit_field="max_tokens")
        )

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return replace(capabilities(target), json_object=True)

    def reader(self, target: Target) -> Reader:
        return SparkReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return _reported(parse_error(body)) or failure(status, body)


class SparkReader(ChatReader):
    """OpenAI's chunks without a finish reason: `[DONE]` is the end."""

    def take(self, event: Event) -> None:
        super().take(event)
        if self.done:
            self.finish = self.finish or "stop"

    def check(self, answer: Mapping[str, Any]) -> None:
        if error := _reported(answer):
            raise error
        raise_reported(answer)
        self.request_id = self.request_id or word(answer.get("sid"))


class FrameWire(Wire):
    """Frames of a WebSocket: one goes out, each that comes in is an event."""

    accepts = "websocket"

    def __init__(self, settings: SparkSocketSettings) -> None:
        self._app_id = settings.app_id
        self._has_path = urlsplit(settings.base_url).path not in ("", "/")

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return capabilities(target)

    def call(self, request: CompletionRequest, target: Target) -> Call:
        asked = request.parameters
        said = {
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "max_tokens": asked.max_output_tokens,
            "frequency_penalty": asked.frequency_penalty,
            "presence_penalty": asked.presence_penalty,
        }
        chat = {"domain": target.model, **{name: value for name, value in said.items() if value is not None}}
        text = [{"role": "system", "content": request.system}] if request.system else []
        text += [{"role": message.role, "content": message.text} for message in request.messages]
        frame = {
            "header": {"app_id": self._app_id},
            "parameter": {"chat": chat},
            "payload": {"message": {"text": text}},
        }
        return Call("" if self._has_path else PATHS.get(target.model, "/"), orjson.dumps(frame))

    def reader(self, target: Target) -> Reader:
        return FrameReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """The handshake failed: `{"message": "HMAC signature cannot be verified: …"}` when it is the
        signature, or the clock."""
        error = _reported(parse_error(body)) or failure(status, body)
        if "HMAC" in error.message and error.kind != "auth":
            return of_kind("auth", error.message, status=status)
        return error

    def splitter(self) -> Splitter:
        return LineSplitter()


class FrameReader(Reader):
    """Reads frames until the one with status 2."""

    def take(self, event: Event) -> None:
        frame = parse(event.data)
        header = frame["header"]
        self.request_id = self.request_id or word(header.get("sid"))
        if error := _reported(header):
            raise error
        payload = frame.get("payload", {})
        if usage := payload.get("usage"):
            self.counted = usage["text"]
        if choices := payload.get("choices"):  # none in a frame that tells of a web search
            self._read(choices)

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        return Usage(
            input_tokens=counted.get("prompt_tokens"), output_tokens=counted.get("completion_tokens")
        )

    def _read(self, choices: Mapping[str, Any]) -> None:
        for text in choices["text"]:
            if reasoning := text.get("reasoning_content"):
                self.think(reasoning)
            if content := text.get("content"):
                self.say(content)
            if tool := text.get("function_call"):
                self.ask_tool(0, call_id=None, name=tool.get("name"), arguments=tool.get("arguments"))
        if choices["status"] == 2:
            self.finish_raw, self.finish = "2", "tool_calls" if self.tool_calls() else "stop"
            self.done = True

    def take_whole(self, body: bytes) -> None:
        if error := _reported(parse_error(body)):
            raise error
        raise TryLater("bad_response", "The service opened no WebSocket.")


def signed_url(url: str, at: float, *, api_key: Secret, api_secret: Secret) -> str:
    """`url` with the signature that a WebSocket is opened with, made right before: the service allows
    about 5 minutes of difference between its clock and `at` (Unix time)."""
    parts = urlsplit(url)
    date = formatdate(at, usegmt=True)
    origin = f"host: {parts.hostname}\ndate: {date}\nGET {parts.path or '/'} HTTP/1.1"
    digest = hmac.digest(api_secret.reveal().encode(), origin.encode(), "sha256")
    fields = {
        "api_key": api_key.reveal(),
        "algorithm": "hmac-sha256",
        "headers": "host date request-line",
        "signature": base64.b64encode(digest).decode(),
    }
    authorization = ", ".join(f'{name}="{value}"' for name, value in fields.items())
    query = {
        "authorization": base64.b64encode(authorization.encode()).decode(),
        "date": date,
        "host": parts.hostname,
    }
    return f"{url}{'&' if parts.query else '?'}{urlencode(query)}"


def _reported(answer: object) -> ProviderError | None:
    """The error in an answer over HTTP, at its top or under `error`, or in the header of a frame:
    `{"code": 10013, "message": …, "sid": …}`. None when there is none with a code of the service's own."""
    if not isinstance(answer, dict):
        return None
    error = answer["error"] if isinstance(answer.get("error"), dict) else answer
    code = str(error.get("code") or "")
    if not code.lstrip("-").isdigit() or not int(code):
        return None
    message = str(error.get("message") or f"The service reports an error: {code}.")
    kind = CODES.get(int(code), "server")
    return of_kind(kind, message, code=code, request_id=word(answer.get("sid")))


def build(name: str, settings: SparkSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: spark` row."""
    return connect(name, settings, SparkWire(settings))


def build_socket(name: str, settings: SparkSocketSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: spark_ws` row."""
    key, secret = settings.api_key or Secret(""), settings.api_secret or Secret("")
    transport = SocketTransport(
        name,
        sign=partial(signed_url, api_key=key, api_secret=secret),
        headers=settings.headers,
        query=settings.query,
        proxy=settings.proxy,
    )
    return HttpProvider(
        name, FrameWire(settings), transport, base_url=settings.base_url, secrets=[key, secret]
    )
