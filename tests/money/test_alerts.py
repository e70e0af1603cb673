"""Alerts reach operators by mail and by a signed webhook, once, and are sent again when they fail."""

import hashlib
import hmac
import http.server
import logging
import threading
import time
from collections.abc import Iterator

import orjson
import pytest
from django.core import mail
from pytest_django import Settings

from chatbot import webhooks
from conversations import billing, budgets, checks, outbox, tasks
from conversations.models import NANOS, BudgetAlert, OutboxEntry
from tests.money import books

SECRET = "only-the-two-of-us-know"


class Ear:
    """A server that notes what it is told. `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 204
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        ear = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ear.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(ear.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts?to=ops"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def ear(settings: Settings) -> Iterator[Ear]:
    """Where alerts are posted."""
    made = Ear()
    settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = made.url, SECRET
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def alert(db: None) -> BudgetAlert:
    """The site's budget has come to 80 %."""
    budget = books.budget(10)
    alerts = budgets._alerts(budget, books.today(), "", 81 * NANOS // 10)
    billing._tell(alerts)
    return alerts[0]


def send(alert: BudgetAlert) -> None:
    tasks.send_budget_alert([str(alert.pk)])


def test_a_webhook_is_told_and_can_know_that_it_is_us(ear: Ear, alert: BudgetAlert) -> None:
    send(alert)

    ((path, headers, body),) = ear.heard
    said = orjson.loads(body)
    assert path == "/alerts?to=ops"
    assert (said["step_percent"], said["limit_nanos"], said["spent_nanos"]) == (80, 10 * NANOS, 8_100_000_000)
    assert (said["scope"], said["period"], said["currency"], said["id"]) == ("site", "day", "USD", alert.pk)
    at, signed = (each.partition("=")[2] for each in headers["x-chatbot-signature"].split(","))
    assert abs(int(at) - time.time()) < 60
    assert signed == hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_an_alert_is_told_once_however_often_its_task_runs(ear: Ear, alert: BudgetAlert) -> None:
    for _ in range(3):
        send(alert)

    assert len(ear.heard) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_does_not_arrive_is_sent_again_and_follows_no_redirect(
    ear: Ear, alert: BudgetAlert, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    ear.status = status
    send(alert)
    assert OutboxEntry.objects.get(task=billing.SEND_ALERT).done_at is None
    assert outbox.undone(billing.SEND_ALERT, [str(alert.pk)]) == [str(alert.pk)]
    assert "alert not sent" in caplog.text

    ear.status = 200
    send(alert)

    assert [path for path, _headers, _body in ear.heard] == ["/alerts?to=ops"] * 2
    assert OutboxEntry.objects.get(task=billing.SEND_ALERT).done_at is not None


def test_without_an_address_it_is_only_logged(alert: BudgetAlert, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    send(alert)

    assert mail.outbox == []
    assert "budget alert" in caplog.text
    assert OutboxEntry.objects.get(task=billing.SEND_ALERT).done_at is not None


def test_nobody_there_is_an_error_of_ours_without_the_address() -> None:
    with pytest.raises(webhooks.WebhookError) as caught:
        webhooks.post("http://127.0.0.1:1/secret-path", b"{}", secret=SECRET)

    assert "secret-path" not in str(caught.value)


def test_a_signature_is_the_same_for_everybody_who_knows_the_secret() -> None:
    known = "t=1795168281,v1=" + hmac.new(b"s", b"1795168281.{}", "sha256").hexdigest()

    assert webhooks.signature("s", b"{}", at=1795168281) == known
    assert webhooks.signature("t", b"{}", at=1795168281) != known


def test_a_webhook_without_a_secret_is_told(settings: Settings) -> None:
    settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = "https://ops.example/alerts", ""
    assert [each.id for each in checks.alerts_are_signed()] == ["conversations.W102"]

    settings.ALERT_WEBHOOK_SECRET = SECRET
    assert checks.alerts_are_signed() == []
