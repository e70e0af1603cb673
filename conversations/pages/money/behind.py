"""What is behind the sums: the calls, each with its turn; all lines as CSV; a month's statement."""

import csv
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from conversations import prices, spending
from conversations.models import LedgerEntry
from conversations.pages.console import StaffRequest, shell, staff_only
from conversations.pages.money import asked
from conversations.pages.money.usage import Amount, amounts, only_readers
from conversations.spending import COSTS, STATEMENT_BY

MOST_CALLS = 200


@require_safe
@staff_only
def calls(request: StaffRequest) -> HttpResponse:
    """Show the newest calls behind a figure, each with its turn."""
    only_readers(request)
    said = asked.read(request.GET, timezone.now().date())
    found = spending.calls(said.choice, MOST_CALLS)
    whole = spending.total(spending.sums(said.choice))
    context = {
        "asked": said,
        "lines": [(line, _amount(line)) for line in found],
        "most": MOST_CALLS if len(found) == MOST_CALLS else None,
        "whole": whole,
        "amounts": amounts(whole),
        "filters": [(name, value, said.query(**{name: None})) for name, value in said.where],
        "back": reverse("money") + said.query(),
        "csv_link": reverse("money-csv") + said.query(),
        **shell(request),
    }
    return render(request, "console/money/calls.html", context)


def _amount(line: LedgerEntry) -> Amount | None:
    return None if line.amount_nanos is None else Amount(line.amount_nanos, line.currency)


HEAD = (
    "entry", "at", "kind", "number", "purpose", "completion", "turn", "assistant", "segment", "route",
    "provider", "model", "counts", "reason", "input_tokens", "cached_input_tokens", "output_tokens",
    "reasoning_tokens", "amount_nanos", "currency", "amount", "price",
)  # fmt: skip


@require_safe
@staff_only
def export(request: StaffRequest) -> HttpResponseBase:
    """Send every chosen line that costs something as CSV: its sum of `amount_nanos` is the page's."""
    only_readers(request)
    said = asked.read(request.GET, timezone.now().date())
    writer = csv.writer(_Echo())
    lines = (each for each in spending.every_line(said.choice) if each.kind in COSTS)
    rows: Iterator[Sequence[object]] = chain([HEAD], map(_csv_row, lines))
    name = f"cost-{said.start}-{said.end - timedelta(days=1)}.csv"
    answer = StreamingHttpResponse(map(writer.writerow, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


class _Echo:
    """A file that gives back what is written into it."""

    def write(self, text: str) -> str:
        return text


def _csv_row(line: LedgerEntry) -> Sequence[object]:
    amount = "" if line.amount_nanos is None else prices.words(line.amount_nanos)
    return [
        line.pk, line.at.isoformat(), line.kind, line.number, line.purpose, line.completion_id,
        line.completion.turn_id or "", line.assistant.slug if line.assistant else "", line.segment,
        _harmless(line.route), line.provider, _harmless(line.model), line.counts, line.reason,
        line.input_tokens, line.cached_input_tokens, line.output_tokens, line.reasoning_tokens,
        line.amount_nanos, line.currency, amount, line.price_id,
    ]  # fmt: skip


def _harmless(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


@require_safe
@staff_only
def statement(request: StaffRequest, month: str) -> HttpResponse:
    """Show a month's statement, to be printed."""
    only_readers(request)
    said = asked.read(QueryDict(f"period={month}"), timezone.now().date())
    found = spending.statement(said.start)
    context = {
        "asked": said,
        "statement": found,
        "by": STATEMENT_BY,
        "parts": [(part, amounts(part)) for part in found.parts],
        "amounts": amounts(found.whole),
        "is_over": said.end <= timezone.now().date(),
        "printed_at": timezone.now(),
        **shell(request),
    }
    return render(request, "console/money/statement.html", context)
