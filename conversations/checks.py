"""System checks of the domain: what would make its promises untrue. Each has a number and a hint."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS

from conversations.models import appendonly


@register(Tags.database)
def ledger_is_append_only(*, databases: Sequence[str] | None = None, **_about: Any) -> list[CheckMessage]:
    """W101 (with --database): a table whose rows must never change has lost its triggers."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    return [
        Warning(
            f"The trigger `{name}`, which keeps a table append-only, is missing.",
            hint="Run manage.py migrate, which makes it again.",
            id="conversations.W101",
        )
        for name in appendonly.missing()
    ]


@register(Tags.security)
def alerts_are_signed(**_about: Any) -> list[CheckMessage]:
    """W102: whoever knows the webhook's address can say that we said something."""
    if not settings.ALERT_WEBHOOK_URL or settings.ALERT_WEBHOOK_SECRET:
        return []
    return [
        Warning(
            "`ALERT_WEBHOOK_URL` is set without `ALERT_WEBHOOK_SECRET`: anybody could send such alerts.",
            hint="Give both sides a long random one.",
            id="conversations.W102",
        )
    ]
