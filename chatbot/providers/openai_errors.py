"""What OpenAI and compatible services report as errors, in a response or in the middle of a stream.

    {"error": {"message": "Rate limit reached …", "type": "requests", "code": "rate_limit_exceeded"}}

The status or the vendor's code decides; `type` only where the code is none that we know (a quota's type
may say `insufficient_quota` for what the code calls something milder), and prose last.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from chatbot.providers.bodies import MONEY, TOO_LONG, by_status, parse_error
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.wire import kind_of_status

CODES: dict[str, ErrorKind] = {
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "invalid_authentication_error": "auth",  # Kimi
    "permission_denied": "permission",
    "model_not_found": "not_found",
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # llama.cpp
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "data_inspection_failed": "content_filter",  # Qwen
    "1301": "content_filter",  # GLM
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "slow_down": "rate_limit",
    "server_is_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "engine_overloaded_error": "overloaded",  # Kimi
    "arrearage": "quota",  # Qwen
    "server_error": "server",
}


def failure(status: int, body: bytes) -> ProviderError:
    """Read the body of an answer that is no 200. It may be anything: proxies answer with HTML or text."""
    answer = parse_error(body)
    if answer is None:
        return by_status(status, body)
    return _classed(_reported(answer) or answer, status)


def raise_reported(answer: Mapping[str, Any]) -> None:
    """Raise the error that a chunk or an answer with status 200 carries, if it carries one."""
    if error := _reported(answer):
        raise _classed(error, None)


def reported(answer: Mapping[str, Any]) -> ProviderError:
    """The error that an event named `error` tells of."""
    return _classed(answer, None)


def _reported(answer: object) -> object:
    """The error inside: under `error`, or the whole object where vLLM marks it so."""
    if not isinstance(answer, dict):
        return None
    return answer.get("error") or (answer if answer.get("object") == "error" else None)


def _classed(error: object, status: int | None) -> ProviderError:
    """Class an error object. `status` None: it came inside a stream, where a numeric code is the status."""
    if not isinstance(error, dict):
        return of_kind(kind_of_status(status or 500), str(error), status=status)
    code, sort = (str(error.get(name) or "").lower() for name in ("code", "type"))
    if status is None and code.isdigit() and 400 <= int(code) < 600:
        status = int(code)
    said = error.get("message") or error.get("msg") or error.get("detail") or ""
    message = said if isinstance(said, str) else orjson.dumps(said).decode()  # Mistral nests its details
    kind = _kind(code) or _kind(sort) or kind_of_status(status or 500)
    if kind == "invalid_request" and TOO_LONG.search(message):
        kind = "context_length"
    return of_kind(
        kind,
        message or f"The service reports an error: {code or sort or status}.",
        status=status,
        code=code or sort or None,
    )


def _kind(word: str) -> ErrorKind | None:
    if word in CODES:
        return CODES[word]
    return "quota" if MONEY.search(word) else None
