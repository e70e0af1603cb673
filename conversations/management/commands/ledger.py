"""`manage.py ledger reconcile FILE | statement --month YYYY-MM | export`: the books, from the terminal."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.providers.messages import Usage
from conversations import corrections, ledger, prices, reconciliation, spending
from conversations.management import terminal
from conversations.models import Completion
from conversations.reconciliation import Billed, Booked, Difference, NotAnExportError
from conversations.spending import STATEMENT_BY, Spent

FAR = timedelta(days=36500)
WORDS = {
    "missing": "billed, not in the books",
    "extra": "in the books, not billed",
    "tokens": "other counts",
    "estimate": "other counts than we estimated",
}


class Command(BaseCommand):
    """Print the books, or compare them with a bill."""

    help = "Compare the ledger with a provider's usage export, print a month's statement, or every line."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        reconcile = actions.add_parser("reconcile", help="Compare with a provider's usage export.")
        reconcile.add_argument("file", type=Path, help="CSV with a head, JSON or JSON lines; a call each.")
        reconcile.add_argument("--provider", help="The provider row of config.yaml whose bill it is.")
        reconcile.add_argument(
            "--correct", action="store_true", help="Book the provider's counts where ours are others."
        )
        reconcile.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")
        statement = actions.add_parser("statement", help="What a month has cost.")
        statement.add_argument("--month", required=True, help="The month, such as 2026-11 (UTC).")
        statement.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")
        export = actions.add_parser("export", help="Every line of the ledger, as JSON lines.")
        export.add_argument("--json", action="store_true", help="JSON lines; it is the only form there is.")

    def handle(self, *args: Any, action: str, json: bool, **options: Any) -> None:
        """Do it; exit 1 when the books and a bill differ by more than estimates."""
        match action:
            case "reconcile":
                self._reconcile(
                    options["file"], options["provider"], corrects=options["correct"], is_json=json
                )
            case "statement":
                self._statement(options["month"], is_json=json)
            case _:
                for line in ledger.export():
                    self.stdout.write(orjson.dumps(line).decode())

    def _reconcile(self, file: Path, provider: str | None, *, corrects: bool, is_json: bool) -> None:
        try:
            bill = reconciliation.read(file.read_bytes())
        except OSError as error:
            raise CommandError(f"`{file}` cannot be read: {error.strerror}.") from error
        except NotAnExportError as error:
            raise CommandError(f"`{file}`: {error}") from error
        now = datetime.now(UTC)
        start, end = reconciliation.span(bill) or (now - FAR, now)
        compared = reconciliation.compare(
            bill, reconciliation.booked(provider=provider, start=start, end=end)
        )
        counts = reconciliation.count(compared.differences)
        corrected = sum(_correct(each) for each in compared.differences) if corrects else 0
        if is_json:
            said = {
                "billed": len(bill),
                "agree": compared.agree,
                "counts": counts,
                "corrected": corrected,
                "differences": [_difference_json(each) for each in compared.differences],
            }
            self.stdout.write(orjson.dumps(said).decode())
        else:
            head = ("WHAT", "REQUEST", "TIME", "MODEL", "BILLED", "BOOKED", "COMPLETION")
            if compared.differences:
                self.stdout.write(terminal.table(head, [_cells(each) for each in compared.differences]))
            differ = ", ".join(f"{number} {WORDS[kind]}" for kind, number in counts.items())
            self.stderr.write(f"{compared.agree} of {len(bill)} calls agree; {differ or 'no difference'}.")
            if corrects:
                self.stderr.write(f"{corrected} calls were corrected.")
        if counts.keys() - {"estimate"}:
            sys.exit(1)

    def _statement(self, month: str, *, is_json: bool) -> None:
        try:
            first = spending.read_month(month)
        except ValueError as error:
            raise CommandError(f"`{month}` is no month; write one such as 2026-11.") from error
        found = spending.statement(first)
        if is_json:
            said = {
                "month": month,
                "total": found.whole.as_json(),
                "parts": [part.as_json(STATEMENT_BY) for part in found.parts],
                "corrections": found.corrections,
                "releases": found.releases,
                "open_holds": found.open_holds,
            }
            self.stdout.write(orjson.dumps(said).decode())
            return
        head = ("PURPOSE", "ASSISTANT", "PROVIDER", "MODEL", "CALLS", "READ", "WRITTEN", "COST")
        rows = [(*part.key, *_figures(part)) for part in found.parts]
        total = ("total", "", "", "", *_figures(found.whole))
        self.stdout.write(terminal.table(head, [*rows, total]))
        self.stderr.write(
            f"{found.corrections} corrections, {found.releases} holds given back,"
            f" {found.open_holds} holds open; {found.whole.estimated} calls estimated,"
            f" the cost of {found.whole.unknown} is unknown."
        )


def _correct(each: Difference) -> bool:
    """Book the provider's counts for a call that both know."""
    if each.billed is None or each.booked is None:
        return False
    theirs, ours = each.billed, each.booked
    row = Completion.objects.get(pk=ours.completion_id)
    usage = Usage(
        input_tokens=ours.input_tokens if theirs.input_tokens is None else theirs.input_tokens,
        output_tokens=ours.output_tokens if theirs.output_tokens is None else theirs.output_tokens,
        cached_input_tokens=row.cached_input_tokens,
        reasoning_tokens=row.reasoning_tokens,
        kind="exact",
    )
    return corrections.correct(row, usage, reason="reconciled")


def _figures(spent: Spent) -> tuple[str, str, str, str]:
    costs = [f"{prices.words(nanos)} {currency}" for currency, nanos in sorted(spent.nanos.items())]
    if spent.unknown:
        costs.append(f"{spent.unknown} unknown")
    return (
        str(spent.calls),
        str(spent.tokens["input_tokens"]),
        str(spent.tokens["output_tokens"]),
        " + ".join(costs) or "0",
    )


def _cells(each: Difference) -> tuple[str, ...]:
    known: Billed | Booked | None = each.billed or each.booked
    assert known is not None
    return (
        WORDS[each.kind],
        known.request_id or "-",
        f"{known.at:%Y-%m-%d %H:%M:%S}" if known.at else "-",
        known.model or "-",
        _counts(each.billed),
        _counts(each.booked),
        each.booked.completion_id if each.booked else "-",
    )


def _counts(call: Billed | Booked | None) -> str:
    if call is None:
        return "-"
    return f"{terminal.count_words(call.input_tokens)} + {terminal.count_words(call.output_tokens)}"


def _difference_json(each: Difference) -> dict[str, Any]:
    def call(of: Billed | Booked | None) -> dict[str, Any] | None:
        names = ("request_id", "at", "model", "input_tokens", "output_tokens")
        return None if of is None else {name: getattr(of, name) for name in names}

    return {
        "kind": each.kind,
        "billed": call(each.billed),
        "booked": call(each.booked),
        "line": each.billed.line if each.billed else None,
        "completion": each.booked.completion_id if each.booked else None,
    }
