"""What may stand in a line of the log: nothing that looks like another line, no secret, nothing quoted.

Errors quote what they are about: a database the row it refused, a model service the question it was
asked. So of an error a line has its type and the beginning of what it says, and of a service's only
what we made of it.
"""

import math
import re
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

from chatbot.providers.errors import ProviderError

MOST_CHARS = 2000  # of one value: a path may be 8,000 long, and a line should still be read
MOST_ITEMS = 50
MOST_DEPTH = 4
_ERROR_CHARS = 300
_HIDDEN = "(hidden)"

# What a terminal or a log reader may take for the end of a line, for a command to itself, or for
# nothing at all: controls, line ends, what turns the direction of writing or is not seen, halves.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SECRET_NAME = re.compile(
    r"password|passwd|secret|api_?-?key|authorization|cookie|csrf|credential|signature"
    r"|(^|[_-])(token|key|auth|sk)$",
    re.IGNORECASE,
)
_NAMES_OF_IDS = frozenset({"key"})  # what a task is about
_SECRET_VALUE = re.compile(
    r"(?i:(?:authorization|cookie|password|secret|api[_-]?key|token)['\"]?\s*[:=]\s*['\"]?)"
    r"(?P<named>(?:(?:bearer|basic)\s+)?[^\s'\",;&}]+)"
    r"|(?i:\b(?:bearer|basic)\s+)(?P<bearer>[\w.~+/=-]{16,})"
    r"|(?P<key>\b(?:(?:sk|pk|rk|gsk|xai|hf|ghp|ya29)[-_.][\w-]{16,}|AKIA[A-Z0-9]{16}|AIza[\w-]{30,}))"
    r"|(?P<jwt>\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    r"|://[^\s/@:]*:(?P<password>[^\s/@]+)@"
    r"|[?&](?i:[\w-]*(?:key|token|secret|password|signature|sig|auth))=(?P<asked>[^&\s\"'#]+)"
)


def printable(text: str) -> str:
    """Write control characters, and others that change how a line reads, as escapes."""
    return _UNPRINTABLE.sub(
        lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text
    )


def plain(name: str, value: object) -> object:
    """Return a field's value as JSON can hold it, shortened, without secrets. Never raises."""
    try:
        return _plain(name, value, 0)
    except Exception as error:  # whatever a value does that is asked for its parts
        return f"({type(value).__name__} cannot be read: {type(error).__name__})"


def _plain(name: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _is_secret(name):
        return _HIDDEN
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, BaseException):
        return about(value)
    if depth < MOST_DEPTH and isinstance(value, Mapping):
        items = islice(value.items(), MOST_ITEMS)
        return {words(key): _plain(words(key), each, depth + 1) for key, each in items}
    if depth < MOST_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain("", each, depth + 1) for each in islice(value, MOST_ITEMS)]
    return words(value)


@lru_cache(512)
def _is_secret(name: str) -> bool:
    return name not in _NAMES_OF_IDS and bool(_SECRET_NAME.search(name))


def words(value: object) -> str:
    """Return a value as text, shortened, without what looks like a secret. Never raises."""
    try:
        text = value if type(value) is str else str(value)
    except Exception as error:
        text = f"({type(value).__name__} cannot be written: {type(error).__name__})"
    if len(text) > MOST_CHARS:
        text = f"{text[:MOST_CHARS]}… ({len(text)} characters)"
    if text.islower() and text.isalnum():  # ids and states are, secrets are not; it saves half of the cost
        return text
    return _SECRET_VALUE.sub(_without_secret, text)


def _without_secret(found: re.Match[str]) -> str:
    start, end = found.span(found.lastgroup or 0)
    whole = found.group()
    return whole[: start - found.start()] + _HIDDEN + whole[end - found.start() :]


def about(error: BaseException) -> str:
    """Say what an error is, in a line: of what it says itself, only the beginning."""
    name = type(error).__qualname__
    if isinstance(error, ProviderError):  # its own words may be the service's, which quotes
        said = [error.kind, error.code, error.status and str(error.status)]
        return words(f"{name}: {', '.join(each for each in said if each)}")
    first = words(error).partition("\n")[0].strip()
    first = first if len(first) <= _ERROR_CHARS else f"{first[:_ERROR_CHARS]}…"
    return f"{name}: {first}" if first else name


def trace(error: BaseException) -> str:
    """Return where an error was raised, and those it came from before it, without what they quote."""
    return "\n".join(_traced(error, set())).rstrip()


def _traced(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    cause = error.__cause__
    before = cause or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _traced(before, told)
        yield "from it came:" if cause else "while it was dealt with:"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
    yield about(error)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            if id(each) not in told:
                yield "of which one is:"
                yield from _traced(each, told)
