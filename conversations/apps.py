from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.db.models.signals import post_migrate


class ConversationsConfig(AppConfig):
    name = "conversations"

    def ready(self) -> None:
        """Register the checks, and keep the append-only tables guarded after every `migrate`."""
        from conversations import checks  # noqa: F401 - the models are there only now

        post_migrate.connect(_guard_tables, sender=self)


class RecordsConfig(admin.AdminConfig):
    """Django's admin, with a site of ours; only the settings name it."""

    default = False
    default_site = "conversations.records.RecordsSite"


def _guard_tables(**_about: Any) -> None:
    from conversations.models import appendonly  # the models are there only now

    appendonly.install()
