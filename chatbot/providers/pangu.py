"""Huawei Pangu: OpenAI's language, with Huawei's ways of signing in, its errors and, in V1, its stream.

    POST {base_url}/v1/{project_id}/deployments/{deployment_id}/chat/completions    X-Auth-Token: MII…
    data:{"choices": [{"index": 0, "message": {"content": "你好"}, "finish_reason": null}], "usage": …}
    data:[DONE]

V2 is POST {base_url}/api/v2/chat/completions, with the model in the body and the text in `delta`. See
https://support.huaweicloud.com/api-pangulm/pangulm_05_0012.html and, for errors, pangulm_05_0020.html
beside it (read 2026-11-20). Requests and signatures are those of huaweicloudsdkpangulargemodels and
huaweicloudsdkcore 3.1.219.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote

from chatbot.providers.auth import IamSettings, IamToken, KeyAuth, SignedAuth, Unsigned
from chatbot.providers.base import ServiceSettings, Target
from chatbot.providers.bodies import TOO_LONG, by_status, parse_error
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.http import HttpProvider
from chatbot.providers.keyed import KeyedSettings
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, Parameters
from chatbot.providers.openai import ChatReader, ChatWire, OpenAISettings
from chatbot.providers.tokens import TokenStore
from chatbot.providers.transport import Transport
from chatbot.providers.wire import Call, Reader, kind_of_status, word

# No stop sequences, no JSON mode; `top_p` must be above 0.
TAKES = Capabilities(
    temperature=(0.0, 1.0),
    top_p=(0.01, 1.0),
    max_output_tokens=True,
    frequency_penalty=(-2.0, 2.0),
    presence_penalty=(-2.0, 2.0),
)

CODES: dict[str, ErrorKind] = {
    "APIG.0101": "not_found",
    "APIG.0301": "auth",  # the signature, or a token: PanguWire knows which
    "APIG.0302": "permission",
    "APIG.0308": "rate_limit",
    "PANGU.0010": "invalid_request",
    "PANGU.0011": "auth",
    "PANGU.0012": "auth",
    "PANGU.0031": "server",
    "PANGU.3254": "not_found",
    "PANGU.3267": "rate_limit",
    "PANGU.3278": "invalid_request",
    "PANGU.3318": "context_length",
    "PANGU.3320": "invalid_request",
    "PANGU.3321": "invalid_request",
    "PANGU.3342": "server",
}
NOT_SUBSCRIBED = "PANGU.33"  # the rest of these


@dataclass(frozen=True, slots=True, kw_only=True)
class PanguSettings(KeyedSettings):
    """One way to sign in: `iam` (a token), `access_key` with `secret_key` (a signature), or `api_key`.

    V1 needs `project_id`; without `deployment_id` the name of each model is its deployment's.
    `include_usage` asks for token counts in V2; V1 sends them anyway.
    """

    base_url: str = "https://pangu.cn-southwest-2.myhuaweicloud.com"
    wire: Literal["v1", "v2"] = "v1"
    project_id: str = ""
    deployment_id: str | None = None
    iam: IamSettings | None = None
    access_key: str = ""
    secret_key: Secret | None = None
    include_usage: bool = True

    def missing(self) -> tuple[str, ...]:
        needed: dict[str, object] = {"project_id": self.project_id or self.wire != "v1"}
        if self.iam:
            needed |= {name: getattr(self.iam, name) for name in ("account", "user", "password")}
        elif self.access_key or self.secret_key:
            needed |= {"access_key": self.access_key, "secret_key": self.secret_key}
        else:
            needed["api_key"] = self.keys()
        return (*ServiceSettings.missing(self), *(name for name, value in needed.items() if not value))


class PanguWire(ChatWire):
    """Chat completions of either version."""

    def __init__(self, settings: PanguSettings) -> None:
        super().__init__(
            OpenAISettings(
                base_url=settings.base_url,
                output_limit_field="max_tokens",
                include_usage=settings.include_usage and settings.wire == "v2",
            )
        )
        self._pangu = settings
        self._codes: Mapping[str, ErrorKind] = CODES
        if settings.iam:
            self._codes = {**CODES, "APIG.0301": "auth_expired"}

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        return TAKES

    def call(self, request: CompletionRequest, target: Target) -> Call:
        path = "/api/v2"
        if self._pangu.wire == "v1":
            deployment = self._pangu.deployment_id or target.model
            path = f"/v1/{self._pangu.project_id}/deployments/{quote(deployment, safe='')}"
        call = super().call(request, target)
        return replace(call, path=path + call.path)

    def body(self, body: dict[str, object], target: Target) -> bytes:
        if self._pangu.wire == "v1":
            del body["model"]  # the path says it
        return super().body(body, target)

    def reader(self, target: Target) -> Reader:
        return PanguReader(self._codes)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        answer = parse_error(body)
        return _reported(answer, status, self._codes) or by_status(status, body)


class PanguReader(ChatReader):
    """OpenAI's chunks, where V1 calls the delta `message`."""

    def __init__(self, codes: Mapping[str, ErrorKind]) -> None:
        super().__init__()
        self._codes = codes

    def check(self, answer: Mapping[str, Any]) -> None:
        if "choices" not in answer and (error := _reported(answer, None, self._codes)):
            raise error

    def choice(self, choice: Mapping[str, Any], part: str) -> None:
        super().choice(choice, part if part in choice else "message")


