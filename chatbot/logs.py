"""Logging: one line an event, as JSON for machines or as text for a terminal, to stderr.

    {"at": "2026-11-20T09:12:00.123Z", "level": "info", "event": "turn finished", "turn_id": "01j…", …}
    09:12:00 info  turn finished  turn_id=01j… latency_ms=812

Loggers of the standard library (Django, Celery, daphne) end in the same two formats. No value can
forge a line: JSON escapes what is not printable ASCII, text writes control characters as escapes
and indents tracebacks. What may stand in a line at all is in `logvalues`.
"""

import contextlib
import json
import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Literal, TypedDict

import structlog

from chatbot import logvalues

Event = MutableMapping[str, Any]

TRACEBACK_INDENT = "    | "
BARE = re.compile(r"[^\s\"'=\\]+")
OURS = ("chatbot", "conversations")
PLAIN = "django.security"  # it says what a request tried; where it was noticed is always the same
_TRACEBACK = "Traceback (most recent call last)"
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
        _render_exception,
        _keep_plain,
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
    handler = _Lines(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_take_from_library, *shared],
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
    # Libraries tell in detail what is sent and stored: their DEBUG is for nobody's log.
    root.setLevel(max(logging.getLevelNamesMapping()[config["level"]], logging.INFO))
    for name in OURS:
        logging.getLogger(name).setLevel(config["level"])
    for name in ("django", "django.server", "daphne", "celery"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.captureWarnings(True)


class _Lines(logging.StreamHandler[Any]):
    """Writes lines; of what cannot be written it says that in a line, and never anything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a library's words quote no error that they are about."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                logvalues.about(each) if isinstance(each, BaseException) else each for each in record.args
            )
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say which event was lost: Python's own way prints all of it, as it came."""
        _type, error, _where = sys.exc_info()
        if isinstance(error, OSError):  # nobody reads any more
            return
        lost = logging.LogRecord(record.name, logging.ERROR, "", 0, "event not written", None, None)
        lost.__dict__["lost"] = type(error).__name__
        with contextlib.suppress(Exception):  # there is nobody left to tell
            self.stream.write(self.format(lost) + self.terminator)


def catch_the_rest() -> None:
    """Let what nothing else catches end in the log as well. For processes that are no command of a person."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda caught: _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit | KeyboardInterrupt):
        known = (error or kind()).with_traceback(where)
        structlog.get_logger(__name__).critical("not caught", exc_info=known)


def as_json(_logger: object, _method: str, event: Event) -> str:
    """Write the event as one line of ASCII JSON: time, level and event first."""
    ordered = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return json.dumps({**ordered, **event}, ensure_ascii=True)


def as_text(_logger: object, _method: str, event: Event) -> str:
    """Write the event as one readable line, without what is not known; a traceback follows, indented."""
    exception = event.pop("exception", "")
    at, level = str(event.pop("at", ""))[11:19], str(event.pop("level", ""))
    line = f"{at} {level:<7} {logvalues.printable(str(event.pop('event', '')))}"
    fields = " ".join(f"{_field(key)}={_field(value)}" for key, value in event.items() if value is not None)
    if fields:
        line += f"  {fields}"
    for part in str(exception).splitlines():
        line += f"\n{TRACEBACK_INDENT}{logvalues.printable(part)}"
    return line


def _field(value: object) -> str:
    text = str(value)
    if not BARE.fullmatch(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        text = f'"{escaped}"'
    return logvalues.printable(text)


def _keep_plain(_logger: object, _method: str, event: Event) -> Event:
    """Keep of each value what may stand in a line; nothing that follows can fail."""
    record, exception = event.get("_record"), event.get("exception")
    kept: Event = {logvalues.words(key): logvalues.plain(str(key), value) for key, value in event.items()}
    if record is not None:  # structlog's own: its formatter takes them out again
        kept["_record"], kept["_from_structlog"] = record, event["_from_structlog"]
    if exception is not None:
        kept["exception"] = exception
    return kept


def _render_exception(_logger: object, _method: str, event: Event) -> Event:
    """Replace `exc_info` by where it was raised, as text in `exception`."""
    found = event.pop("exc_info", None)
    event.pop("exception", None)  # nobody else says where something was raised
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = logvalues.trace(error)
    return event


def _take_from_library(_logger: object, _method: str, event: Event) -> Event:
    """Say which library speaks, and let it quote no error: daphne and Celery write them into their words."""
    record = event.get("_record")
    if not isinstance(record, logging.LogRecord):
        return event
    event["logger"] = record.name
    if hasattr(record, "lost"):
        event["lost"] = record.lost
    if record.name.startswith(PLAIN):
        event.pop("exc_info", None)
        return event
    error = record.exc_info[1] if record.exc_info else None
    said = str(event["event"])
    if _TRACEBACK in said:
        said = said.partition(_TRACEBACK)[0].strip() or "error"
        error = error or sys.exc_info()[1]
        event["exc_info"] = error
    if error is not None:
        for quoted in (repr(error), str(error)):
            if len(quoted) > len(type(error).__name__) + 2:
                said = said.replace(quoted, logvalues.about(error))
    event["event"] = said
    return event
