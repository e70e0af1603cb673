"""`manage.py prices`: what the models of config.yaml cost; `prices fill` fills in what is known of them."""

from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import pricelist, prices
from conversations.management import terminal
from conversations.models import ExchangeRate, Price


class Command(BaseCommand):
    """Show the price table, or fill it."""

    help = "Show what the models of config.yaml cost; `fill` first looks up those without a price."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do."""
        parser.add_argument("action", nargs="?", choices=("show", "fill"), default="show")
        parser.add_argument("--json", action="store_true", help="Print JSON and nothing else.")

    def handle(self, *args: Any, action: str, json: bool, **options: Any) -> None:
        """Show the prices, after filling in those that are missing."""
        config = terminal.said()
        if action == "fill":
            rows = pricelist.listed(config, prices.known())
            try:
                prices.add(rows)
            except prices.PriceError as error:
                raise CommandError(f"config.yaml: {error}") from error
            for rate in pricelist.rates(
                settings.BUDGET_CURRENCY,
                ExchangeRate.objects.filter(into=settings.BUDGET_CURRENCY).values_list("currency", flat=True),
            ):
                prices.add_rate(rate)
            prices.forget()
            self.stderr.write(f"{len(rows)} prices were filled in.")
        known = prices.known()
        keys = dict.fromkeys((row.provider, row.model) for row in config.models.values())
        if json:
            self.stdout.write(orjson.dumps([_as_json(*key, known.get(key)) for key in keys]).decode())
            return
        head = ("PROVIDER", "MODEL", "INPUT", "CACHED", "OUTPUT", "CURRENCY", "FROM", "NOTE")
        self.stdout.write(terminal.table(head, [_cells(*key, known.get(key)) for key in keys]))
        self.stdout.write("Prices are for a million tokens. Those of the built-in model are 0.")


def _as_json(provider: str, model: str, row: Price | None) -> dict[str, Any]:
    """One model; its price is null where none is known."""
    if row is None or row.input_nanos is None:
        return {"provider": provider, "model": model, "price": None}
    names = ("input_nanos", "cached_input_nanos", "output_nanos", "reasoning_nanos", "currency", "from_at")
    said = {name: getattr(row, name) for name in (*names, "source", "note")}
    return {"provider": provider, "model": model, "price": said}


def _cells(provider: str, model: str, row: Price | None) -> tuple[str, ...]:
    if row is None or row.input_nanos is None or row.output_nanos is None:
        return provider, model, "unknown", "", "unknown", "", "", "No price: its cost is unknown."
    cached = "" if row.cached_input_nanos is None else prices.words(row.cached_input_nanos)
    return (
        provider,
        model,
        prices.words(row.input_nanos),
        cached,
        prices.words(row.output_nanos),
        row.currency,
        f"{row.from_at:%Y-%m-%d}",
        row.note,
    )
