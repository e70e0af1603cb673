"""What models cost, and currencies: dated rows, read once by each process and written by administrators."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from django.db import transaction
from django.utils import timezone

from chatbot.providers.messages import Usage
from conversations import audit
from conversations.audit import Kind, Verb
from conversations.errors import ConversationError
from conversations.models import NANOS, ExchangeRate, Price
from conversations.models.prices import MOST_NANOS, MOST_RATE_NANOS
from conversations.models.remembered import Remembered

A_MILLION = 1_000_000
CURRENCY_LETTERS = 3


class PriceError(ConversationError):
    """A price or a rate that cannot be right."""

    code = "bad_price"


@dataclass(frozen=True, slots=True)
class _Dated:
    """Rows of one thing, oldest first, and the instants from which they hold."""

    since: list[datetime]
    rows: list[Price]


def _load_prices() -> Mapping[tuple[str, str], _Dated]:
    book: dict[tuple[str, str], _Dated] = {}
    for row in Price.objects.order_by("from_at", "id"):
        dated = book.setdefault((row.provider, row.model), _Dated([], []))
        dated.since.append(row.from_at)
        dated.rows.append(row)
    return book


_prices = Remembered("SELECT MAX(id) FROM conversations_price", _load_prices)
_rates = Remembered(
    "SELECT MAX(id) FROM conversations_exchangerate",
    lambda: list(ExchangeRate.objects.order_by("-from_at", "-id")),
)


def forget() -> None:
    """Read all of it anew."""
    _prices.forget()
    _rates.forget()


def at(provider: str, model: str, when: datetime) -> Price | None:
    """Return the row that holds for a call begun at `when`; None where the model has no price."""
    dated = _prices.get().get((provider, model))
    if dated is None:
        return None
    index = bisect_right(dated.since, when)
    row = dated.rows[index - 1] if index else None
    return None if row is None or row.input_nanos is None else row


def history(provider: str, model: str) -> list[Price]:
    """Return every row of a model, the newest first."""
    return list(Price.objects.filter(provider=provider, model=model).order_by("-from_at", "-id"))


def known() -> dict[tuple[str, str], Price]:
    """Return the row that holds now of each (provider, model) that ever had one, with a price or not."""
    now = timezone.now()
    return {
        key: dated.rows[max(bisect_right(dated.since, now) - 1, 0)] for key, dated in _prices.get().items()
    }


def billed(usage: Usage) -> Usage:
    """Return the counts that are paid for, the parts within the whole."""
    whole_in = usage.input_tokens if usage.billed_input_tokens is None else usage.billed_input_tokens
    whole_out = usage.output_tokens if usage.billed_output_tokens is None else usage.billed_output_tokens
    return Usage(
        input_tokens=whole_in,
        output_tokens=whole_out,
        cached_input_tokens=_within(usage.cached_input_tokens, whole_in),
        reasoning_tokens=_within(usage.reasoning_tokens, whole_out),
        kind=usage.kind,
    )


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


def cost_nanos(price: Price | None, usage: Usage) -> int | None:
    """Return what billed counts cost, in nano-units; None without a price or without a count."""
    if price is None or price.input_nanos is None or price.output_nanos is None:
        return None
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached, thought = usage.cached_input_tokens or 0, usage.reasoning_tokens or 0
    return round_half_up(
        (usage.input_tokens - cached) * price.input_nanos
        + cached * (price.input_nanos if price.cached_input_nanos is None else price.cached_input_nanos)
        + (usage.output_tokens - thought) * price.output_nanos
        + thought * (price.output_nanos if price.reasoning_nanos is None else price.reasoning_nanos),
        A_MILLION,
    )


def round_half_up(value: int, divisor: int) -> int:
    """Divide a number that is not negative, to the nearest whole one."""
    return (value + divisor // 2) // divisor


def converted(nanos: int, currency: str, into: str, when: datetime) -> int | None:
    """Return an amount in another currency at the rate of `when`; None where there is no rate."""
    if currency == into:
        return nanos
    for row in _rates.get():  # the newest first
        if row.currency == currency and row.into == into and row.from_at <= when:
            return round_half_up(nanos * row.rate_nanos, NANOS)
    return None


# Writing


def add(rows: Sequence[Price]) -> None:
    """Write prices. Raises PriceError for one that cannot be right."""
    for row in rows:
        _check_currency(row.currency)
        if (row.input_nanos is None) != (row.output_nanos is None):
            raise PriceError("Give a price for both input and output, or for neither.")
        for nanos in (row.input_nanos, row.cached_input_nanos, row.output_nanos, row.reasoning_nanos):
            if nanos is not None and not 0 <= nanos <= MOST_NANOS:
                most = MOST_NANOS // NANOS
                raise PriceError(
                    f"A price for a million tokens must be from 0 to {most}, not {words(nanos)}."
                )
    with transaction.atomic():
        for row in Price.objects.bulk_create(rows):
            label = f"{row.model} at {row.provider}"
            audit.write(Verb.ADDED, Kind.PRICE, row.pk, by=row.by, label=label, after=_told(row))
    transaction.on_commit(forget)


def _told(row: Price) -> dict[str, object]:
    names = ("input_nanos", "cached_input_nanos", "output_nanos", "reasoning_nanos")
    amounts = {name.removesuffix("_nanos"): getattr(row, name) for name in names}
    known = {name: None if nanos is None else words(nanos) for name, nanos in amounts.items()}
    return {**known, "currency": row.currency, "from": f"{row.from_at:%Y-%m-%d %H:%M}"}


def add_rate(row: ExchangeRate) -> None:
    """Write an exchange rate. Raises PriceError for one that cannot be right."""
    _check_currency(row.currency)
    _check_currency(row.into)
    if row.currency == row.into:
        raise PriceError("A rate is between two currencies.")
    if not 0 < row.rate_nanos <= MOST_RATE_NANOS:
        raise PriceError(f"A rate must be above 0 and at most {MOST_RATE_NANOS // NANOS}.")
    with transaction.atomic():
        row.save(force_insert=True)
        after = {"rate": words(row.rate_nanos), "from": f"{row.from_at:%Y-%m-%d %H:%M}"}
        audit.write(
            Verb.ADDED, Kind.RATE, row.pk, by=row.by, label=f"{row.currency} in {row.into}", after=after
        )
    transaction.on_commit(forget)


def _check_currency(code: str) -> None:
    if not (len(code) == CURRENCY_LETTERS and code.isascii() and code.isupper()):
        raise PriceError(f"`{code}` is no currency; write its three letters, such as USD.")


def nanos(text: str) -> int:
    """Read an amount such as `0.25` as nano-units, exactly. Raises PriceError."""
    try:
        value = Decimal(text.strip()) * NANOS
        whole = int(value.to_integral_value(rounding=ROUND_HALF_UP))
    except (ArithmeticError, ValueError) as error:
        raise PriceError(f"`{text.strip()[:40]}` is no number.") from error
    if value != whole:
        raise PriceError("No more than nine decimals are kept.")
    return whole


def words(nanos: int) -> str:
    """Write nano-units as a number without needless zeros: `0.25`."""
    sign, whole = "-" if nanos < 0 else "", abs(nanos)
    decimals = f"{whole % NANOS:09d}".rstrip("0")
    return f"{sign}{whole // NANOS}{f'.{decimals}' if decimals else ''}"
