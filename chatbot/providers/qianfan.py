"""Baidu Qianfan V1 (ERNIE). V2 speaks OpenAI's language: see the presets.

    POST {base_url}/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{model}?access_token=24.…
    {"messages": [{"role": "user", "content": "…"}], "system": "…", "stream": true}
    data: {"id": "as-0rphgw7hw2", "is_end": false, "result": "您好，", "finish_reason": "normal", "usage": …}

https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t (read 2026-11-20), as the package qianfan 0.4.12.3
sends and reads it. A model is named by the last part of its address, such as `completions_pro`. There is
no `[DONE]`: the last event says `is_end`. Errors come with status 200, in place of the stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson

from chatbot.providers.auth import BaiduToken, OAuth2Settings
from chatbot.providers.base import ModelTraits, ServiceSettings, Target
from chatbot.providers.bodies import TOO_LONG, by_status, parse, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, FinishReason, Parameters, Usage
from chatbot.providers.sse import Event
from chatbot.providers.tokens import TokenStore
from chatbot.providers.transport import Transport
from chatbot.providers.wire import Call, Reader, Wire, word

PREFIX = "/rpc/2.0/ai_custom/v1/wenxinworkshop"

# The penalties become one `penalty_score` from 1 (none) to 2, so that only positive ones say anything.
TAKES = Capabilities(
    temperature=(0.01, 1.0),
    top_p=(0.0, 1.0),
    max_output_tokens=True,
    frequency_penalty=(0.0, 2.0),
    presence_penalty=(0.0, 2.0),
    stop=4,
    json_object=True,
    alternation=True,
)

FINISH: dict[str, FinishReason] = {
    "normal": "stop",
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
}

CODES: dict[int, ErrorKind] = {
    1: "server",
    2: "overloaded",
    3: "not_found",
    4: "rate_limit",
    6: "permission",
    13: "permission",
    14: "permission",
    15: "permission",
    17: "quota",  # of the day
    18: "rate_limit",
    19: "quota",  # in all
    100: "invalid_request",
    110: "auth_expired",
    111: "auth_expired",
    336000: "server",
    336001: "invalid_request",
    336002: "invalid_request",
    336003: "invalid_request",
    336004: "invalid_request",
    336005: "invalid_request",
    336100: "overloaded",
    336101: "invalid_request",
    336103: "context_length",
    336104: "invalid_request",
    336105: "invalid_request",
    336501: "rate_limit",  # requests a minute
    336502: "rate_limit",  # tokens a minute
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QianfanSettings(ServiceSettings):
    """The API key and secret key of an application are its `client_id` and `client_secret`. Without
    `token_url` tokens come from `base_url` too."""

    base_url: str = "https://aip.baidubce.com"
    client_id: str = ""
    client_secret: Secret | None = None
    token_url: str | None = None

    def missing(self) -> tuple[str, ...]:
        lacks = (name for name in ("client_id", "client_secret") if not getattr(self, name))
        return (*ServiceSettings.missing(self), *lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class QianfanTraits(ModelTraits):
    """`system_role` false: one of the models that take no system prompt; it goes into the first question."""

    system_role: bool = True


class QianfanWire(Wire):
    """Chat of the V1 API."""

    request_id_header = "x-baidu-request-id"

    def __init__(self, base_url: str) -> None:
        self._prefix = "" if base_url.endswith(PREFIX) else PREFIX

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        traits = target.traits
        return replace(TAKES, system=not isinstance(traits, QianfanTraits) or traits.system_role)

    def call(self, request: CompletionRequest, target: Target) -> Call:
        asked = request.parameters
        penalties = [one for one in (asked.frequency_penalty, asked.presence_penalty) if one is not None]
        said: dict[str, object] = {
            "system": request.system or None,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "penalty_score": 1 + max(penalties) / 2 if penalties else None,
            "stop": asked.stop or None,
            "max_output_tokens": asked.max_output_tokens,
            "response_format": "json_object" if asked.json else None,
        }
        body: dict[str, object] = {
            "messages": [{"role": message.role, "content": message.text} for message in request.messages],
            "stream": target.stream,
            **{name: value for name, value in said.items() if value is not None},
        }
        return Call(f"{self._prefix}/chat/{quote(target.model)}", orjson.dumps(body))

    def reader(self, target: Target) -> Reader:
        return QianfanReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return _reported(parse_error(body)) or by_status(status, body)


class QianfanReader(Reader):
    """Reads events, each a whole answer with a part of the text, or the one whole answer."""

    def take(self, event: Event) -> None:
        chunk = parse(event.data)
        self._read(chunk)
        if chunk.get("is_end"):
            self._finish(chunk)
            self.done = True

    def take_whole(self, body: bytes) -> None:
        answer = parse(body)
        self._read(answer)
        self._finish(answer)

    def read_usage(self, counted: Mapping[str, Any]) -> Usage:
        return Usage(
            input_tokens=counted.get("prompt_tokens"), output_tokens=counted.get("completion_tokens")
        )

    def _read(self, answer: Mapping[str, Any]) -> None:
        if error := _reported(answer):
            raise error
        self.request_id = self.request_id or word(answer.get("id"))
        if usage := answer.get("usage"):  # all so far
            self.counted = usage
        if "is_end" not in answer or answer.get("result"):  # there may be none beside a function call
            self.say(answer["result"])
        if tool := answer.get("function_call"):
            self.ask_tool(0, call_id=None, name=tool.get("name"), arguments=tool.get("arguments"))

    def _finish(self, answer: Mapping[str, Any]) -> None:
        self.finish_raw = answer.get("finish_reason")
        self.finish = FINISH.get(self.finish_raw or "stop", "stop")
        if answer.get("need_clear_history"):  # the question is a risk; the text says so
            self.finish = "content_filter"
        elif answer.get("is_truncated"):
            self.finish = "length"


def _reported(answer: object) -> ProviderError | None:
    """The error that an answer holds: `{"error_code": 111, "error_msg": "Access token expired"}`."""
    if not isinstance(answer, dict) or not answer.get("error_code"):
        return None
    code, message = answer["error_code"], str(answer.get("error_msg") or "")
    kind = CODES.get(int(code), "server") if str(code).isdigit() else "server"
    if kind == "invalid_request" and (TOO_LONG.search(message) or "too long" in message):
        kind = "context_length"
    return of_kind(
        kind,
        message or f"The service reports an error: {code}.",
        code=str(code),
        request_id=word(answer.get("id")),
    )


def build(name: str, settings: QianfanSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: qianfan` row."""
    credentials = OAuth2Settings(
        token_url=settings.token_url or f"{settings.base_url.removesuffix(PREFIX)}/oauth/2.0/token",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
    )
    transport = Transport(
        name,
        auth=BaiduToken(name, credentials, tokens),
        headers=settings.headers,
        query=settings.query,
        proxy=settings.proxy,
    )
    secrets = [settings.client_secret] if settings.client_secret else []
    wire = QianfanWire(settings.base_url)
    return HttpProvider(name, wire, transport, base_url=settings.base_url, secrets=secrets)
