"""What a model row of config.yaml says that its model costs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a model costs, for a million tokens each. Fills the price table the first time only.

    Cached input without a price of its own costs what input does."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    currency: str = "USD"
