"""`manage.py demo`: the demo shop's assistant, the shipped rules and a staff login, each made once."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from conversations import staff
from conversations.demo import DEMO
from conversations.management.commands.rules import load_shipped
from conversations.models import Assistant, PromptVersion, ScreeningRule
from conversations.rights import Role

LOGIN = "admin"


class Command(BaseCommand):
    """Load the demo shop."""

    help = (
        "Make the demo shop's assistant, rules and a staff login, where there are none; print the login once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing."""
        with transaction.atomic():
            if not Assistant.objects.exists():
                self._make_assistant()
            if not ScreeningRule.objects.exists():  # those taken out count: nobody wants them back
                load_shipped()
            users = get_user_model().objects
            if not users.exists():
                password = staff.new_password()
                staff.add(LOGIN, roles=[Role.ADMINISTRATOR], password=password)
                self.stdout.write(f"Staff login: {LOGIN} / {password} (printed this once)")

    def _make_assistant(self) -> None:
        assistant = Assistant.objects.create(
            slug=DEMO.slug, name=DEMO.name, house=DEMO.house, languages=DEMO.languages, is_default=True
        )
        assistant.live_version = PromptVersion.objects.create(
            assistant=assistant,
            number=1,
            instructions=DEMO.instructions,
            greeting=DEMO.greeting,
            starters=DEMO.starters,
            fallback=DEMO.fallback,
            parameters=DEMO.parameters,
            window_exchanges=DEMO.window_exchanges,
            window_percent=DEMO.window_percent,
            note="The demo shop.",
        )
        assistant.save(update_fields=["live_version"])
