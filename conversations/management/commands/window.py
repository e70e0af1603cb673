"""`manage.py window <turn>`: the exact request of a turn's completion, once more."""

import sys
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import windows
from conversations.models import Completion
from conversations.prompting import stored_parameters

ERASED = 3


class Command(BaseCommand):
    """Print a request again and say whether it is the one that was sent."""

    help = "Print the exact request of a turn's last completion again, and whether its HMAC still matches."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read which."""
        parser.add_argument("turn", help="The turn's id.")
        parser.add_argument("--attempt", type=int, help="Which completion of the turn; the last if not said.")

    def handle(self, *args: Any, turn: str, attempt: int | None, **options: Any) -> None:
        """Print it as JSON; exit 0 when the HMAC matches, 3 when text it was made of has gone."""
        rows = Completion.objects.filter(turn_id=turn).select_related("turn", "window")
        if attempt is not None:
            rows = rows.filter(number=attempt)
        completion = rows.order_by("number").last()
        if completion is None:
            which = f"no completion {attempt}" if attempt else "no completion"
            raise CommandError(f"There is {which} of a turn `{turn}`.")
        request, matches = windows.rebuild(completion)
        window = completion.window
        shown = {
            "turn": turn,
            "attempt": completion.number,
            "target": completion.target,
            "model": completion.model,
            "system": request.system,
            "messages": [{"role": each.role, "text": each.text} for each in request.messages],
            "parameters": stored_parameters(request.parameters),
            "sent": window.sent,
            "dropped": window.dropped,
            "input_tokens": window.input_tokens,
            "limit_tokens": window.limit_tokens,
            "is_exact": window.is_exact,
            "hmac": window.hmac,
            "matches": matches,
        }
        self.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
        if not matches:
            self.stderr.write("The HMAC does not match: text of this request was changed or erased since.")
            sys.exit(ERASED)
