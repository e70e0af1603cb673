"""One line an event, in both formats, whatever the values are."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from chatbot import logs, settings

HOSTILE = "a\nb\r\nc\x1b[31m\u2028d\u2029e\x85f\x00g\u202eh\ud800"


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
    assert "\x1b" not in written.getvalue()
    assert "\u202e" not in written.getvalue()


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
