"""Logging: one line an event, as JSON for machines or as text for a terminal, to stderr.

    {"at": "2026-11-20T09:12:00.123Z", "level": "info", "event": "turn finished", "turn_id": "01j…", …}
    09:12:00 info  turn finished  turn_id=01j… latency_ms=812

Loggers of the standard library (Django, Celery, daphne) end in the same two formats. No value can
forge a line: JSON escapes what is not printable ASCII, text writes control characters as escapes
and indents tracebacks.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal, TypedDict

import structlog

Event = MutableMapping[str, Any]

TRACEBACK_INDENT = "    | "
SECRET_WORDS = re.compile(
    r"(password|secret|api_?key|authorization|cookie|csrf|^token$|_token$)", re.IGNORECASE
)
# Everything that a terminal or a log reader may take for the end of a line or a command to itself.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
BARE = re.compile(r"[^\s\"'=]+")
QUIET = {
    # A 404 is the visitor's business; a 5xx is ERROR.
    "django.request": logging.ERROR,
    "django.utils.autoreload": logging.WARNING,
    "celery.app.trace": logging.WARNING,  # "task succeeded" for every turn; tasks log their own events
    "celery.worker.strategy": logging.WARNING,
    "celery.worker.consumer.connection": logging.WARNING,  # "connected", before the worker says "ready"
    "celery.beat": logging.WARNING,  # each task it sends
    "kombu": logging.WARNING,
    "daphne": logging.WARNING,  # which endpoints it configures
    "twisted": logging.WARNING,  # each factory that starts and stops
    "httpx": logging.WARNING,
    "asyncio": logging.WARNING,
    "aiohttp.access": logging.WARNING,
}


class Config(TypedDict):
    """What settings.LOGGING holds."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    format: Literal["json", "text"]


def configure(config: Config) -> None:
    """Route every logger through one handler. Django calls this at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _hide_secrets,
        _render_exception,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_logger, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                as_json if config["format"] == "json" else as_text,
            ],
            keep_exc_info=False,
            use_get_message=True,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config["level"])
    for name in ("django", "django.server", "daphne", "celery"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.captureWarnings(True)


def as_json(_logger: object, _method: str, event: Event) -> str:
    """Write the event as one line of ASCII JSON: time, level and event first."""
    ordered = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return json.dumps({**ordered, **event}, default=str, ensure_ascii=True)


def as_text(_logger: object, _method: str, event: Event) -> str:
    """Write the event as one readable line; a traceback follows, each line of it indented."""
    exception = event.pop("exception", "")
    at, level = str(event.pop("at", ""))[11:19], str(event.pop("level", ""))
    line = f"{at} {level:<7} {printable(str(event.pop('event', '')))}"
    fields = " ".join(f"{printable(str(key))}={_field(value)}" for key, value in event.items())
    if fields:
        line += f"  {fields}"
    for part in str(exception).splitlines():
        line += f"\n{TRACEBACK_INDENT}{printable(part)}"
    return line


def _field(value: object) -> str:
    text = printable(str(value))
    return text if BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False).replace("\\\\", "\\")


def printable(text: str) -> str:
    """Write control characters, and others that change how a line reads, as escapes."""
    return UNPRINTABLE.sub(
        lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text
    )


def _hide_secrets(_logger: object, _method: str, event: Event) -> Event:
    for key in event:
        if SECRET_WORDS.search(key):
            event[key] = "(hidden)"
    return event


def _render_exception(_logger: object, _method: str, event: Event) -> Event:
    """Replace `exc_info` by the traceback as text in `exception`."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    elif isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    if found and found[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*found)).rstrip()
    return event


def _name_logger(_logger: object, _method: str, event: Event) -> Event:
    """Say which library speaks; our own events need no such name."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    return event