def sign(
    request: Unsigned, at: float, *, access_key: str, secret_key: Secret, project_id: str
) -> dict[str, str]:
    """The headers that sign a request by SDK-HMAC-SHA256. The service allows 15 minutes of difference
    between its clock and `at` (Unix time)."""
    added = {"X-Sdk-Date": f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"}
    if project_id:
        added["X-Project-Id"] = project_id
    canonical, signed = canonical_request(request, added)
    key, to_sign = secret_key.reveal().encode(), string_to_sign(canonical, added["X-Sdk-Date"])
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    fields = f"Access={access_key}, SignedHeaders={signed}, Signature={signature}"
    return {**added, "Authorization": f"SDK-HMAC-SHA256 {fields}"}


def string_to_sign(canonical: str, date: str) -> str:
    """What is signed of a request in its canonical form."""
    return f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def canonical_request(request: Unsigned, added: Mapping[str, str]) -> tuple[str, str]:
    """The request in the form that is hashed, and which headers are signed: those `added` and two more."""
    headers = {name: request.headers[name] for name in ("content-type", "host")}
    headers |= {name.lower(): value for name, value in added.items()}
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    path = quote(unquote(request.path), safe="/").rstrip("/") + "/"
    pairs = sorted(parse_qsl(request.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    signed = ";".join(sorted(headers))
    body = hashlib.sha256(request.body).hexdigest()
    return f"{request.method}\n{path}\n{query}\n{lines}\n{signed}\n{body}", signed


def _reported(answer: object, status: int | None, codes: Mapping[str, ErrorKind]) -> ProviderError | None:
    """The error that an answer holds: `{"error_code": "APIG.0308", "error_msg": …}` or its like, at the
    top or under `error`. `status` None: it came with status 200."""
    if not isinstance(answer, dict):
        return None
    error = answer["error"] if isinstance(answer.get("error"), dict) else answer
    code = next((str(error[name]) for name in ("error_code", "errorCode", "code") if error.get(name)), "")
    message = next((str(error[name]) for name in ("error_msg", "errorMsg", "message") if error.get(name)), "")
    if not code and not message:
        return None
    kind = codes.get(code) or ("permission" if code.startswith(NOT_SUBSCRIBED) else None)
    kind = kind or kind_of_status(status or 500)
    if kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    return of_kind(
        kind,
        message or f"The service reports an error: {code}.",
        code=code or None,
        request_id=word(answer.get("request_id")),
    )


def build(name: str, settings: PanguSettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: pangu` row."""
    wire, keys, secret_key = PanguWire(settings), settings.keys(), settings.secret_key
    secrets = [*keys.all()]
    auth: IamToken | SignedAuth | KeyAuth
    if settings.iam:
        auth = IamToken(name, settings.iam, tokens)
        secrets += [settings.iam.password] if settings.iam.password else []
    elif secret_key:
        signed = partial(
            sign, access_key=settings.access_key, secret_key=secret_key, project_id=settings.project_id
        )
        auth = SignedAuth(signed)
        secrets.append(secret_key)
    else:
        auth = KeyAuth(keys, header=settings.auth_header, failure=wire.failure)
    transport = Transport(
        name, auth=auth, headers=settings.headers, query=settings.query, proxy=settings.proxy
    )
    return HttpProvider(name, wire, transport, base_url=settings.base_url, secrets=secrets)
