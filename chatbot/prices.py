"""What a model row of config.yaml says that its model costs, and what that makes of one completion."""

from dataclasses import dataclass
from decimal import Decimal

from chatbot.providers.messages import Usage, UsageKind

NANOS = 1_000_000_000
A_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """`nanos` are billionths of `currency`'s unit; both None where it is unknown. `kind` is the usage's."""

    nanos: int | None = None
    currency: str | None = None
    kind: UsageKind = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a model costs, for a million tokens each. Fills the price table the first time only.

    Cached input without a price of its own costs what input does."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    currency: str = "USD"

    def cost(self, usage: Usage) -> Cost:
        """What a completion costs; unknown where a price or a count is."""
        if self.input is None or self.output is None:
            return Cost()
        if usage.input_tokens is None or usage.output_tokens is None:
            return Cost()
        cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        spent = (
            _exact(self.input) * (usage.input_tokens - cached)
            + _exact(cached_price) * cached
            + _exact(self.output) * usage.output_tokens
        )
        return Cost(round(spent * NANOS / A_MILLION), self.currency, usage.kind)


def _exact(price: float) -> Decimal:
    """The price as it is written."""
    return Decimal(repr(price))
