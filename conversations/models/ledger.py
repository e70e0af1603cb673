from django.db import models
from django.utils import timezone

from conversations.models.assistant import Assistant
from conversations.models.completion import Completion
from conversations.models.prices import Price


class EntryKind(models.TextChoices):
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    CORRECTION = "correction"


class Purpose(models.TextChoices):
    VISITOR = "visitor"
    TEST = "test"
    BATCH = "batch"


class LedgerEntry(models.Model):
    """An immutable line of cost: `amount_nanos` billionths of a unit of `currency`, None where unknown.

    `number` is 0 for the hold, 1 for what closes it (settle or release) and counts corrections from 2,
    so that each can be written once. Cost is the sum of settles and corrections; a correction holds
    differences. Token counts are those that are billed. `price` is the row the amount comes from, None
    where there is none; `counts` says whether the tokens are exact, estimated or unknown, and `reason`
    why, in a short word. What a line is told by (route, model, whose visitor) stands in it.
    """

    completion = models.ForeignKey(
        Completion, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=16, choices=EntryKind.choices)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    at = models.DateTimeField(default=timezone.now)
    amount_nanos = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    price = models.ForeignKey(Price, on_delete=models.PROTECT, null=True, blank=True, db_index=False)
    counts = models.CharField(max_length=16)
    reason = models.CharField(max_length=32, blank=True)
    input_tokens = models.IntegerField(null=True, blank=True)
    cached_input_tokens = models.IntegerField(null=True, blank=True)
    output_tokens = models.IntegerField(null=True, blank=True)
    reasoning_tokens = models.IntegerField(null=True, blank=True)
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, null=True, blank=True, db_index=False)
    segment = models.CharField(max_length=32, blank=True)
    route = models.CharField(max_length=64)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["completion", "number"], name="one_ledger_entry_per_number"),
            models.CheckConstraint(
                condition=models.Q(kind="hold", number=0)
                | models.Q(kind__in=["settle", "release"], number=1)
                | models.Q(kind="correction", number__gte=2),
                name="ledger_entries_are_numbered",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="correction")
                | models.Q(kind="release", amount_nanos=0)
                | models.Q(kind__in=["hold", "settle"], amount_nanos__isnull=True)
                | models.Q(kind__in=["hold", "settle"], amount_nanos__gte=0),
                name="only_corrections_are_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_nanos__isnull=True)
                | models.Q(amount_nanos=0)
                | ~models.Q(currency=""),
                name="ledger_amounts_have_a_currency",
            ),
        ]
        indexes = [models.Index(fields=["at"], name="ledger_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.completion_id}"
