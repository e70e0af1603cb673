from django.db import models
from django.utils import timezone

NANOS = 1_000_000_000
MOST_NANOS = 100_000 * NANOS  # for a million tokens: a hundred times the dearest model there is
MOST_RATE_NANOS = 1_000_000 * NANOS


class Price(models.Model):
    """What a model at a provider costs from `from_at` on, in nano-units for a million tokens.

    Rows never change: who corrects one writes another with the same `from_at`, and the later one
    counts. Cached input and reasoning without a price of their own cost what input and output do.
    Without `input_nanos` and `output_nanos` the model has no price from then on. `provider` and
    `model` are those of completions. `source` says where the figures come from, `by` who wrote them.
    """

    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128)
    from_at = models.DateTimeField(default=timezone.now)
    currency = models.CharField(max_length=3)
    input_nanos = models.BigIntegerField(null=True, blank=True)
    cached_input_nanos = models.BigIntegerField(null=True, blank=True)
    output_nanos = models.BigIntegerField(null=True, blank=True)
    reasoning_nanos = models.BigIntegerField(null=True, blank=True)
    source = models.CharField(max_length=16)
    note = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(input_nanos__isnull=True, output_nanos__isnull=True)
                | models.Q(input_nanos__isnull=False, output_nanos__isnull=False),
                name="prices_of_input_and_output",
            ),
            *(
                models.CheckConstraint(
                    condition=models.Q((f"{name}__isnull", True))
                    | models.Q((f"{name}__gte", 0), (f"{name}__lte", MOST_NANOS)),
                    name=f"price_within_bounds_{name}",
                )
                for name in ("input_nanos", "cached_input_nanos", "output_nanos", "reasoning_nanos")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} at {self.provider} from {self.from_at:%Y-%m-%d}"


class ExchangeRate(models.Model):
    """What one unit of `currency` is worth in `into` from `from_at` on, in nano-units. Rows never change."""

    currency = models.CharField(max_length=3)
    into = models.CharField(max_length=3)
    from_at = models.DateTimeField(default=timezone.now)
    rate_nanos = models.BigIntegerField()
    note = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rate_nanos__gt=0, rate_nanos__lte=MOST_RATE_NANOS),
                name="exchange_rate_within_bounds",
            )
        ]

    def __str__(self) -> str:
        return f"{self.currency}/{self.into} from {self.from_at:%Y-%m-%d}"
