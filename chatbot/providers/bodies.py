"""What may stand in the body of an answer, whoever sent it: JSON, nearly JSON, or a proxy's excuse."""

import re
from typing import Any

import orjson

from chatbot.providers.errors import ProviderError, TryLater, of_kind
from chatbot.providers.wire import kind_of_status

STRANGE = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # of JSON with another shape
# A limit on money heals by a person only, and each service has its own names for it:
# insufficient_quota, credit_balance_exhausted, billing_hard_limit_reached, spend_limit_reached …
MONEY = re.compile(r"quota|credit|billing|spend|balance|usage_limit")
# Too long a prompt is mostly told in words only, with status 400: prose, for want of a code.
TOO_LONG = re.compile(
    r"maximum context length|context (?:length|window|size|limit)|too many tokens"
    r"|prompt is too long|maximum number of (?:input )?tokens",
    re.IGNORECASE,
)
# Some servers cut an emoji between two chunks and escape its halves.
HALF_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def parse(data: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises TryLater when it is none."""
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            answer = orjson.loads(HALF_PAIR.sub(rb"\\ufffd", data))
        except orjson.JSONDecodeError as error:
            raise TryLater("bad_response", f"The service sent what is not JSON: {error}.") from error
    if not isinstance(answer, dict):
        raise TryLater("bad_response", f"The service sent a JSON {type(answer).__name__} for an object.")
    return answer


def parse_error(body: bytes) -> object:
    """Read the JSON of an answer that is no 200; None when it holds something else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def by_status(status: int, body: bytes) -> ProviderError:
    """The error of an answer without JSON in it: proxies answer with HTML or text."""
    text = body.decode("utf-8", "replace").strip()
    message = text if text and not text.startswith("<") else f"The service answered with HTTP {status}."
    return of_kind(kind_of_status(status), message, status=status)
