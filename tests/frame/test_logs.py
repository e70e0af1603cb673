"""One line an event, in both formats, whatever the values are."""

import asyncio
import gc
import io
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import NoReturn

import pytest
import structlog
from django.db import DataError

from chatbot import logs, settings
from chatbot.providers.errors import NotUsable

HOSTILE = (
    "a\nb\r\nc\x1b[31m\u2028d\u2029e\x85f\x00g\u202eh\ud800i\u200fj\u061ck\u2066l\ufeffm\u200b\x9bn\U000e0041"
)
SEEN_AS_MORE = re.compile(r"[^\n\x20-\x7e]")


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Log in the format of the test's parameter, to a buffer."""
    logs.configure({"level": "INFO", "format": request.param})
    stream = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    logs.configure(settings.LOGGING)  # type: ignore[arg-type]


def fail(words: str) -> None:
    raise ValueError(words)


def both(*formats: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("written", formats or ("json", "text"), indirect=True)


@both()
def test_no_value_can_forge_a_line(written: io.StringIO) -> None:
    log = structlog.get_logger("test")

    log.info(HOSTILE, value=HOSTILE, **{HOSTILE: "key"})
    logging.getLogger("library").warning("said %s", HOSTILE)

    assert len(written.getvalue().splitlines()) == 2
    assert not SEEN_AS_MORE.search(written.getvalue())


def without_quotes(line: str) -> str:
    """Return a line of text without what stands in quotes, as any reader of `key="value"` takes it."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)


@both("text")
@pytest.mark.parametrize(
    "value", ['x" level=error y="', '\\" level=error y="', "x level=error", "level=error", ""]
)
def test_no_value_can_forge_a_field(written: io.StringIO, value: str) -> None:
    structlog.get_logger("test").info("asked", model=value, **{f"by {value}": 1})

    assert "level" not in without_quotes(written.getvalue())


class Unspeakable(dict[str, object]):
    def __str__(self) -> str:
        raise RuntimeError(HOSTILE)

    def items(self) -> NoReturn:
        raise RuntimeError(HOSTILE)


@both()
def test_what_cannot_be_written_is_a_line_all_the_same(written: io.StringIO) -> None:
    loop: list[object] = []
    loop.append(loop)
    strange = {("a", 1): {1: float("nan")}, "loop": loop}

    structlog.get_logger("test").info(
        "asked", a=float("inf"), b=strange, c=Unspeakable(), f=[[[[[Unspeakable()]]]]], d={1, 2}, e=b"\n\xff"
    )

    assert "asked" in written.getvalue()
    assert len(written.getvalue().splitlines()) == 1


@both("json")
def test_json_is_what_every_reader_takes(written: io.StringIO) -> None:
    structlog.get_logger("test").info("asked", a=float("inf"), b={("a", 1): float("nan")})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(written.getvalue(), parse_constant=refuse)["b"] == {"('a', 1)": "nan"}


@both()
def test_a_long_value_is_cut(written: io.StringIO) -> None:
    structlog.get_logger("test").info("asked", path="/" + "x" * 100_000, many=list(range(10_000)))

    assert len(written.getvalue()) < 4000


@both()
def test_a_librarys_broken_line_is_told_without_what_it_held(
    written: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    record = logging.makeLogRecord({"name": "library", "msg": "%d of %d", "args": (f"forged\n{HOSTILE}",)})
    logging.getLogger().handlers[0].handle(record)

    assert "event not written" in written.getvalue()
    assert "library" in written.getvalue()
    assert len(written.getvalue().splitlines()) == 1
    assert "forged" not in written.getvalue() + capsys.readouterr().err


@both("json")
def test_json_is_one_object_with_what_was_said(written: io.StringIO) -> None:
    structlog.get_logger("test").info("turn finished", turn_id="01j", latency_ms=812, text=HOSTILE)

    event = json.loads(written.getvalue())

    assert list(event)[:3] == ["at", "level", "event"]
    assert (event["event"], event["turn_id"], event["latency_ms"]) == ("turn finished", "01j", 812)
    assert event["text"] == HOSTILE


@both("text")
def test_text_reads_well(written: io.StringIO) -> None:
    structlog.get_logger("test").info("turn finished", latency_ms=812, reason="it is done", model="千问")

    line = written.getvalue()

    assert line[8:] == ' info    turn finished  latency_ms=812 reason="it is done" model=千问\n'


@both()
def test_a_traceback_cannot_pass_for_events(written: io.StringIO) -> None:
    try:
        fail("bad\n09:00:00 info    all is well")
    except ValueError:
        structlog.get_logger("test").exception("turn failed")

    first, *rest = written.getvalue().splitlines()

    assert "turn failed" in first
    assert all(line.startswith(logs.TRACEBACK_INDENT) for line in rest)
    assert "ValueError" in written.getvalue()


@both("json")
def test_a_librarys_traceback_is_kept(written: io.StringIO) -> None:
    try:
        fail("bad")
    except ValueError:
        logging.getLogger("library").exception("went wrong")

    event = json.loads(written.getvalue())

    assert event["event"] == "went wrong"
    assert event["logger"] == "library"
    assert event["exception"].endswith("ValueError: bad")


@both()
def test_secrets_do_not_reach_a_log(written: io.StringIO) -> None:
    structlog.get_logger("test").info(
        "asked", api_key="s1", Authorization="s2", visitor_token="s3", password="s4", input_tokens=5
    )

    assert not any(secret in written.getvalue() for secret in ("s1", "s2", "s3", "s4"))
    assert "input_tokens" in written.getvalue()
    assert "5" in written.getvalue()


@both()
@pytest.mark.parametrize(
    "said",
    [
        {"headers": {"Authorization": "Basic abc", "X-Api-Key": "s3cr3t-4711"}},
        {"said": "asked with Bearer s3cr3t-4711-s3cr3t-4711 in vain"},
        {"said": "asked sk-s3cr3t-4711-s3cr3t-4711 in vain"},
        {"url": "redis://user:s3cr3t-4711@cache:6379/0"},
        {"url": "https://service.example/v1?alt=sse&key=s3cr3t-4711&x=1"},
        {"error": ValueError("https://service.example/v1?key=s3cr3t-4711")},
        {"tries": [{"password": "s3cr3t-4711"}]},
        {"pin_token": 4711},
    ],
)
def test_secrets_reach_no_log_wherever_they_stand(written: io.StringIO, said: dict[str, object]) -> None:
    structlog.get_logger("test").info("asked", **said)
    logging.getLogger("library").error("asked: %s", said)

    assert "4711" not in written.getvalue()
    assert "(hidden)" in written.getvalue()


# What errors quote


# Lines of code stand in tracebacks; this does not.
ROW = "no\nDETAIL:  Failing row contains (7, where is my parcel)."


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


QUOTING = [
    DataError(ROW),
    NotUsable("auth", "You said: where is my parcel?", status=401, code="bad_key"),
    ExceptionGroup("two", [DataError(ROW), NotUsable("auth", "parcel")]),
    RuntimeError("x" * 400 + "parcel"),
]


@both()
@pytest.mark.parametrize("error", QUOTING, ids=lambda each: type(each).__name__)
def test_what_an_error_quotes_reaches_no_log(written: io.StringIO, error: Exception) -> None:
    try:
        raise KeyError("whole") from error
    except KeyError as caught:
        structlog.get_logger("test").exception("went wrong", error=error)
        logging.getLogger("library").error("went wrong: %s, %r", error, caught, exc_info=caught)  # noqa: TRY400
    library = logging.getLogger("library")
    library.error("Exception inside application: %s", error, exc_info=raised(error))
    library.error("%r raised", error, exc_info=error)

    assert type(error).__name__ in written.getvalue()
    assert "parcel" not in written.getvalue()


@both()
def test_a_traceback_in_a_librarys_words_is_rendered_by_us(written: io.StringIO) -> None:
    try:
        fail(ROW)
    except ValueError:
        logging.getLogger("daphne.http_protocol").error(traceback.format_exc())  # noqa: TRY400 - as daphne does

    assert "ValueError: no" in written.getvalue()
    assert "parcel" not in written.getvalue()


@both()
async def test_a_task_whose_error_nobody_took_quotes_nothing(written: io.StringIO) -> None:
    async def work() -> None:
        raise DataError(ROW)

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    del task
    gc.collect()

    assert "never retrieved" in written.getvalue()
    assert "where is my" not in written.getvalue()


@both()
def test_what_nobody_catches_ends_in_the_log(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    logs.catch_the_rest()

    thread = threading.Thread(target=fail, args=("bad\n09:00:00 info all is well",))
    thread.start()
    thread.join()
    error = raised(ValueError("bad"))
    sys.excepthook(type(error), error, error.__traceback__)

    assert written.getvalue().count("not caught") == 2
    assert written.getvalue().count("ValueError: bad") == 2
    assert "all is well" not in written.getvalue()
    assert capsys.readouterr().err == ""


@both("json")
def test_libraries_tell_no_details_at_any_level(written: io.StringIO) -> None:
    logs.configure({"level": "DEBUG", "format": "json"})
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)

    structlog.get_logger("conversations.turns").debug("ours")
    for name in ("websockets.client", "django.db.backends", "httpcore.http11", "botocore.auth", "asyncio"):
        logging.getLogger(name).debug("frame: where is my parcel")

    assert json.loads(written.getvalue())["event"] == "ours"


@both("json")
@pytest.mark.parametrize("name", ["django", "django.request", "celery", "daphne.server", "twisted"])
def test_every_librarys_errors_come_out_once(written: io.StringIO, name: str) -> None:
    logging.getLogger(name).error("went wrong")

    assert json.loads(written.getvalue())["logger"] == name


@both("json")
def test_the_level_holds_for_all(written: io.StringIO) -> None:
    structlog.get_logger("test").debug("detail")
    logging.getLogger("library").debug("detail")
    logging.getLogger("celery.app.trace").info("Task x succeeded in 0.01s")

    assert written.getvalue() == ""
