"""Telling operators that a budget runs out: by mail and by a signed webhook, whichever is set up."""

from typing import Any

import orjson
import structlog
from django.conf import settings
from django.core.mail import send_mail

from chatbot import webhooks
from conversations.models import NANOS, BudgetAlert

log = structlog.get_logger(__name__)

_WHAT_FOLLOWS = {
    80: "Nothing changes yet.",
    95: "Turns go by the budget's cheaper route, if it names one.",
    100: "Visitors' messages are stored and not answered until the period ends or the limit is raised.",
}


def as_json(alert: BudgetAlert) -> dict[str, Any]:
    """Return what the webhook is told. Amounts are nano-units; no text and no visitor is named."""
    budget = alert.budget
    return {
        "type": "budget",
        "id": alert.pk,
        "step_percent": alert.step,
        "scope": budget.scope,
        "assistant": budget.assistant.slug if budget.assistant else None,
        "segment": budget.segment or None,
        "period": budget.period,
        "period_start": alert.period_start.isoformat(),
        "limit_nanos": budget.limit_nanos,
        "spent_nanos": alert.spent_nanos,
        "currency": budget.currency,
        "at": alert.at.isoformat(timespec="milliseconds"),
    }


def send(alert: BudgetAlert) -> None:
    """Send it. Raises WebhookError or what the mail server says: then it is tried again later."""
    log.warning("budget alert", step=alert.step, **_fields(alert))
    if settings.ALERT_EMAILS:
        budget = alert.budget
        whose = {"assistant": f"assistant {budget.assistant}", "visitor": "each visitor"}
        what = f"{budget.period} budget for {whose.get(budget.scope, 'the site')}"
        send_mail(
            subject=f"Budget at {alert.step} %: {what}",
            message=(
                f"The {what} has come to {alert.step} % in the period from {alert.period_start}:"
                f" {alert.spent_nanos / NANOS:.2f} of {budget.limit_nanos / NANOS:.2f} {budget.currency}"
                f" are spent or held.\n\n{_WHAT_FOLLOWS[alert.step]}\n"
            ),
            from_email=None,
            recipient_list=settings.ALERT_EMAILS,
        )
    if settings.ALERT_WEBHOOK_URL:
        body = orjson.dumps(as_json(alert))
        webhooks.post(settings.ALERT_WEBHOOK_URL, body, secret=settings.ALERT_WEBHOOK_SECRET)


def _fields(alert: BudgetAlert) -> dict[str, Any]:
    said = as_json(alert)
    return {name: said[name] for name in ("scope", "period", "limit_nanos", "spent_nanos", "currency")}
