"""Tasks after a turn: once each, whatever happens to their messages."""

import logging
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from chatbot.celery import app
from conversations import outbox, tasks
from conversations.models import HourlyCounter, OutboxEntry
from tests.frame.rows import START, ended_turn

ROOT = Path(__file__).parent.parent.parent


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [
        dict(record.msg)
        for record in caplog.records
        if isinstance(record.msg, dict) and record.msg["event"] == "turn logged"
    ]


@pytest.mark.django_db
def test_a_turn_is_counted_and_logged_once_however_often_the_task_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    turn = ended_turn(attempts=({"request_id": "req-7"},))

    for _ in range(3):
        tasks.log_turn([turn.pk])

    assert HourlyCounter.objects.get().turns == 1
    (line,) = lines(caplog)
    assert line["turn_id"] == turn.pk
    assert (line["assistant"], line["status"], line["model"]) == ("shop", "completed", "gpt-5-mini")
    assert (line["input_tokens"], line["output_tokens"], line["usage"]) == (100, 20, "exact")
    assert (line["first_delta_ms"], line["duration_ms"], line["provider_request_id"]) == (400, 2000, "req-7")


@pytest.mark.django_db
def test_the_line_holds_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    tasks.log_turn([ended_turn().pk])

    assert "parcel" not in caplog.text
    assert "on its way" not in caplog.text


@pytest.mark.django_db
def test_a_batch_needs_as_few_queries_as_one() -> None:
    first, second, *more = [ended_turn().pk for _ in range(20)]
    tasks.log_turn([first])  # makes the row
    with CaptureQueriesContext(connection) as for_one:
        tasks.log_turn([second])
    with CaptureQueriesContext(connection) as for_many:
        tasks.log_turn(more)

    assert len(for_many) == len(for_one) <= 10
    assert HourlyCounter.objects.get().turns == 20


@pytest.mark.django_db
def test_one_bad_turn_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = ended_turn(), ended_turn(at=START - timedelta(hours=1))
    HourlyCounter.objects.create(  # its hour is full to the brim
        hour=START.replace(minute=0) - timedelta(hours=1), assistant=bad.conversation.assistant,
        route="default", provider="openai", model="gpt-5-mini", duration_ms=2**63 - 1,
    )  # fmt: skip

    tasks.log_turn([bad.pk, good.pk])

    left = OutboxEntry.objects.filter(task=tasks.LOG_TURN, done_at__isnull=True)
    assert list(left.values_list("key", flat=True)) == [bad.pk]
    assert HourlyCounter.objects.get(hour=START.replace(minute=0)).turns == 1
    assert "task failed" in caplog.text


@pytest.mark.django_db
def test_the_sweep_sends_what_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(tasks, "send", lambda task, keys: sent.append((task, keys)))
    turn = ended_turn()
    tasks.sweep_outbox()
    assert sent == []
    OutboxEntry.objects.update(sent_at=F("sent_at") - outbox.RESEND_AFTER)

    tasks.sweep_outbox()

    assert sorted(sent) == sorted((task, [turn.pk]) for task in tasks.AFTER_TURN)


@pytest.mark.parametrize("url", ["unix:///nowhere/r.sock", "redis://127.0.0.1:1/0"])
def test_sending_to_a_broker_that_is_away_fails_at_once(url: str) -> None:
    code = """if True:
        import time
        from chatbot.celery import app
        from conversations import tasks
        began = time.monotonic()
        try:
            tasks.send(tasks.LOG_TURN, ["t1"])
        except Exception as error:
            print(type(error).__name__, time.monotonic() - began)
    """

    tried = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}"], cwd=ROOT, text=True, check=True,
        capture_output=True,
        env={**os.environ, "REDIS_URL": url, "DJANGO_SETTINGS_MODULE": "chatbot.settings"},
    )  # fmt: skip

    error, took_s = tried.stdout.split()
    assert error == "OperationalError"
    assert float(took_s) < 1.5


def test_every_task_on_the_schedule_is_there_and_has_its_queue() -> None:
    queues = {queue.name for queue in app.conf.task_queues}

    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        route = app.amqp.router.route({}, entry["task"])
        assert route["queue"].name in queues
